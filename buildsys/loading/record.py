"""Records: what a BUILD.yaml declares, target by target, in built-in types that can be marshalled.

Records depend on the text of their file, the rules and the parameters of the workspace alone: nothing in them was
looked up on disk, so globs are as they are written and labels are not known to lead anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from buildsys.model.document import unpack
from buildsys.model.label import Label
from buildsys.model.target import Attributes, Target

if TYPE_CHECKING:
    from buildsys.model.document import Mark
    from buildsys.model.target import WrittenAttributes

Row = tuple[tuple[str, str], ...]
Glob = tuple[tuple[str, ...], tuple[str, ...], bool, "Mark"]
"""Patterns to include, patterns to exclude, whether nothing may match, and where it is written."""


class Record(NamedTuple):
    """A target before its globs are matched; of one with a matrix, all its rows. `refs` and `values` as in `Target`."""

    rule: str
    rows: tuple[tuple[str, Row], ...]
    mark: Mark
    refs: tuple[str, ...]
    values: tuple[Any, ...] | None = None
    globs: tuple[Glob, ...] = ()
    tags: tuple[str, ...] = ()
    visibility: tuple[str, ...] = ()


def targets_of(
    record: Record, number: int, written: WrittenAttributes, package: str, matched: list[tuple[Mark, tuple[str, ...]]]
) -> list[Target]:
    """Return the targets of a record; `matched` are the files of its globs, each with the place of the glob."""
    refs = record.refs
    marks: tuple[Mark, ...] = ()
    if matched:
        refs += tuple([name for _, names in matched for name in names])
        marks = tuple([mark for mark, names in matched for _ in names])
    attributes = Attributes(written, number, marks)
    at = unpack(record.mark, written.path)
    return [
        Target(
            label=Label(package, name),
            rule=record.rule,
            at=at,
            attributes=attributes,
            refs=refs,
            values=record.values,
            settings=settings,
            tags=record.tags,
            visibility=record.visibility,
        )
        for name, settings in record.rows
    ]
