"""Members of any archive, front to back: tar under any compression, zip, and the files of a Debian package.

The format is told by content. Whatever could write or point outside of where it is unpacked is refused, as is what
unpacks to too much: nobody who reads members has to think of that again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from buildsys.archive import ar, detect, zip_reader
from buildsys.archive.fault import ArchiveFault
from buildsys.archive.guard import Guard, normalise
from buildsys.archive.limits import Limits, Meter, Metered
from buildsys.archive.streams import BLOCK, Prefixed, Readable, read_full
from buildsys.archive.tar_reader import read_tar
from buildsys.model.tree import DIRECTORY, FILE, SYMLINK

if TYPE_CHECKING:
    from collections.abc import Iterator

HARDLINK = "h"

FORMATS = ("auto", "tar", "zip", "deb")
_TAR_KINDS = {"0": FILE, "1": HARDLINK, "2": SYMLINK, "5": DIRECTORY}
_SPECIAL = {"3": "a character device", "4": "a block device", "6": "a fifo"}
_DEFAULT = Limits()


class Member(NamedTuple):
    """One member: a relative name without `./`, `kind` (FILE, DIRECTORY, SYMLINK or HARDLINK), permission bits, bytes.

    `target` is the text of a symbolic link, or the name of the earlier member a hard link repeats. `reader` has the
    content until the next member is asked for.
    """

    name: str
    kind: str
    mode: int
    size: int
    target: str
    reader: Readable


def read_members(stream: BinaryIO, expect: str = "auto", limits: Limits = _DEFAULT) -> Iterator[Member]:
    """Yield the members of the archive in `stream`, which must be seekable, in order; of a .deb, those of data.tar.

    All members, frames and streams are read to the end, so checksums are too. Raises `ArchiveFault`: `hostile` for
    names and links that leave the root, special files, names that stand twice; `damaged` for what is cut short, broken,
    no archive or not the format `expect` (one of `FORMATS`); `bomb` past `limits`.
    """
    packed = stream.seek(0, 2)
    stream.seek(0)
    meter = Meter(limits, packed)
    head = read_full(stream, BLOCK)
    stream.seek(0)
    container = detect.container_of(head)
    compression = "" if container else detect.compression_of(head)
    found = {"ar": "deb"}.get(container, container or ("tar" if compression else ""))
    if not found:
        raise ArchiveFault("damaged", f"it is not an archive but {detect.describe(head)}")
    if expect not in {"auto", found}:
        raise ArchiveFault("damaged", f"it is a {found} archive, not {expect}")
    guard = Guard()
    if found == "zip":
        members = _zip_members(stream, meter)
    elif found == "deb":
        members = _deb_members(stream, meter)
    else:
        members = _tar_members(stream, compression, meter)
    for count, member in enumerate(members, 1):
        meter.count(count)
        guard.admit(member.name, member.kind, member.target)
        yield member


def _tar_members(source: Readable, compression: str, meter: Meter) -> Iterator[Member]:
    if compression:
        source = detect.open_compressed(source, compression)
        head = read_full(source, BLOCK)
        if detect.container_of(head) != "tar":
            raise ArchiveFault("damaged", f"it is no tar archive but {detect.describe(head)} within {compression}")
        source = Prefixed(head, source)
    for header in read_tar(Metered(source, meter)):
        kind = _TAR_KINDS.get(header.flag)
        if kind is None:
            if header.flag in _SPECIAL:
                raise ArchiveFault("hostile", f"it is {_SPECIAL[header.flag]}", header.name)
            raise ArchiveFault("damaged", f"it is of the unknown type {header.flag!r}", header.name)
        name = normalise(header.name)
        if not name and kind == DIRECTORY:
            continue
        meter.foresee(header.size, name)
        target = normalise(header.target) if kind == HARDLINK else header.target if kind == SYMLINK else ""
        yield Member(name, kind, header.mode, header.size, target, header.payload)


def _zip_members(stream: BinaryIO, meter: Meter) -> Iterator[Member]:
    for item in zip_reader.read_zip(stream):
        name = normalise(item.name)
        if not name and item.kind == DIRECTORY:
            continue
        meter.foresee(item.size, name)
        yield Member(name, item.kind, item.mode, item.size, item.target, Metered(item.reader, meter))


def _deb_members(stream: BinaryIO, meter: Meter) -> Iterator[Member]:
    found = False
    for name, payload in ar.read_ar(stream):
        if not found and name == "debian-binary":
            continue
        if name.startswith("data.tar"):
            found = True
            head = read_full(payload, BLOCK)
            source = Prefixed(head, payload)
            yield from _tar_members(source, detect.compression_of(head), meter)
    if not found:
        raise ArchiveFault("damaged", "it is an ar archive without data.tar, so no Debian package")
