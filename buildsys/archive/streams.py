"""Byte streams in pieces: full reads, bounded copies, windows and padding. No stream is ever held in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from buildsys.archive.fault import ArchiveFault
from buildsys.model.digest import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildsys.model.action import Writer

BLOCK = 512
"""The block of a tar archive, in bytes."""


class Readable(Protocol):
    """What can be read from front to back; an empty answer is the end."""

    def read(self, size: int, /) -> bytes: ...


def padding(size: int) -> int:
    """Return the number of zero bytes that fill `size` bytes up to whole tar blocks."""
    return -size % BLOCK


def read_full(source: Readable, size: int) -> bytes:
    """Read `size` bytes, fewer only at the end of `source`, however short its single answers are."""
    data = source.read(size)
    if len(data) == size or not data:
        return data
    parts, have = [data], len(data)
    while have < size and (data := source.read(size - have)):
        parts.append(data)
        have += len(data)
    return b"".join(parts)


def pieces(source: Readable, size: int = CHUNK) -> Iterator[bytes]:
    """Yield `source` in pieces of exactly `size` bytes, the last one excepted: what compressors see is fixed."""
    while piece := read_full(source, size):
        yield piece


def copy(source: Readable, sink: Writer) -> int:
    """Copy `source` to its end and return the number of bytes."""
    copied = 0
    while data := source.read(CHUNK):
        sink.write(data)
        copied += len(data)
    return copied


class Section:
    """The next `size` bytes of a source, as a stream; `left` tells how many are still to come.

    Reading raises `ArchiveFault` (damaged) when the source ends before them.
    """

    def __init__(self, source: Readable, size: int) -> None:
        self._source = source
        self.left = size

    def read(self, size: int = CHUNK, /) -> bytes:
        if size < 0 or size > self.left:
            size = self.left
        if not size:
            return b""
        data = self._source.read(size)
        if not data:
            raise ArchiveFault("damaged", f"it is cut short: {self.left} more bytes were to come")
        self.left -= len(data)
        return data

    def skip(self) -> None:
        """Read what is left, to no end."""
        while self.left:
            self.read(CHUNK)


class SizeFault(ValueError):
    """A payload that does not have the size that was stated for it."""


class Padded:
    """A payload of `size` bytes followed by `zeros`: by default, as many as fill its last tar block.

    Raises `SizeFault` when the payload is shorter or longer than stated: a tar header has named its size before.
    """

    def __init__(self, source: Readable, size: int, zeros: int | None = None) -> None:
        self._source = source
        self._left = size
        self._zeros = padding(size) if zeros is None else zeros

    def read(self, size: int = CHUNK, /) -> bytes:
        if self._left:
            data = self._source.read(min(size, self._left) if size >= 0 else self._left)
            if not data:
                raise SizeFault(f"the payload ends {self._left} bytes early")
            self._left -= len(data)
            if not self._left and self._source.read(1):
                raise SizeFault("the payload is longer than stated")
            return data
        count = min(size, self._zeros) if size >= 0 else self._zeros
        self._zeros -= count
        return bytes(count)


class Chunked:
    """Pieces of bytes, of any sizes, as one stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def read(self, size: int = CHUNK, /) -> bytes:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)


class Prefixed:
    """Bytes that were read ahead, then the rest of a source."""

    def __init__(self, data: bytes, source: Readable) -> None:
        self._data = data
        self._source = source

    def read(self, size: int, /) -> bytes:
        if self._data:
            data, self._data = self._data[:size], self._data[size:]
            return data
        return self._source.read(size)
