"""OciLayer: a tree as a layer of an image, composed of frames that are kept from build to build."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, ClassVar

from buildsys.actions.chunks import Chunks
from buildsys.actions.emission import Emission
from buildsys.actions.states import hash_segments, untold
from buildsys.archive import compressors, frames, tar
from buildsys.archive.streams import SizeFault
from buildsys.errors import ActionFailed
from buildsys.model.action import ActionIO, Artifact, BaseOperation, Segment, Value
from buildsys.model.composition import Part
from buildsys.model.digest import Digest
from buildsys.oci.image import Descriptor
from buildsys.oci.layer import CHUNKED, Layer, compression, media_type

if TYPE_CHECKING:
    from buildsys.actions.emission import Frame
    from buildsys.archive.compressors import Compressor
    from buildsys.archive.frames import Piece
    from buildsys.model.action import Writer
    from buildsys.model.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class OciLayer(BaseOperation):
    """Output 0: `tree` as a compressed tar archive, composed of frames; output 1: what an image says of it.

    `format` is one of `oci.layer.FORMATS`, `level` its level (0: the default one), `epoch` the mtime of all entries in
    seconds. What is new is compressed; what both digests begin with (of the layer, of its tar) is not hashed again.
    """

    MNEMONIC: ClassVar[str] = "OciLayer"
    VERSION: ClassVar[int] = 1
    ANTICIPATED: ClassVar[int] = frames.LARGE

    tree: Artifact
    format: str = "gzip"
    level: int = 0
    epoch: int = tar.EPOCH

    @property
    def tools(self) -> tuple[str, ...]:
        """The library that compresses."""
        return compressors.tools(compression(self.format))

    def needs(self, io: ActionIO) -> Iterable[Digest]:
        """The tree, the blobs of which no frame is kept, and those whose bytes are yet to be hashed."""
        tree = io.tree(self.tree)
        recipe = self._recipe(tree)
        anew = Emission(io, self._squeeze()).read_anew(recipe)
        anew += recipe[untold(io, [_plain(io, piece) for piece in recipe]) :]
        if self.format == CHUNKED:
            anew += Chunks(io, tree, recipe, self.epoch).read_anew()
        found = {digest for piece in anew for digest in frames.digests(piece)}
        return [io.value(self.tree).digest, *sorted(found)]

    @property
    def in_advance(self) -> str:
        """A frame depends on the payload and the compressor: the same as a tarball's."""
        return f"{self.format} {self.level}"

    def anticipate(self, io: ActionIO, payload: Value) -> None:
        """Begin the frames of a payload that will be in the tree."""
        slices = frames.slices(payload.digest, payload.size, bare=self.format == CHUNKED)
        Emission(io, self._squeeze()).begin(list(slices))

    def execute(self, io: ActionIO) -> None:
        """Compose the layer. Raises `ActionFailed` B706 when a blob does not have the size its tree states."""
        tree = io.tree(self.tree)
        recipe = self._recipe(tree)
        emission = Emission(io, self._squeeze())
        chunks = Chunks(io, tree, recipe, self.epoch) if self.format == CHUNKED else None
        try:
            known, rest = emission.sequence(recipe)  # helpers compress while the tar is hashed
            if chunks:
                chunks.begin()
            diff_id = hash_segments(io, [_plain(io, piece) for piece in recipe]).digest
            parts: list[Part] = []
            segments = [*_segments(io, emission, known, parts)]
            others = _segments(io, emission, rest or (), parts)
            if chunks:
                ending = chunks.ending(parts, self._squeeze())
                others = chain(others, _segments(io, emission, ending, parts))
            layer = hash_segments(io, segments, others)
        except SizeFault as error:
            raise ActionFailed(
                "B706",
                f"a blob of '{self.tree.name}' does not have the size its tree states: {error}",
                hint="the store is damaged; build once more with another --disk_cache",
            ) from error
        io.compose(layer.digest, parts)
        annotations = chunks.annotations if chunks else ()
        described = Descriptor(media_type(self.format), layer.digest, layer.size, annotations=annotations)
        io.write(Layer(described, diff_id, len(tree.entries)).to_bytes(), 1)

    def _recipe(self, tree: Tree) -> list[Piece]:
        make = frames.chunked_recipe if self.format == CHUNKED else frames.recipe
        return list(make(tree, self.epoch))

    def _squeeze(self) -> Compressor:
        squeeze = compressors.compressor(compression(self.format), self.level)
        assert squeeze is not None  # noqa: S101 - of no format it is
        return squeeze


def _plain(io: ActionIO, piece: Piece) -> Segment:
    """Return a piece as a stretch of the uncompressed archive."""
    name = (
        piece.key if isinstance(piece, frames.Group) else f"{piece.digest} {piece.start} {piece.length}+{piece.zeros}"
    )
    return Segment(f"tar {name}", write=partial(_write_content, io, piece))


def _write_content(io: ActionIO, piece: Piece, out: Writer) -> None:
    for data in frames.content(piece, io.open_blob):
        out.write(data)


def _segments(io: ActionIO, emission: Emission, made: Iterable[Frame], parts: list[Part]) -> Iterator[Segment]:
    """Yield frames as stretches of the layer, and note in `parts` what it is composed of."""
    for frame in made:
        parts.append(Part(io.put_blob(frame), len(frame)) if isinstance(frame, bytes) else frame)
        yield emission.segment(frame)
