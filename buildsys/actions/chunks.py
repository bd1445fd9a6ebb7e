"""What a layer in the form zstd:chunked has besides its frames: a table of its files and of their chunks."""

from __future__ import annotations

import hashlib
from functools import partial
from io import BytesIO
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from buildsys.archive import frames
from buildsys.model.action import Value
from buildsys.model.digest import CHUNK
from buildsys.model.tree import FILE
from buildsys.oci.chunked import Chunk, Table, contents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from buildsys.archive.compressors import Compressor
    from buildsys.archive.frames import Payload, Piece
    from buildsys.model.action import ActionIO
    from buildsys.model.composition import Part
    from buildsys.model.digest import Digest
    from buildsys.model.tree import Entry, Tree


class Chunks:
    """The chunks of the files of `tree`, whose archive is cut as `recipe`.

    The digests of the slices of a payload are by-products: a payload is read for them once. `annotations` are those of
    the layer, once its `ending` is made.
    """

    def __init__(self, io: ActionIO, tree: Tree, recipe: Sequence[Piece], epoch: int) -> None:
        self._io = io
        self._tree = tree
        self._recipe = recipe
        self._epoch = epoch
        self._waits: dict[Payload, Callable[[], Value]] = {}
        self.annotations: tuple[tuple[str, str], ...] = ()

    def read_anew(self) -> list[Payload]:
        """Return the slices whose digests are not kept."""
        have = self._io.recall(*map(_key, self._slices()))
        return [piece for piece in self._slices() if _key(piece) not in have]

    def begin(self) -> None:
        """Begin to hash the slices whose digests are not kept."""
        io = self._io
        self._waits = {piece: io.begin(_key(piece), partial(_hash, io, piece)) for piece in self.read_anew()}

    def ending(self, parts: Sequence[Part], squeeze: Compressor) -> Iterator[bytes]:
        """Yield the end of the layer whose frames, one for each piece, are `parts`. Waits for what was begun."""
        digests = self._digests()
        ends = list(accumulate((part.size for part in parts), initial=0))
        chunks = (
            Chunk(offset, end, piece.start, piece.length, digests.get(piece, piece.digest))
            for piece, (offset, end) in zip(self._recipe, pairwise(ends), strict=True)
            if isinstance(piece, frames.Payload)
        )
        data = contents(_divided(self._tree, chunks), self._epoch)
        compressed = BytesIO()
        squeeze.compress(BytesIO(data), compressed, len(data))
        table = Table(compressed.getvalue(), len(data), ends[-1])
        self.annotations = table.annotations
        yield table.frames

    def _digests(self) -> dict[Payload, Digest]:
        made = {piece: wait() for piece, wait in self._waits.items()}
        have = self._io.recall(*(_key(piece) for piece in self._slices() if piece not in made))
        found = {}
        for piece in self._slices():
            value = made.get(piece) or have[_key(piece)]
            with self._io.open_blob(value.digest) as stream:
                found[piece] = stream.read().decode()
        return found

    def _slices(self) -> list[Payload]:
        """Return the pieces that are no whole payload, each once."""
        pieces = (p for p in self._recipe if isinstance(p, frames.Payload) and p.length < p.size)
        return list(dict.fromkeys(pieces))


def _divided(tree: Tree, chunks: Iterator[Chunk]) -> Iterator[tuple[Entry, list[Chunk]]]:
    """Yield each entry with its chunks, in the order of the archive."""
    for entry in frames.walk(tree):
        found: list[Chunk] = []
        left = entry.size if entry.kind == FILE else 0
        while left:
            found.append(next(chunks))
            left -= found[-1].size
        yield entry, found


def _key(piece: Payload) -> str:
    return f"slice {piece.digest} {piece.start}+{piece.length}"


def _hash(io: ActionIO, piece: Payload) -> Value:
    hasher = hashlib.sha256()
    with frames.opened(piece, io.open_blob) as source:
        while data := source.read(CHUNK):
            hasher.update(data)
    text = hasher.hexdigest().encode()
    return Value(io.put_blob(text), len(text))
