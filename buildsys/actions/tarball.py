"""A tree as a tarball, put together from frames that are kept from build to build."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from buildsys.actions.emission import Emission
from buildsys.archive import compressors, frames, tar
from buildsys.archive.streams import Chunked, SizeFault, padding
from buildsys.errors import ActionFailed
from buildsys.model.action import ActionIO, Artifact, BaseOperation, Segment, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
            recipe = Emission(io, squeeze).read_anew(recipe)
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
            Emission(io, squeeze).begin(list(frames.slices(payload.digest, payload.size)))

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
                _write_frames(io, squeeze, recipe)
        except SizeFault as error:
            raise ActionFailed(
                "B706",
                f"a blob of '{self.tree.name}' does not have the size its tree states: {error}",
                hint="the store is damaged; build once more with another --disk_cache",
            ) from error


def _write_frames(io: ActionIO, squeeze: Compressor, recipe: list[Piece]) -> None:
    """Write a tarball of frames; what comes first is written while what comes later is compressed."""
    emission = Emission(io, squeeze)
    known, rest = emission.sequence(recipe)
    segments = [emission.segment(frame) for frame in known]
    io.assemble(segments, rest=None if rest is None else map(emission.segment, rest))


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
