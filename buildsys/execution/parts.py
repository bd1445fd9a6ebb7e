"""Composed blobs in files: what they are made of is copied within the kernel where it can be."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from buildsys.archive.parts import write_part
from buildsys.archive.streams import SizeFault
from buildsys.execution.copying import copy_range
from buildsys.store.cas import BlobMissing

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildsys.model.composition import Part
    from buildsys.model.digest import Digest
    from buildsys.store.cas import BlobStore


class Buffered(Protocol):
    """What is written to a file, not all of it at once."""

    def write(self, data: bytes | bytearray | memoryview, /) -> int: ...
    def flush(self) -> None: ...


class Target(NamedTuple):
    """A file that stands where more is to be written: through `out`, or, once that is flushed, through `descriptor`.

    `check` may raise to give up.
    """

    out: Buffered
    descriptor: int
    check: Callable[[], None]


def write_parts(blobs: BlobStore, digest: Digest, parts: tuple[Part, ...], target: Target) -> dict[Digest, int]:
    """Write the composed blob `digest`; return the blobs that the kernel copied, and of each how many bytes.

    Raises `BlobMissing` of `digest` when a part is not there, or not what is told of it.
    """
    copied: dict[Digest, int] = {}
    try:
        for part in parts:
            target.check()
            if part.form or blobs.path(part.blob) is None:
                write_part(part, blobs.open, target.out)
                continue
            target.out.flush()
            with blobs.open(part.blob) as source:
                if _size(source) != part.size:
                    raise BlobMissing(digest)
                if copy_range(source.fileno(), target.descriptor, part.size, target.check) < part.size:
                    raise BlobMissing(digest)
            copied[part.blob] = copied.get(part.blob, 0) + part.size
    except (BlobMissing, SizeFault) as lost:
        raise BlobMissing(digest) from lost
    return copied


def _size(stream: BinaryIO) -> int:
    return stream.seek(0, io.SEEK_END)
