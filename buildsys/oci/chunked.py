"""Layers in the form zstd:chunked, of which a client fetches only the files that it does not have.

Every payload is in frames of its own. Behind the archive, in skippable frames (RFC 8878 §3.1.2), which other readers
pass over, come a table of contents and a footer; annotations of the layer say where the table is. The form is that of
github.com/containers/storage, `pkg/chunked`, without its tar-split. The footer is the one of 40 bytes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from buildsys.model.digest import digest_bytes
from buildsys.model.tree import DIRECTORY, FILE, SYMLINK
from buildsys.oci.image import canonical_json, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from buildsys.model.digest import Digest
    from buildsys.model.tree import Entry
    from buildsys.oci.image import Json

FAMILIES = ("io.containers.zstd-chunked.", "io.github.containers.zstd-chunked.")
"""What the names of the annotations begin with: for podman up to 4, and for later releases."""

_KINDS = {FILE: "reg", DIRECTORY: "dir", SYMLINK: "symlink"}
_SKIPPABLE = b"\x50\x2a\x4d\x18"
_MAGIC = b"GnUlInUx"
_MANIFEST_TYPE = 1
_HEAD = len(_SKIPPABLE) + 4


class Chunk(NamedTuple):
    """A stretch of a file, `size` bytes from `start` on, of digest `digest`: the frame in bytes `offset` to `end`."""

    offset: int
    end: int
    start: int
    size: int
    digest: Digest


class Table(NamedTuple):
    """A compressed table of contents of `length` bytes when expanded, to stand at byte `at` of a layer."""

    compressed: bytes
    length: int
    at: int

    @property
    def frames(self) -> bytes:
        """The skippable frames that end the layer."""
        position = (self.at + _HEAD, len(self.compressed), self.length, _MANIFEST_TYPE)
        return _skippable(self.compressed) + _skippable(struct.pack("<4Q", *position) + _MAGIC)

    @property
    def annotations(self) -> tuple[tuple[str, str], ...]:
        """What the descriptor of the layer says of the table, in the order of names."""
        checksum = f"sha256:{digest_bytes(self.compressed)}"
        position = f"{self.at + _HEAD}:{len(self.compressed)}:{self.length}:{_MANIFEST_TYPE}"
        found = []
        for family in FAMILIES:
            found += [(f"{family}manifest-checksum", checksum), (f"{family}manifest-position", position)]
        return tuple(found)


def contents(entries: Iterable[tuple[Entry, Sequence[Chunk]]], epoch: int) -> bytes:
    """Return the table of contents (`internal.TOC` of that package): entries, each with its chunks, first to last."""
    stated: list[Json] = []
    for entry, chunks in entries:
        stated.append(_stated(entry, chunks, timestamp(epoch)))
        name = entry.path
        stated += [{"type": "chunk", "name": name, **_range(chunk), "endOffset": chunk.end} for chunk in chunks[1:]]
    return canonical_json({"version": 1, "entries": stated})


def _stated(entry: Entry, chunks: Sequence[Chunk], modtime: str) -> dict[str, Json]:
    """Return an entry as its tar header has it. Its `endOffset` is that of its last chunk."""
    found: dict[str, Json] = {
        "type": _KINDS[entry.kind],
        "name": entry.path + "/" if entry.kind == DIRECTORY else entry.path,
        "mode": 0o777 if entry.kind == SYMLINK else entry.mode & 0o7777,
        "uid": 0,
        "gid": 0,
        "modtime": modtime,
    }
    if entry.kind == SYMLINK:
        found["linkName"] = entry.target
    if chunks:
        found |= {"size": entry.size, "digest": f"sha256:{entry.digest}"}
        found |= {"offset": chunks[0].offset, "endOffset": chunks[-1].end}
    if len(chunks) > 1:
        found |= _range(chunks[0])
    return found


def _range(chunk: Chunk) -> dict[str, Json]:
    return {
        "offset": chunk.offset,
        "chunkOffset": chunk.start,
        "chunkSize": chunk.size,
        "chunkDigest": f"sha256:{chunk.digest}",
    }


def _skippable(data: bytes) -> bytes:
    return _SKIPPABLE + struct.pack("<I", len(data)) + data
