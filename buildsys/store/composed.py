"""Composed blobs: told as parts that are blobs themselves, and put together whenever they are read.

A layer of an image is its compressed frames one after the other. The frames are kept anyway, so that an edit costs one
of them; the layer is kept as the list of them. A list is sealed with the digest that it stands for.
"""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING, BinaryIO

from buildsys.archive.parts import open_part
from buildsys.archive.stored import FORMS
from buildsys.archive.streams import SizeFault
from buildsys.model.composition import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from typing_extensions import Buffer

    from buildsys.model.digest import Digest
    from buildsys.store.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS composed (digest BLOB PRIMARY KEY, parts BLOB NOT NULL);
"""

_SEAL = 32


def encode(digest: Digest, parts: Iterable[Part]) -> tuple[bytes, bytes]:
    """Return the row that tells what a blob is made of."""
    body = json.dumps([list(part) for part in parts], separators=(",", ":")).encode()
    return bytes.fromhex(digest), _seal(digest, body) + body


def find(database: Database, digest: Digest) -> tuple[Part, ...] | None:
    """Return what a blob is made of; None where nobody has told, or it is damaged, or of a later program."""
    rows = database.rows("SELECT parts FROM composed WHERE digest = ?", (bytes.fromhex(digest),))
    if not rows or not isinstance(rows[0][0], bytes):
        return None
    seal, body = rows[0][0][:_SEAL], rows[0][0][_SEAL:]
    if seal != _seal(digest, body):
        return None
    parts = tuple(Part(*part) for part in json.loads(body))
    return parts if all(not part.form or part.form in FORMS for part in parts) else None


def _seal(digest: Digest, body: bytes) -> bytes:
    return hashlib.sha256(digest.encode() + body).digest()


class ComposedReader(io.RawIOBase):
    """A composed blob as a stream; one part is open at a time. Raises as `open_part`."""

    def __init__(self, parts: Sequence[Part], open_blob: Callable[[Digest], BinaryIO]) -> None:
        super().__init__()
        self._parts = parts
        self._open_blob = open_blob
        self._ends = []
        self._size = 0
        for part in parts:
            self._size += part.size
            self._ends.append(self._size)
        self._at = 0
        self._number = -1
        self._stream: BinaryIO | None = None

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read from anywhere."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go on reading elsewhere; return the new position."""
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        self._leave()
        return self._at

    def readinto(self, buffer: Buffer, /) -> int:
        """Read what is left of the part at the position, or as much of it as there is room for."""
        view = memoryview(buffer).cast("B")
        if not view or self._at >= self._size:
            return 0
        stream = self._entered()
        data = stream.read(min(len(view), self._ends[self._number] - self._at))
        if not data:
            raise SizeFault(f"the blob {self._parts[self._number].blob} ends early")
        view[: len(data)] = data
        self._at += len(data)
        if self._at == self._ends[self._number]:
            self._leave()
        return len(data)

    def close(self) -> None:
        """Close what is open."""
        self._leave()
        super().close()

    def _entered(self) -> BinaryIO:
        """Return the part at the position, opened."""
        if self._stream is None:
            from bisect import bisect_right

            self._number = bisect_right(self._ends, self._at)
            part = self._parts[self._number]
            self._stream = open_part(part, self._open_blob)
            self._stream.seek(self._at - (self._ends[self._number] - part.size))
        return self._stream

    def _leave(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
