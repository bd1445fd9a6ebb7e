"""Members of a zip archive (APPNOTE 6.3), in the order of its central directory."""

from __future__ import annotations

import stat
import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from buildsys.archive.fault import ArchiveFault
from buildsys.archive.streams import read_full
from buildsys.model.digest import CHUNK
from buildsys.model.tree import DIRECTORY, FILE, SYMLINK

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator
    from typing import IO

_MAX_LINK = 4096
_UNIX = 3


class ZipItem(NamedTuple):
    """A member as it stands; `reader` has its content and checks its CRC at the end."""

    name: str
    kind: str
    mode: int
    size: int
    target: str
    reader: _Checked


def read_zip(stream: BinaryIO) -> Iterator[ZipItem]:
    """Yield the members of a zip archive. Raises `ArchiveFault` (damaged, or hostile for special files)."""
    import zipfile

    try:
        with zipfile.ZipFile(stream) as archive:
            for info in archive.infolist():
                yield from _item(archive, info)
    except ArchiveFault:
        raise
    except _broken() as error:
        raise ArchiveFault("damaged", f"the zip archive is broken: {str(error) or 'cut short'}") from error


def _broken() -> tuple[type[Exception], ...]:
    """Return what zipfile raises over damage: its own error, and whatever comes of offsets and sizes that are wrong."""
    import lzma
    from zipfile import BadZipFile

    return BadZipFile, NotImplementedError, EOFError, OSError, ValueError, struct.error, zlib.error, lzma.LZMAError


def _item(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[ZipItem]:
    name = info.orig_filename
    if "\\" in name or "\0" in name:
        raise ArchiveFault("hostile", "its name has a backslash or a NUL", ascii(name)[1:-1])
    if info.flag_bits & 1:
        raise ArchiveFault("damaged", "it is encrypted", name)
    attributes = info.external_attr >> 16 if info.create_system == _UNIX else 0
    form = stat.S_IFMT(attributes)
    kind = DIRECTORY if name.endswith("/") else SYMLINK if form == stat.S_IFLNK else FILE
    if form not in {0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK}:
        raise ArchiveFault("hostile", "it is a device, fifo or socket", name)
    mode = stat.S_IMODE(attributes) or (0o755 if kind == DIRECTORY else 0o644)
    with archive.open(info) as content:
        reader = _Checked(content, name)
        target = ""
        if kind == SYMLINK:
            if info.file_size > _MAX_LINK:
                raise ArchiveFault("hostile", "its link target is too long", name)
            try:
                target = read_full(reader, _MAX_LINK).decode()
            except UnicodeDecodeError as error:
                raise ArchiveFault("hostile", "its link target is not UTF-8", name) from error
        yield ZipItem(name, kind, mode, info.file_size if kind == FILE else 0, target, reader)
        while reader.read(CHUNK):
            pass  # so that its CRC is seen


class _Checked:
    """The content of a member; what zipfile raises becomes an `ArchiveFault`."""

    def __init__(self, content: IO[bytes], name: str) -> None:
        self._content = content
        self._name = name

    def read(self, size: int = CHUNK, /) -> bytes:
        try:
            return self._content.read(size)
        except _broken() as error:
            raise ArchiveFault("damaged", f"it is broken: {str(error) or 'cut short'}", self._name) from error
