"""Content that no compressor can squeeze: how it is told, and gzip members and zstd frames that hold it as it is.

Both forms are plain enough to be written by hand, so their bytes depend on no library, and they need not be kept: they
are the content with a few bytes between its pieces.
"""

from __future__ import annotations

import struct
import zlib
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO

from buildsys.archive import gzip
from buildsys.archive.streams import pieces, read_full

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from buildsys.archive.streams import Readable
    from buildsys.model.action import Writer

FORM = 1
"""The version of these forms: raise it when the same content would give other bytes."""

_MAGIC = (b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00", b"BZh")
_SAMPLE = 16 << 10
_DEFLATE_BLOCK = 0xFFFF
_ZSTD_BLOCK = 128 << 10
_ZSTD_FRAME = b"\x28\xb5\x2f\xfd\xc0\x38"
"""RFC 8878 §3.1.1.1: magic; descriptor: content size in 8 bytes, no checksum; window descriptor: 128 KiB."""


def is_squeezed(content: BinaryIO, size: int) -> bool:
    """Tell whether `content` of `size` bytes is not worth compressing. A function of the content alone.

    True for gzip, zstd, xz and bzip2 by magic, else if the bytes of three samples (begin, middle, end) are all spread
    nearly evenly: the sum of squared counts is at most a quarter above that of an even spread, in whole numbers. (Seen:
    compressed data 1.01 to 1.3 times an even spread, texts and programs 7 times and more.) The stream is left anywhere.
    """
    if read_full(content, 6).startswith(_MAGIC):
        return True
    if size < 3 * _SAMPLE:
        return False
    for start in (0, size // 2, size - _SAMPLE):
        content.seek(start)
        sample = read_full(content, _SAMPLE)
        squares = sum(sample.count(value) ** 2 for value in range(256))
        if squares * 256 * 4 > _SAMPLE * _SAMPLE * 5:
            return False
    return True


def store_gzip(src: Readable, dst: Writer, size: int) -> None:
    """Write `src`, which holds `size` bytes, as one gzip member of stored blocks (RFC 1951 §3.2.4).

    Raises `ValueError` when `src` holds more or fewer bytes.
    """
    dst.write(gzip.HEADER)
    crc = done = 0
    for piece in pieces(src, _DEFLATE_BLOCK):
        done += len(piece)
        crc = zlib.crc32(piece, crc)
        dst.write(struct.pack("<BHH", done >= size, len(piece), len(piece) ^ 0xFFFF) + piece)
    if done != size:
        raise ValueError(f"the content has {done} bytes, not {size}")
    if not size:
        dst.write(struct.pack("<BHH", 1, 0, 0xFFFF))
    dst.write(gzip.trailer(crc, size))


def store_zstd(src: Readable, dst: Writer, size: int) -> None:
    """Write `src`, which holds `size` bytes, as one zstd frame of raw blocks (RFC 8878 §3.1.1.2).

    The window is small, so that any decoder can stream it. Raises `ValueError` when `src` holds more or fewer bytes.
    """
    dst.write(_ZSTD_FRAME + struct.pack("<Q", size))
    done = 0
    for piece in pieces(src, _ZSTD_BLOCK):
        done += len(piece)
        dst.write((len(piece) << 3 | (done >= size)).to_bytes(3, "little") + piece)
    if done != size:
        raise ValueError(f"the content has {done} bytes, not {size}")
    if not size:
        dst.write(b"\x01\x00\x00")


def stored_size(form: str, size: int) -> int:
    """Return the bytes that `size` bytes take in one of `FORMS`."""
    if form == STORED_GZIP:
        return len(gzip.HEADER) + 5 * max(1, -(-size // _DEFLATE_BLOCK)) + size + 8
    return len(_ZSTD_FRAME) + 8 + 3 * max(1, -(-size // _ZSTD_BLOCK)) + size


STORED_GZIP, STORED_ZSTD = f"stored {FORM} gzip", f"stored {FORM} zstd"

FORMS: Mapping[str, Callable[[Readable, Writer, int], None]] = MappingProxyType(
    {STORED_GZIP: store_gzip, STORED_ZSTD: store_zstd}
)
"""The forms by name: a name tells all that shapes their bytes besides the content."""
