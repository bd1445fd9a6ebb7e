"""The recipe of a tarball: which headers and payloads in which order, cut into pieces that are compressed on their own.

Entries come in the order of a walk: a directory once, then all that is in it. Among siblings, large files come first,
then directories with large files somewhere below, then the rest, by name: what changes most is small, so most of an
archive is a prefix that stays.

A large payload is cut into slices, each a piece of its own, without its header, so that a compressed frame serves any
name, mode and time, and processors can share a file. The rest is grouped; a group ends before a large payload and where
the hash of a path says so, hence a new entry moves the borders of one group. The end-of-archive blocks belong to the
last group.

Why a walk, and not all large files first: GNU tar sets mode and time of a directory when it meets a member outside of
it, so later members spoil the time, or (mode 0555, plain user) cannot be written; bsdtar does not mend the time of a
directory that files came before; and the unpackers of cluster images remove what is in the way of a member, a directory
with all its files too.
"""

from __future__ import annotations

import hashlib
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from buildsys.archive import tar
from buildsys.archive.streams import Chunked, Padded, Section, SizeFault, padding
from buildsys.model.digest import CHUNK
from buildsys.model.tree import FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from buildsys.archive.streams import Readable
    from buildsys.model.action import Writer
    from buildsys.model.digest import Digest
    from buildsys.model.tree import Entry, Tree

LAYOUT = 2
"""The version of this recipe: raise it when the same tree would give other pieces."""

LARGE = 64 << 10
"""Payloads of at least this many bytes are pieces of their own."""

SLICE = 4 << 20
"""The bytes of a piece of a payload, its last one excepted. Twice as many compress to a quarter of a percent less."""

GROUP = 256 << 10
"""The most uncompressed bytes in a group of more than one entry."""

_MEAN = 96 << 10
"""The mean distance of group borders in bytes, before `GROUP` forces some."""


class Part(NamedTuple):
    """Literal bytes, followed by the blob `digest` of `size` bytes (if any) and its padding."""

    data: bytes
    digest: Digest = ""
    size: int = 0

    @property
    def span(self) -> int:
        """The bytes this part takes in the archive."""
        return len(self.data) + self.size + padding(self.size)


class Group(NamedTuple):
    """Parts that are compressed together."""

    parts: tuple[Part, ...]

    @property
    def key(self) -> Digest:
        """The identity of the uncompressed bytes, told without reading a blob."""
        hasher = hashlib.sha256()
        for part in self.parts:
            hasher.update(b"%d %d %b\n" % (len(part.data), part.size, part.digest.encode()) + part.data)
        return hasher.hexdigest()

    @property
    def has_blobs(self) -> bool:
        """True when a blob has to be read to make these bytes."""
        return any(part.digest for part in self.parts)


class Payload(NamedTuple):
    """A slice of a large payload of `size` bytes, from `start` on: the same piece whatever file holds it.

    The last slice has the payload's padding, unless it is `bare`.
    """

    digest: Digest
    size: int
    start: int = 0
    bare: bool = False

    @property
    def key(self) -> str:
        """The identity of the uncompressed bytes: a bare slice is another one only where there is padding."""
        kind = " bare" if self.bare and self._replace(bare=False).zeros else ""
        return f"{self.digest} {self.start}{kind}"

    @property
    def length(self) -> int:
        """The bytes of the slice, without padding."""
        return min(SLICE, self.size - self.start)

    @property
    def zeros(self) -> int:
        """The bytes of padding that belong to it."""
        return padding(self.size) if self.start + self.length == self.size and not self.bare else 0


Piece: TypeAlias = Group | Payload
Opener: TypeAlias = "Callable[[Digest], BinaryIO]"


def recipe(tree: Tree, epoch: int = tar.EPOCH) -> Iterator[Piece]:
    """Yield the pieces of the tarball of `tree`; their bytes in order are the canonical tar archive.

    Raises `ValueError` when a header cannot state `epoch`.
    """
    held: list[Part] = []
    size = 0
    for entry in walk(tree):
        is_large = _is_large(entry)
        has_payload = entry.kind == FILE and entry.size > 0 and not is_large
        data = tar.header(entry, epoch)
        part = Part(data, entry.digest, entry.size) if has_payload else Part(data)
        span = part.span
        if held and size + span > GROUP:
            yield Group(tuple(held))
            held, size = [], 0
        held.append(part)
        size += span
        if is_large or _is_border(entry.path, span):
            yield Group(tuple(held))
            held, size = [], 0
        if is_large:
            yield from slices(entry.digest, entry.size)
    if held and size + len(tar.END) > GROUP:
        yield Group(tuple(held))
        held = []
    yield Group((*held, Part(tar.END)))


