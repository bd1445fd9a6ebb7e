"""Canonical tar headers: POSIX ustar, with a pax record only for what ustar cannot say (POSIX.1-2017, pax).

The bytes are a function of the entry and the epoch: uid and gid are 0, their names empty, devices "0000000", the mode
of a link 0777. Names have no `./`; names of directories end with a slash. An archive ends with two zero blocks and
nothing else: filling up to the traditional 10240 bytes would make the last bytes depend on all others, and every reader
takes the short form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import adler32

from buildsys.archive.streams import BLOCK, padding
from buildsys.model.tree import DIRECTORY, SYMLINK

if TYPE_CHECKING:
    from buildsys.model.tree import Entry

EPOCH = 315532800
"""The default mtime in seconds: 1980-01-01T00:00:00Z, the earliest time that every archive format can state."""

END = bytes(2 * BLOCK)

_OCTAL_11 = 8**11
_NAME, _PREFIX = 100, 155
_FEW = 256
_FLAGS = {DIRECTORY: b"5", SYMLINK: b"2"}
_PAX_NAME = b"././@PaxHeader"


def header(entry: Entry, epoch: int = EPOCH) -> bytes:
    """Return the header of `entry`, whole blocks; its payload of `entry.size` bytes follows, padded to whole blocks.

    Raises `ValueError` when `epoch` is not between 0 and 8^11 - 1 seconds.
    """
    if not 0 <= epoch < _OCTAL_11:
        raise ValueError(f"an mtime of {epoch} seconds cannot be stated in a tar header")
    records = b""
    name, prefix = (entry.path + "/" if entry.kind == DIRECTORY else entry.path).encode(), b""
    if not name.isascii() or len(name) > _NAME:
        found = _split(name) if name.isascii() else None
        if found:
            prefix, name = found
        else:
            records += _record(b"path", name)
            name = _fallback(name)
    target = entry.target.encode() if entry.kind == SYMLINK else b""
    if not target.isascii() or len(target) > _NAME:
        records += _record(b"linkpath", target)
        target = _fallback(target)
    size = 0 if entry.kind in _FLAGS else entry.size
    if size >= _OCTAL_11:
        records += _record(b"size", b"%d" % size)
        size = 0
    mode = 0o777 if entry.kind == SYMLINK else entry.mode & 0o7777
    block = _ustar(name, mode, size, epoch, _FLAGS.get(entry.kind, b"0"), target, prefix)
    if not records:
        return block
    extra = _ustar(_PAX_NAME, 0o644, len(records), epoch, b"x", b"", b"")
    return extra + records + bytes(padding(len(records))) + block


def _ustar(name: bytes, mode: int, size: int, mtime: int, flag: bytes, target: bytes, prefix: bytes) -> bytes:
    """Lay out one ustar block; the checksum is over the block with spaces in its own place."""
    head = b"%-100b%07o\x000000000\x000000000\x00%011o\x00%011o\x00" % (b"", mode, size, mtime)
    head = name + bytes(_NAME - len(name)) + head[_NAME:]
    tail = flag + target + bytes(_NAME - len(target)) + b"ustar\x0000" + bytes(64) + b"0000000\x000000000\x00"
    tail += prefix + bytes(_PREFIX + 12 - len(prefix))
    checksum = _sum(head) + _sum(tail[:_FEW]) + _sum(tail[_FEW:]) + 8 * 0x20
    return b"%b%06o\x00 %b" % (head, checksum, tail)


def _sum(data: bytes) -> int:
    """Return the sum of at most 256 bytes, which `sum` would take five times as long for."""
    return (adler32(data) & 0xFFFF) - 1  # RFC 1950: its lower half is one more than the sum, modulo 65521


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """Split a name at a slash into ustar's prefix and name, the name as long as can be; None if it does not fit."""
    cut = name.find(b"/", max(len(name) - _NAME - 1, 1))
    if cut == -1 or cut > _PREFIX or cut == len(name) - 1:
        return None
    return name[:cut], name[cut + 1 :]


def _fallback(text: bytes) -> bytes:
    """Return what stands in the ustar field where a pax record has the real text: ASCII, at most 100 bytes."""
    return text.decode().encode("ascii", "replace")[:_NAME]


def _record(key: bytes, value: bytes) -> bytes:
    """Return one pax extended header record, `length key=value`, where the length counts its own digits."""
    rest = b" " + key + b"=" + value + b"\n"
    size = len(rest) + 1
    while size != len(rest) + len(str(size)):
        size = len(rest) + len(str(size))
    return str(size).encode() + rest
