"""Gzip members (RFC 1952) of fixed bytes: a hand-written header around raw deflate by the runtime's zlib."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from buildsys.archive.streams import pieces

if TYPE_CHECKING:
    from buildsys.archive.streams import Readable
    from buildsys.model.action import Writer

HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""RFC 1952 §2.3: deflate, no flags, MTIME 0 (none), XFL 0, OS 255 (unknown)."""

LEVELS = range(1, 10)


def library_version() -> str:
    """Return the version of the zlib in use, which shapes the bytes of deflate."""
    return zlib.ZLIB_RUNTIME_VERSION


def compressor_id(level: int) -> str:
    """Return all that shapes a member's bytes besides its content, as text for keys."""
    return f"zlib-{library_version()}-level{level}"


def compress_stream(src: Readable, dst: Writer, size: int, level: int) -> None:
    """Compress `src`, which holds `size` bytes, to one member. Raises `ValueError` when it holds more or fewer.

    Input goes to zlib in pieces of a fixed size, so that the bytes depend on content, level and zlib alone; the GIL is
    free meanwhile.
    """
    squeeze = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, 8, zlib.Z_DEFAULT_STRATEGY)
    crc = done = 0
    dst.write(HEADER)
    for piece in pieces(src):
        crc = zlib.crc32(piece, crc)
        done += len(piece)
        if out := squeeze.compress(piece):
            dst.write(out)
    if done != size:
        raise ValueError(f"the content has {done} bytes, not {size}")
    dst.write(squeeze.flush() + trailer(crc, size))


def trailer(crc: int, size: int) -> bytes:
    """Return CRC32 and ISIZE (the size modulo 2^32) that end a member (RFC 1952 §2.3.1)."""
    return struct.pack("<II", crc, size & 0xFFFFFFFF)
