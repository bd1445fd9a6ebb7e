"""Archives, hostile ones too, from a description with a member a line.

file NAME [TEXT]       a file
dir NAME               a folder
link NAME TARGET       a symbolic link
hardlink NAME TARGET   a hard link
device NAME            a character device
fifo NAME              a pipe
zeros NAME SIZE        a file of SIZE zeros; compressed, it takes a thousandth of that
cut                    the archive ends here, in the middle of a block
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile

_KINDS = {
    "link": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "device": tarfile.CHRTYPE,
    "fifo": tarfile.FIFOTYPE,
    "dir": tarfile.DIRTYPE,
}
_PIECE = 64 << 20


def archive(description: str, form: str) -> bytes:
    """Return the bytes of an archive; the same description gives the same bytes."""
    lines = [line.split(" ", 2) for line in description.splitlines() if line]
    if form == "zip":
        return _zip(lines)
    pieces: list[bytes] = []
    cut = False
    for kind, *rest in lines:
        cut = cut or kind == "cut"
        if not cut:
            pieces += _member(kind, rest, form)
    pieces.append(b"\0" * 300 if cut else b"\0" * 1024)
    return b"".join(pieces) if form == "tar" else b"".join(p if p[:2] == b"\x1f\x8b" else _gzip(p) for p in pieces)


def _member(kind: str, rest: list[str], form: str) -> list[bytes]:
    info = tarfile.TarInfo(rest[0])
    info.type = _KINDS.get(kind, tarfile.REGTYPE)
    if kind in {"link", "hardlink"}:
        info.linkname = rest[1]
    if kind == "zeros":
        info.size = int(rest[1])
        zeros = _gzip(bytes(_PIECE))
        return [info.tobuf(tarfile.GNU_FORMAT), *[zeros] * (info.size // _PIECE)]
    data = (rest[1] + "\n").encode() if kind == "file" and len(rest) > 1 else b""
    info.size = len(data)
    padding = b"\0" * (-len(data) % 512)
    return [info.tobuf(tarfile.GNU_FORMAT) + data + padding]


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


def _zip(lines: list[list[str]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for kind, name, *rest in lines:
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = (0o120777 if kind == "link" else 0o100644) << 16
            out.writestr(info, rest[0] if rest else "")
    return buffer.getvalue()
