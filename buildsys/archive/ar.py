"""Members of an ar archive (the common format of Debian's deb(5)), front to back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.archive.fault import ArchiveFault
from buildsys.archive.streams import Section, read_full

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildsys.archive.streams import Readable

MAGIC = b"!<arch>\n"
_HEADER = 60


def read_ar(source: Readable) -> Iterator[tuple[str, Section]]:
    """Yield name and payload of each member; a payload is to be read before the next member is asked for.

    Raises `ArchiveFault` (damaged).
    """
    if read_full(source, len(MAGIC)) != MAGIC:
        raise ArchiveFault("damaged", "it is no ar archive")
    while header := read_full(source, _HEADER):
        digits = header[48:58].strip()
        if len(header) < _HEADER or header[58:] != b"`\n" or not digits.isdigit():
            raise ArchiveFault("damaged", "an ar header cannot be read")
        payload = Section(source, int(digits))
        odd = payload.left % 2
        yield header[:16].decode("latin-1").rstrip(" ").rstrip("/"), payload
        payload.skip()
        if odd:
            source.read(1)
