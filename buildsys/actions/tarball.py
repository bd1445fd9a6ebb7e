"""A tree as a tarball, put together from frames that are kept from build to build."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, ClassVar

from buildsys.archive import compressors, frames, tar
from buildsys.archive.stored import is_squeezed
from buildsys.archive.streams import Chunked, SizeFault, padding
from buildsys.errors import ActionFailed
from buildsys.model.action import ActionIO, Artifact, BaseOperation, Segment, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from buildsys.archive.compressors import Compressor
    from buildsys.archive.frames import Piece
    from buildsys.model.action import Writer
    from buildsys.model.digest import Digest


@dataclass(frozen=True, slots=True)
class Tarball(BaseOperation):
    """Write `tree` as a canonical tar archive.

    `compression` is one of `archive.compressors.NAMES`, `level` its level (0: the default one), `epoch` the mtime of
    all entries in seconds. What is new is compressed, the rest is copied: a changed file costs its own frame.
    """

    MNEMONIC: ClassVar[str] = "Tarball"
    VERSION: ClassVar[int] = 2
    STORED: ClassVar[bool] = False
    ANTICIPATED: ClassVar[int] = frames.LARGE

    tree: Artifact
    compression: str = "zstd"
    level: int = 0
    epoch: int = tar.EPOCH

    @property
    def tools(self) -> tuple[str, ...]:
        """The library that compresses, if any."""
        return compressors.tools(self.compression)

    def needs(self, io: ActionIO) -> Iterable[Digest]:
        """The tree, and the blobs of which no frame is kept. Malformed attributes are left to `execute`."""
        try:
            squeeze = compressors.compressor(self.compression, self.level)
            recipe = list(frames.recipe(io.tree(self.tree), self.epoch))
        except ValueError:
            return io.input_digests()
        if squeeze and not squeeze.single:
            recipe = _Emission(io, squeeze).read_anew(recipe)
        found = {digest for piece in recipe for digest in frames.digests(piece)}
        return [io.value(self.tree).digest, *sorted(found)]

    @property
    def in_advance(self) -> str:
        """A frame depends on the payload and the compressor."""
        return f"{self.compression} {self.level}"

    def anticipate(self, io: ActionIO, payload: Value) -> None:
        """Begin the frames of a payload that will be in the tree. Raises `ValueError` as `compressor`."""
        squeeze = compressors.compressor(self.compression, self.level)
        if squeeze and not squeeze.single:
            _Emission(io, squeeze).begin(list(frames.slices(payload.digest, payload.size)))

    def execute(self, io: ActionIO) -> None:
        """Write the tarball as output 0.

        Raises `ActionFailed` B705 for a compression, level or epoch that cannot be, B706 when a blob does not have the
        size its tree states.
        """
        tree = io.tree(self.tree)
        try:
            squeeze = compressors.compressor(self.compression, self.level)
            recipe = list(frames.recipe(tree, self.epoch))
        except ValueError as error:
            raise ActionFailed(
                "B705",
                f"cannot write '{self.tree.name}' as a tarball: {error}",
                hint="correct the tarball's attributes",
            ) from error
        try:
            if squeeze is None:
                io.assemble(list(_plain_segments(io, recipe)))
            elif squeeze.single:
                _write_single(io, squeeze, recipe)
            else:
                _Emission(io, squeeze).write(recipe)
        except SizeFault as error:
            raise ActionFailed(
                "B706",
                f"a blob of '{self.tree.name}' does not have the size its tree states: {error}",
                hint="the store is damaged; build once more with another --disk_cache",
            ) from error


def _write_single(io: ActionIO, squeeze: Compressor, recipe: list[Piece]) -> None:
    """Write a tarball as one member, for readers that stop after the first."""
    chunks = (chunk for piece in recipe for chunk in frames.content(piece, io.open_blob))
    with io.create(0) as out:
        squeeze.compress(Chunked(chunks), out, sum(map(frames.span, recipe)))


def _plain_segments(io: ActionIO, recipe: list[Piece]) -> Iterator[Segment]:
    """Yield a tarball as it is: payloads are blobs, and the zeros that fill their last block."""
    for piece in recipe:
        if isinstance(piece, frames.Payload):
            if piece.start == 0:  # the blob as a whole, whatever its slices
                yield Segment.of_blob(piece.digest, piece.size)
                yield Segment.of_bytes(bytes(padding(piece.size)))
        else:
            yield Segment(f"tar {piece.key}", write=partial(_write_content, io, piece))


def _write_content(io: ActionIO, piece: Piece, out: Writer) -> None:
    for chunk in frames.content(piece, io.open_blob):
        out.write(chunk)


class _Emission:
    """One tarball being put together from frames: remembered, made now, or (payloads that do not squeeze) stored."""

    def __init__(self, io: ActionIO, squeeze: Compressor) -> None:
        self._io = io
        self._squeeze = squeeze
        self._squeezed: dict[Digest, bool] = {}

    def write(self, recipe: list[Piece]) -> None:
        """Put the tarball together; what comes first is written while what comes later is compressed."""
        have, making = self.begin(recipe)
        keys = [self._key(piece) for piece in recipe]
        known = next((number for number, key in enumerate(keys) if key in making), len(keys))
        segments = [self._segment(piece, have.get(key)) for piece, key in zip(recipe[:known], keys, strict=False)]
        rest = (
            self._segment(piece, making[key]() if key in making else have.get(key))
            for piece, key in zip(recipe[known:], keys[known:], strict=True)
        )
        self._io.assemble(segments, rest=rest if making else None)

    def begin(self, recipe: list[Piece]) -> tuple[dict[str, Value], dict[str, Callable[[], Value]]]:
        """Begin to make the frames that are not kept. Return those that are, and what waits for the others."""
        pieces = {key: piece for piece in recipe if (key := self._key(piece))}
        have = self._io.recall(*pieces)
        making = {
            key: self._io.begin(key, partial(self._make, piece)) for key, piece in pieces.items() if key not in have
        }
        return have, making

    def read_anew(self, recipe: list[Piece]) -> list[Piece]:
        """Return the pieces whose blobs are read: those without a kept frame, and payloads that are stored as is."""
        keys = [self._key(piece) for piece in recipe]
        have = self._io.recall(*filter(None, keys))
        anew: list[Piece] = []
        for piece, key in zip(recipe, keys, strict=True):
            value = have.get(key)
            if value is None or (isinstance(piece, frames.Payload) and value.digest == piece.digest):
                anew.append(piece)
        return anew

    def _key(self, piece: Piece) -> str:
        """Name all that shapes the frame of a piece; empty if no blob is read for it: such a frame is not kept."""
        if isinstance(piece, frames.Payload):
            return f"frame {frames.LAYOUT} payload {piece.digest} {piece.start} {self._squeeze.id}"
        return f"frame {frames.LAYOUT} group {piece.key} {self._squeeze.id}" if piece.has_blobs else ""

    def _make(self, piece: Piece) -> Value:
        """Make the frame of a piece; a payload that is not worth squeezing is its own answer."""
        io = self._io
        if isinstance(piece, frames.Payload) and self._is_squeezed(piece):
            return Value(piece.digest, piece.size)
        with frames.opened(piece, io.open_blob) as source, io.create_blob() as blob:
            self._squeeze.compress(source, blob, frames.span(piece))
        return Value(blob.digest, blob.size)

    def _is_squeezed(self, piece: frames.Payload) -> bool:
        """Tell whether a payload is not worth squeezing; looked at once for all of its slices."""
        found = self._squeezed.get(piece.digest)
        if found is None:
            with self._io.open_blob(piece.digest) as stream:
                found = self._squeezed[piece.digest] = is_squeezed(stream, piece.size)
        return found

    def _segment(self, piece: Piece, frame: Value | None) -> Segment:
        if frame is None:
            made = BytesIO()
            with frames.opened(piece, self._io.open_blob) as source:
                self._squeeze.compress(source, made, frames.span(piece))
            return Segment.of_bytes(made.getvalue())
        if isinstance(piece, frames.Payload) and frame.digest == piece.digest:
            name = f"{self._squeeze.stored_id} {frames.SLICE} {piece.digest} {piece.start}"
            return Segment(name, write=partial(self._store, piece))
        return Segment.of_blob(frame.digest, frame.size)

    def _store(self, piece: Piece, out: Writer) -> None:
        with frames.opened(piece, self._io.open_blob) as source:
            self._squeeze.store(source, out, frames.span(piece))