def chunked_recipe(tree: Tree, epoch: int = tar.EPOCH) -> Iterator[Piece]:
    """Yield pieces as `recipe`, of the same bytes in all: every payload, however small, in pieces of its own.

    What is between payloads, padding and headers, is a group. Raises as `recipe`.
    """
    held = bytearray()
    for entry in walk(tree):
        held += tar.header(entry, epoch)
        if entry.kind == FILE and entry.size:
            yield Group((Part(bytes(held)),))
            yield from slices(entry.digest, entry.size, bare=True)
            held = bytearray(padding(entry.size))
    yield Group((Part(bytes(held) + tar.END),))


def slices(digest: Digest, size: int, *, bare: bool = False) -> Iterator[Payload]:
    """Yield the pieces of a large payload, with its padding or `bare`."""
    return (Payload(digest, size, start, bare) for start in range(0, size, SLICE))


def walk(tree: Tree) -> list[Entry]:
    """Return the entries in the order of the archive (see the top of this module)."""
    heavy: set[str] = set()
    for entry in filter(_is_large, tree.entries):
        parent = entry.path.rpartition("/")[0]
        while parent and parent not in heavy:
            heavy.add(parent)
            parent = parent.rpartition("/")[0]
    keys = {"": ""}
    for entry in tree.entries:
        parent, _, name = entry.path.rpartition("/")
        rank = 0 if _is_large(entry) else 1 if entry.path in heavy else 2
        keys[entry.path] = f"{keys[parent]}\0{rank}{name}"
    return sorted(tree.entries, key=lambda entry: keys[entry.path])


def content(piece: Piece, open_blob: Opener) -> Iterator[bytes]:
    """Yield the uncompressed bytes of a piece. Raises `SizeFault` when a blob does not have the size of its entry."""
    if isinstance(piece, Payload):
        with opened(piece, open_blob) as source:
            while chunk := source.read(CHUNK):
                yield chunk
        return
    for data, digest, size in piece.parts:
        if data:
            yield data
        if digest:
            with open_blob(digest) as stream:
                padded = Padded(stream, size)
                while chunk := padded.read(CHUNK):
                    yield chunk


@contextmanager
def opened(piece: Piece, open_blob: Opener) -> Iterator[Readable]:
    """Open the uncompressed bytes of a piece: as `content`, but read in pieces of any size, without further copies."""
    if isinstance(piece, Group):
        yield Chunked(content(piece, open_blob))
        return
    with open_blob(piece.digest) as stream:
        there = stream.seek(0, io.SEEK_END)
        if there != piece.size:
            raise SizeFault(f"the payload has {there} bytes, not {piece.size}")
        stream.seek(piece.start)
        section = Section(stream, piece.length)
        yield Padded(section, piece.length, piece.zeros)


def digests(piece: Piece) -> list[Digest]:
    """Return the digests of the blobs that a piece is made of."""
    return [piece.digest] if isinstance(piece, Payload) else [part.digest for part in piece.parts if part.digest]


def span(piece: Piece) -> int:
    """Return the number of uncompressed bytes of a piece."""
    return piece.length + piece.zeros if isinstance(piece, Payload) else sum(part.span for part in piece.parts)


def write_tar(tree: Tree, open_blob: Opener, sink: Writer, epoch: int = tar.EPOCH) -> None:
    """Write the canonical tar archive of `tree`, uncompressed. Raises `ValueError` as `recipe` and `content`."""
    for piece in recipe(tree, epoch):
        for chunk in content(piece, open_blob):
            sink.write(chunk)


def _is_large(entry: Entry) -> bool:
    return entry.kind == FILE and entry.size >= LARGE


def _is_border(path: str, span: int) -> bool:
    """Tell whether a group ends after `path`: by its hash, the likelier the more bytes it takes."""
    number = int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "big")
    return number % _MEAN < span
