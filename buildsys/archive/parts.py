"""The bytes of the parts of a composition (`model.composition`): a blob as it is, or a stretch of one in a form."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

from buildsys.archive.stored import FORMS
from buildsys.archive.streams import Padded, Section, SizeFault, copy

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildsys.model.action import Writer
    from buildsys.model.composition import Part
    from buildsys.model.digest import Digest

    Opener = Callable[[Digest], BinaryIO]


def write_part(part: Part, open_blob: Opener, out: Writer) -> None:
    """Write a part. Raises as `open_blob`, and `SizeFault` when the blob has not the size that is stated."""
    with open_blob(part.blob) as stream:
        if part.form:
            stream.seek(part.start)
            source = Padded(Section(stream, part.length), part.length, part.zeros)
            FORMS[part.form](source, out, part.length + part.zeros)
            return
        there = stream.seek(0, io.SEEK_END)
        if there != part.size:
            raise SizeFault(f"the blob {part.blob} has {there} bytes, not {part.size}")
        stream.seek(0)
        copy(stream, out)


def open_part(part: Part, open_blob: Opener) -> BinaryIO:
    """Open a part for reading: one that has a form is small enough to be held in memory. Raises as `write_part`."""
    if part.form:
        held = io.BytesIO()
        write_part(part, open_blob, held)
        held.seek(0)
        return held
    stream = open_blob(part.blob)
    there = stream.seek(0, io.SEEK_END)
    if there != part.size:
        stream.close()
        raise SizeFault(f"the blob {part.blob} has {there} bytes, not {part.size}")
    stream.seek(0)
    return stream
