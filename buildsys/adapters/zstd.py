"""Zstandard (RFC 8878) through the zstandard library, which brings its own libzstd."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, cast

from buildsys.model.digest import CHUNK

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Protocol

    from buildsys.model.action import Writer

    class Readable(Protocol):
        """What can be read from front to back; an empty answer is the end."""

        def read(self, size: int, /) -> bytes: ...


LEVELS = range(1, 20)
"""Levels above 19 need windows that decoders refuse by default."""

AT_ONCE = 8 << 20
"""Content of up to this many bytes is handed to libzstd in one piece, which takes a fifth less time."""

MAX_WINDOW = 128 << 20
"""Bytes of window a frame may ask for: what the zstd program allows by default."""


class ZstdFault(ValueError):
    """Data that is not Zstandard, or is damaged; the text is libzstd's."""


def library_version() -> str:
    """Return the version of libzstd, which shapes the bytes of every frame."""
    import zstandard

    return ".".join(map(str, zstandard.ZSTD_VERSION))


def compressor_id(level: int) -> str:
    """Return all that shapes a frame's bytes besides its content, as text for keys."""
    return f"zstd-{library_version()}-level{level}"


def compress_stream(src: Readable, dst: Writer, size: int, level: int) -> None:
    """Compress `src`, which holds `size` bytes, to one frame with content size and checksum (RFC 8878 §3.1.1).

    The bytes depend on content, level and libzstd alone: one thread a frame (more threads give other bytes), and input
    in one piece or, above `AT_ONCE`, in pieces of a fixed size. The GIL is free meanwhile. Raises `ValueError` when
    `src` does not hold `size` bytes.
    """
    import zstandard

    compressor = zstandard.ZstdCompressor(level=level, write_content_size=True, write_checksum=True, threads=0)
    if size <= AT_ONCE:
        data = _full(src, size)
        if len(data) != size or src.read(1):
            raise ValueError(f"the content differs from its stated size of {size} bytes")
        try:
            dst.write(compressor.compress(data))
        except zstandard.ZstdError as error:
            raise ZstdFault(str(error)) from error
        return
    chunker = compressor.chunker(size=size, chunk_size=CHUNK)
    left = size
    try:
        while piece := _full(src, CHUNK):
            left -= len(piece)
            if left < 0:
                break
            for out in chunker.compress(piece):
                dst.write(out)
        if left:
            raise ValueError(f"the content differs from its stated size by {abs(left)} bytes or more")
        for out in chunker.finish():  # type: ignore[no-untyped-call]
            dst.write(out)
    except zstandard.ZstdError as error:
        raise ZstdFault(str(error)) from error


class FrameReader:
    """Reads the content of all frames of a stream, skippable ones left out; bounded in memory by the window."""

    def __init__(self, source: Readable) -> None:
        import zstandard

        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        whole = cast("BinaryIO", _Whole(source))
        self._error = zstandard.ZstdError
        self._reader = decompressor.stream_reader(whole, read_size=CHUNK, read_across_frames=True, closefd=False)

    def read(self, size: int = CHUNK, /) -> bytes:
        """Return up to `size` bytes. Raises `ZstdFault` for damage, cut streams and windows above `MAX_WINDOW`."""
        try:
            return self._reader.read(size)
        except self._error as error:
            raise ZstdFault(str(error).removeprefix("zstd decompress error: ")) from error


class _Whole:
    """A compressed stream that raises `ZstdFault` where it ends within a frame: the library takes that for its end."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._walk = _frames()
        self._skip, self._want, self._between = next(self._walk)
        self._have = b""

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        if not data and (self._skip or self._have or not self._between):
            raise ZstdFault("the stream is cut short")
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at += step
                continue
            end = at + self._want - len(self._have)
            self._have += data[at:end]
            at = end
            if len(self._have) == self._want:
                have, self._have = self._have, b""
                self._skip, self._want, self._between = self._walk.send(have)
        return data


def _frames() -> Generator[tuple[int, int, bool], bytes, None]:
    """Walk the structure of frames (RFC 8878 §3.1): yield how many bytes to skip, how many then to hand over.

    The third value tells whether a stream may end after the skipped bytes.
    """
    skip = 0
    while True:
        magic = yield skip, 4, True
        if int.from_bytes(magic, "little") >> 4 == 0x184D2A5:
            skip = int.from_bytes((yield 0, 4, False), "little")
            continue
        if magic != b"\x28\xb5\x2f\xfd":
            raise ZstdFault("something else follows the last frame")
        descriptor = (yield 0, 1, False)[0]
        single = descriptor >> 5 & 1
        skip = 1 - single + (0, 1, 2, 4)[descriptor & 3] + (single, 2, 4, 8)[descriptor >> 6]
        last = 0
        while not last:
            block = int.from_bytes((yield skip, 3, False), "little")
            last = block & 1
            skip = 1 if block >> 1 & 3 == 1 else block >> 3
        skip += 4 * (descriptor >> 2 & 1)


def _full(src: Readable, size: int) -> bytes:
    """Read `size` bytes, fewer only at the end: as `archive.streams.read_full`, which is a layer above."""
    parts, have = [], 0
    while have < size and (data := src.read(size - have)):
        parts.append(data)
        have += len(data)
    return parts[0] if len(parts) == 1 else b"".join(parts)
