"""Headers and payloads of a tar archive, front to back: ustar, pax, GNU long names and base-256 numbers.

Strict where `tarfile` is lenient: a bad checksum, a cut or a missing end-of-archive block is damage, not the end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from buildsys.archive.detect import is_tar_header
from buildsys.archive.fault import ArchiveFault
from buildsys.archive.streams import BLOCK, Section, padding, read_full
from buildsys.model.digest import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildsys.archive.streams import Readable

_OCTAL = re.compile(rb"[0-7]+")
_DECIMAL = re.compile(rb"[0-9]{1,20}")
_LENGTH = re.compile(rb"([0-9]{1,7}) ")
_MAX_EXTRA = 1 << 20
"""The most bytes of a pax header or long name: names of a megabyte are an attack."""


class TarHeader(NamedTuple):
    """A header as it stands: `flag` is the typeflag, names are as written, `payload` is read before the next header."""

    name: str
    flag: str
    mode: int
    size: int
    target: str
    payload: Section


def read_tar(source: Readable) -> Iterator[TarHeader]:
    """Yield the headers of a tar archive, each with its payload, then read the source to its end.

    Raises `ArchiveFault` (damaged).
    """
    overall: dict[str, bytes] = {}
    extra: dict[str, bytes] = {}
    while any(block := _block(source)):
        if not is_tar_header(block):
            raise ArchiveFault("damaged", "a tar header has a wrong checksum")
        flag, size = block[156:157].decode("latin-1"), _number(block[124:136])
        if flag in "xgLK":
            data = _extra(source, size)
            if flag in "LK":
                extra["path" if flag == "L" else "linkpath"] = data.split(b"\0")[0]
            else:
                (overall if flag == "g" else extra).update(_pax(data))
            continue
        header = _header(source, block, flag, {**overall, **extra})
        extra = {}
        yield header
        header.payload.skip()
        Section(source, padding(header.size)).skip()
    while source.read(CHUNK):
        pass  # so that a compressor's checksum is seen


def _block(source: Readable) -> bytes:
    block = read_full(source, BLOCK)
    if not block:
        raise ArchiveFault("damaged", "it is cut short: there is no end-of-archive block")
    if len(block) < BLOCK:
        raise ArchiveFault("damaged", "it is cut short in a header")
    return block


def _header(source: Readable, block: bytes, flag: str, pax: dict[str, bytes]) -> TarHeader:
    name, target = _field(block[:100]), _field(block[157:257])
    if block[257:263] == b"ustar\0" and (prefix := _field(block[345:500])):
        name = prefix + b"/" + name
    name, target = pax.get("path", name), pax.get("linkpath", target)
    if flag == "S" or any(key.startswith("GNU.sparse.") for key in pax):
        raise ArchiveFault("damaged", "sparse members are not supported", _text(name))
    size = _number(block[124:136])
    if "size" in pax:
        if not _DECIMAL.fullmatch(pax["size"]):
            raise ArchiveFault("damaged", "its pax size is no number", _text(name))
        size = int(pax["size"])
    if flag in "\x007" or flag == "0":
        flag = "5" if flag == "\0" and name.endswith(b"/") else "0"
    elif size and flag == "1":
        raise ArchiveFault("damaged", "a hard link has a payload", _text(name))
    else:
        size = 0
    return TarHeader(_text(name), flag, _number(block[100:108]) & 0o7777, size, _text(target), Section(source, size))


def _field(data: bytes) -> bytes:
    return data.split(b"\0", 1)[0]


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        shown = name.decode("utf-8", "backslashreplace")
        raise ArchiveFault("hostile", "its name is not UTF-8", shown) from None


def _number(data: bytes) -> int:
    """Read an octal number, or GNU's base-256 for what octal digits cannot hold."""
    if data[0] == 0x80:
        return int.from_bytes(data[1:], "big")
    digits = data.strip(b"\0 ") or b"0"
    if not _OCTAL.fullmatch(digits):
        raise ArchiveFault("damaged", f"a tar header has {data!r} for a number")
    return int(digits, 8)


def _extra(source: Readable, size: int) -> bytes:
    if size > _MAX_EXTRA:
        raise ArchiveFault("hostile", f"an extended header has {size} bytes")
    data = read_full(source, size + padding(size))
    if len(data) < size:
        raise ArchiveFault("damaged", "it is cut short in an extended header")
    return data[:size]


def _pax(data: bytes) -> dict[str, bytes]:
    """Read pax records, `length key=value newline` each, where the length counts itself."""
    records: dict[str, bytes] = {}
    position = 0
    while position < len(data):
        length = _LENGTH.match(data, position)
        end = position + int(length[1]) if length else 0
        record = data[length.end() : end] if length else b""
        key, equals, value = record[:-1].partition(b"=")
        if not equals or record[-1:] != b"\n" or end > len(data):
            raise ArchiveFault("damaged", "a pax header cannot be read")
        records[key.decode("utf-8", "replace")] = value
        position = end
    return records
