"""Zstandard (RFC 8878) through the zstandard library, which brings its own libzstd."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from buildsys.model.digest import CHUNK

if TYPE_CHECKING:
    from typing import Protocol

    from buildsys.model.action import Writer

    class Readable(Protocol):
        """What can be read from front to back; an empty answer is the end."""

        def read(self, size: int, /) -> bytes: ...


LEVELS = range(1, 20)
"""Levels above 19 need windows that decoders refuse by default."""

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
    in pieces of a fixed size. The GIL is free meanwhile. Raises `ValueError` when `src` does not hold `size` bytes.
    """
    import zstandard

    compressor = zstandard.ZstdCompressor(level=level, write_content_size=True, write_checksum=True, threads=0)
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

    def __init__(self, source: BinaryIO) -> None:
        import zstandard

        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        self._error = zstandard.ZstdError
        self._reader = decompressor.stream_reader(source, read_size=CHUNK, read_across_frames=True, closefd=False)

    def read(self, size: int = CHUNK, /) -> bytes:
        """Return up to `size` bytes. Raises `ZstdFault` for damage and for windows above `MAX_WINDOW`."""
        try:
            return self._reader.read(size)
        except self._error as error:
            raise ZstdFault(str(error).removeprefix("zstd decompress error: ")) from error


def _full(src: Readable, size: int) -> bytes:
    data = src.read(size)
    while data and len(data) < size and (more := src.read(size - len(data))):
        data += more
    return data
