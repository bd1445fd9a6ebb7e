"""What a file is by its first bytes, and its content behind any compression. Names are never asked."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from buildsys.archive.fault import ArchiveFault
from buildsys.archive.streams import BLOCK
from buildsys.model.digest import CHUNK

if TYPE_CHECKING:
    import bz2
    import lzma
    from collections.abc import Callable

    from buildsys.archive.streams import Readable

_COMPRESSIONS = ((b"\x1f\x8b", "gzip"), (b"\xfd7zXZ\x00", "xz"), (b"BZh", "bzip2"), (b"\x28\xb5\x2f\xfd", "zstd"))
_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
_OCTAL = re.compile(rb"[0-7]+")
_XZ_MEMORY = 512 << 20
_IN = 64 << 10


def compression_of(head: bytes) -> str:
    """Return `gzip`, `xz`, `bzip2`, `zstd` or the empty string for a file that begins with `head`."""
    for magic, name in _COMPRESSIONS:
        if head.startswith(magic):
            return name
    return "zstd" if _SKIPPABLE.match(head) else ""


def container_of(head: bytes) -> str:
    """Return `zip`, `ar`, `tar` or the empty string for a file that begins with the 512 bytes `head`."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return "zip"
    if head.startswith(b"!<arch>\n"):
        return "ar"
    return "tar" if is_tar_header(head) or (len(head) == BLOCK and not any(head)) else ""


def is_tar_header(block: bytes) -> bool:
    """Tell whether a block has the checksum of a tar header: of its bytes, unsigned or (old tars) signed."""
    if len(block) != BLOCK:
        return False
    digits = block[148:156].strip(b"\0 ")
    if not _OCTAL.fullmatch(digits):
        return False
    stated = int(digits, 8)
    rest = block[:148] + block[156:]
    unsigned = sum(rest) + 8 * 0x20
    return stated in {unsigned, unsigned - 256 * sum(byte > 127 for byte in rest)}


def describe(head: bytes) -> str:
    """Say in a few words what a file that is no archive is, as seen by its first bytes."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:256].lower()
    if not head:
        return "an empty file"
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return "an HTML page"
    if text.startswith((b"<?xml", b"<error")):
        return "an XML document"
    if text.startswith((b"{", b"[")):
        return "a JSON document"
    for magic, name in ((b"\x7fELF", "an ELF binary"), (b"#!", "a script"), (b"MZ", "a Windows program")):
        if head.startswith(magic):
            return name
    if compression := compression_of(head):
        return f"a {compression} stream"
    if all(byte >= 0x20 or byte in b"\t\r\n" for byte in head[:256]):
        line = head[:60].decode("utf-8", "replace").splitlines()[0] if text else ""
        return f"text that begins with '{line}'"
    return f"unknown data that begins with {head[:8].hex(' ')}"


class _Codec(NamedTuple):
    """A decompressor for one stream after the other, and what it raises."""

    make: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]
    error: type[Exception] | tuple[type[Exception], ...]
    name: str


def open_compressed(source: Readable, compression: str) -> Readable:
    """Return the content of a compressed stream: of all its members, streams or frames.

    Reading it raises `ArchiveFault` (damaged) for data that is broken, cut short or followed by something else.
    """
    import bz2
    import lzma

    if compression == "gzip":
        return _Gzip(source)
    if compression == "zstd":
        return _Zstd(source)
    if compression == "bzip2":
        return _Streams(source, _Codec(bz2.BZ2Decompressor, (OSError, ValueError), compression))
    xz = _Codec(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY), lzma.LZMAError, compression)
    return _Streams(source, xz)


class _Streams:
    """Content of concatenated bzip2 or xz streams; zeros between and after them are padding (xz format §2.2)."""

    def __init__(self, source: Readable, codec: _Codec) -> None:
        self._source = source
        self._codec = codec
        self._current = codec.make()
        self._ahead = b""

    def read(self, size: int = CHUNK, /) -> bytes:
        while True:
            if self._current.eof and not self._next():
                return b""
            data = self._more() if self._current.needs_input else b""
            if not data and self._current.needs_input:
                raise ArchiveFault("damaged", f"the {self._codec.name} stream is cut short")
            try:
                if out := self._current.decompress(data, size):
                    return out
            except self._codec.error as error:
                raise ArchiveFault("damaged", f"the {self._codec.name} stream is broken: {error}") from error

    def _next(self) -> bool:
        """Start the stream after the one that has ended; False at the end."""
        data = self._current.unused_data
        while not (data := data.lstrip(b"\0")):
            if not (data := self._more()):
                return False
        self._current = self._codec.make()
        self._ahead = data
        return True

    def _more(self) -> bytes:
        data, self._ahead = self._ahead, b""
        return data or self._source.read(_IN)


class _Gzip:
    """Content of all members of a gzip file (RFC 1952 §2.2); zeros after the last one are padding."""

    def __init__(self, source: Readable) -> None:
        import gzip

        self._file = gzip.GzipFile(fileobj=cast("BinaryIO", source), mode="rb")
        self._errors = (gzip.BadGzipFile, EOFError, zlib.error)

    def read(self, size: int = CHUNK, /) -> bytes:
        try:
            return self._file.read(size)
        except self._errors as error:
            cut = isinstance(error, EOFError)
            reason = "is cut short" if cut else f"is broken: {error}"
            raise ArchiveFault("damaged", f"the gzip stream {reason}") from error


class _Zstd:
    """Content of all frames of a zstd file."""

    def __init__(self, source: Readable) -> None:
        from buildsys.adapters import zstd

        self._reader = zstd.FrameReader(source)
        self._error = zstd.ZstdFault

    def read(self, size: int = CHUNK, /) -> bytes:
        try:
            return self._reader.read(size)
        except self._error as error:
            raise ArchiveFault("damaged", f"the zstd stream is broken: {error}") from error
