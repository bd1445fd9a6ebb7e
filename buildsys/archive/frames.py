"""The recipe of a tarball: which headers and payloads in which order, cut into pieces that are compressed on their own.

A tarball is its directories, then its large payloads, then its small entries (files and links), each in path order.
A large payload is a piece of its own, without its header, so that its compressed frame serves any name, mode and time.
The rest is grouped; a group ends where the hash of a path says so, hence a new entry moves the borders of one group.
The end-of-archive blocks belong to the last group.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from buildsys.archive import tar
from buildsys.archive.streams import Padded, padding
from buildsys.model.digest import CHUNK
from buildsys.model.tree import DIRECTORY, FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from buildsys.model.action import Writer
    from buildsys.model.digest import Digest
    from buildsys.model.tree import Entry, Tree

LAYOUT = 1
"""The version of this recipe: raise it when the same tree would give other pieces."""

LARGE = 64 << 10
"""Payloads of at least this many bytes are pieces of their own."""

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
    """A large payload and its padding: the same piece whatever file holds it."""

    digest: Digest
    size: int


Piece: TypeAlias = Group | Payload
Opener: TypeAlias = "Callable[[Digest], BinaryIO]"


def recipe(tree: Tree, epoch: int = tar.EPOCH) -> Iterator[Piece]:
    """Yield the pieces of the tarball of `tree`; their bytes in order are the canonical tar archive.

    Raises `ValueError` when a header cannot state `epoch`.
    """
    entries = tree.entries
    yield from _groups((entry for entry in entries if entry.kind == DIRECTORY), epoch)
    for entry in entries:
        if _is_large(entry):
            yield Group((Part(tar.header(entry, epoch)),))
            yield Payload(entry.digest, entry.size)
    yield from _groups((e for e in entries if e.kind != DIRECTORY and not _is_large(e)), epoch, tar.END)


def content(piece: Piece, open_blob: Opener) -> Iterator[bytes]:
    """Yield the uncompressed bytes of a piece. Raises `ValueError` when a blob does not have the size of its entry."""
    for data, digest, size in parts(piece):
        if data:
            yield data
        if digest:
            with open_blob(digest) as stream:
                padded = Padded(stream, size)
                while chunk := padded.read(CHUNK):
                    yield chunk


def parts(piece: Piece) -> tuple[Part, ...]:
    """Return what a piece is made of."""
    return (Part(b"", *piece),) if isinstance(piece, Payload) else piece.parts


def span(piece: Piece) -> int:
    """Return the number of uncompressed bytes of a piece."""
    return sum(part.span for part in parts(piece))


def write_tar(tree: Tree, open_blob: Opener, sink: Writer, epoch: int = tar.EPOCH) -> None:
    """Write the canonical tar archive of `tree`, uncompressed. Raises `ValueError` as `recipe` and `content`."""
    for piece in recipe(tree, epoch):
        for chunk in content(piece, open_blob):
            sink.write(chunk)


def _is_large(entry: Entry) -> bool:
    return entry.kind == FILE and entry.size >= LARGE


def _groups(entries: Iterable[Entry], epoch: int, end: bytes = b"") -> Iterator[Group]:
    """Group the headers and payloads of `entries`; the last group holds `end`, if only that."""
    held: list[Part] = []
    size = 0
    for entry in entries:
        is_file = entry.kind == FILE and entry.size > 0
        part = Part(tar.header(entry, epoch), *((entry.digest, entry.size) if is_file else ()))
        if held and size + part.span > GROUP:
            yield Group(tuple(held))
            held, size = [], 0
        held.append(part)
        size += part.span
        if _is_border(entry.path, part.span):
            yield Group(tuple(held))
            held, size = [], 0
    if end and size + len(end) > GROUP:
        yield Group(tuple(held))
        held = []
    if held or end:
        yield Group((*held, Part(end)) if end else tuple(held))


def _is_border(path: str, span: int) -> bool:
    """Tell whether a group ends after `path`: by its hash, the likelier the more bytes it takes."""
    number = int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "big")
    return number % _MEAN < span
