"""The mirror: blobs that compress like real ones, because they are cut from the programs of this machine.

One blob in four is gzipped, as archives of images are; the others are programs. Deterministic on one machine.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import platform
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

NEW = (1, 2, 4)
"""The numbers of the blobs that a new version has other contents of: programs, and large ones."""
PLACES = (
    "/usr/bin",
    "/usr/sbin",
    "/usr/libexec",
    "/usr/lib",
    f"/usr/lib/{platform.machine()}-linux-gnu",
    "/usr/local/bin",
)
"""Where programs and libraries are looked for."""
_RATIO = 2.6
"""About how many bytes of programs make one byte of gzip."""


class Blob(NamedTuple):
    """One file of the mirror: its name in the tree, and its address, size and digest in one version."""

    name: str
    file: str
    size: int
    sha256: str

    @property
    def executable(self) -> bool:
        """Whether it is a program."""
        return not self.name.endswith(".gz")

    @property
    def place(self) -> str:
        """Its path in the tree."""
        return f"{'bin' if self.executable else 'images'}/{self.name}"


class Mirror(NamedTuple):
    """The blobs of each version, the first one being number 0."""

    folder: Path
    versions: tuple[tuple[Blob, ...], ...]


def make_mirror(folder: Path, count: int, total_bytes: int, versions: int) -> Mirror:
    """Write the blobs of all versions: `count` of about `total_bytes` in all, some of which each version has anew."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(1) as aside:  # hundreds of megabytes of memory that end with it
        return Mirror(folder, aside.submit(_make, folder, count, total_bytes, versions).result())


def _make(folder: Path, count: int, total_bytes: int, versions: int) -> tuple[tuple[Blob, ...], ...]:
    weights = [1.0 / (1 + number) for number in range(count)]
    sizes = [max(4096, int(total_bytes * weight / sum(weights))) for weight in weights]
    material = Material(total_bytes * 2)
    first = tuple(_write(folder, number, size, material, 0) for number, size in enumerate(sizes))
    made = [first]
    for version in range(1, versions):
        blobs = list(first)
        for number in NEW:
            if number < count:
                blobs[number] = _write(folder, number, sizes[number], material, version)
        made.append(tuple(blobs))
    return tuple(made)


def _write(folder: Path, number: int, size: int, material: Material, version: int) -> Blob:
    name = f"blob-{number:02}.gz" if number % 4 == 3 else f"blob-{number:02}"
    data = material.content(name, size)
    file = f"{name}-{version}" if number in NEW else name
    (folder / file).write_bytes(data)
    return Blob(name, file, len(data), hashlib.sha256(data).hexdigest())


class Material:
    """The programs and libraries of this machine, largest first, one after the other."""

    def __init__(self, wanted: int) -> None:
        self._pieces: list[bytes] = []
        have = 0
        for path in _programs():
            self._pieces.append(path.read_bytes())
            have += len(self._pieces[-1])
            if have >= wanted:
                break
        self._whole = have
        self._position = 0

    def content(self, name: str, size: int) -> bytes:
        """Return the next bytes as a file called `name`, of about `size` bytes: gzipped if its name ends in .gz."""
        if name.endswith(".gz"):
            return gzip.compress(self.cut(int(size * _RATIO)), 1, mtime=0)
        return self.cut(size)

    def cut(self, size: int) -> bytes:
        """Return the next bytes; where all are used up they begin again, a little further on."""
        parts = []
        while size:
            rounds, rest = divmod(self._position, self._whole)
            offset = (rest + rounds * 4097) % self._whole
            for piece in self._pieces:
                if offset < len(piece):
                    parts.append(piece[offset : offset + size])
                    break
                offset -= len(piece)
            size -= len(parts[-1])
            self._position += len(parts[-1])
        return b"".join(parts)


def _programs() -> list[Path]:
    found: list[tuple[int, str]] = []
    for folder in filter(os.path.isdir, PLACES):
        with os.scandir(folder) as entries:
            files = [(-entry.stat().st_size, entry.path) for entry in entries if entry.is_file(follow_symlinks=False)]
            found += [(size, path) for size, path in files if -size > 1 << 20 and _is_elf(path)]
    return [Path(path) for _, path in sorted(found)] or [Path(sys.executable)]


def _is_elf(path: str) -> bool:
    with open(path, "rb") as stream:
        return stream.read(4) == b"\x7fELF"
