"""The mirror: blobs that compress like real binaries, because they are cut from the programs of this machine."""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple


class Blob(NamedTuple):
    """One file of the mirror."""

    name: str
    path: Path
    size: int
    sha256: str


def make_mirror(folder: Path, count: int, total_bytes: int) -> list[Blob]:
    """Write `count` blobs of `total_bytes` in all: sizes fall off evenly, contents are cut from installed programs."""
    folder.mkdir(parents=True, exist_ok=True)
    material = _material(total_bytes)
    weights = [1.0 / (1 + number) for number in range(count)]
    blobs = []
    position = 0
    for number, weight in enumerate(weights):
        size = max(4096, int(total_bytes * weight / sum(weights)))
        data = b"".join(_cut(material, position, size))
        position += size
        path = folder / f"blob-{number:02}"
        path.write_bytes(data)
        blobs.append(Blob(path.name, path, size, hashlib.sha256(data).hexdigest()))
    return blobs


def _material(wanted: int) -> list[bytes]:
    """Return the programs and libraries of this machine, largest first, up to the size wanted (or all there are)."""
    folders = [
        "/usr/bin",
        "/usr/lib",
        sysconfig.get_paths()["stdlib"],
        os.path.dirname(os.path.dirname(sys.executable)),
    ]
    files: dict[tuple[int, int], Path] = {}
    for folder in folders:
        for path in Path(folder).rglob("*"):
            if path.is_file() and not path.is_symlink() and path.stat().st_size > 1 << 20:
                with path.open("rb") as stream:
                    if stream.read(4) == b"\x7fELF":
                        files[(-path.stat().st_size, path.stat().st_ino)] = path
    pieces, have = [], 0
    for key in sorted(files):
        pieces.append(files[key].read_bytes())
        have += len(pieces[-1])
        if have >= wanted:
            break
    return pieces


def _cut(material: list[bytes], position: int, size: int) -> list[bytes]:
    """Return `size` bytes of the material from `position` on; where it is used up it begins again, shifted."""
    whole = sum(map(len, material))
    parts = []
    while size:
        offset = (position + (position // whole) * 4097) % whole
        for piece in material:
            if offset < len(piece):
                part = piece[offset : offset + size]
                parts.append(part)
                size -= len(part)
                position += len(part)
                break
            offset -= len(piece)
    return parts
