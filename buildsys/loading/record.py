"""Records: what a BUILD.yaml declares, target by target, in built-in types that can be marshalled.

A record depends on the text of its file, the rules and the parameters of the workspace alone: nothing in it was looked
up on disk, so globs are as they are written and labels are not known to lead anywhere.
"""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any, NamedTuple

from buildsys.model.document import unpack
from buildsys.model.label import Label
from buildsys.model.target import Attributes, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from buildsys.model.document import Mark, Written

Row = tuple[tuple[str, str], ...]
Glob = tuple[tuple[str, ...], tuple[str, ...], bool, "Mark"]
"""Patterns to include, patterns to exclude, whether nothing may match, and where it is written."""


class Record(NamedTuple):
    """A target before its globs are matched; of one with a matrix, all its rows.

    `needs` are labels: `name` in the package itself, `//package:name` elsewhere. `data` is as `Attributes` has it.
    """

    rule: str
    rows: tuple[tuple[str, Row], ...]
    mark: Mark
    needs: tuple[str, ...]
    data: bytes
    values: tuple[object, ...] | None = None
    globs: tuple[Glob, ...] = ()
    tags: tuple[str, ...] = ()
    visibility: tuple[str, ...] = ()


def attributes_data(written: Mapping[str, Written], marks: Iterable[Mark]) -> bytes:
    """Return the attributes of a target, and the places of the labels in them, as records hold them."""
    return marshal.dumps((dict(written), tuple(marks)))


def targets_of(record: Record, package: str, path: str, matched: list[tuple[Mark, tuple[str, ...]]]) -> list[Target]:
    """Return the targets of a record; `matched` are the files of its globs, each with the place of the glob."""
    labels = [_label(text, package) for text in record.needs]
    data = record.data
    if matched:
        written, marks = marshal.loads(data)  # noqa: S302 - made by ourselves, just before
        found = [(Label(package, name), mark) for mark, names in matched for name in names]
        labels += [label for label, _ in found]
        data = attributes_data(written, [*marks, *(mark for _, mark in found)])
    attributes = Attributes(data, path)
    needs = tuple(labels)
    at = unpack(record.mark, path)
    return [
        Target(
            label=Label(package, name),
            rule=record.rule,
            at=at,
            attributes=attributes,
            needs=needs,
            values=record.values,
            settings=settings,
            tags=record.tags,
            visibility=record.visibility,
        )
        for name, settings in record.rows
    ]


def dump(records: list[Record]) -> bytes:
    """Return records as bytes."""
    return marshal.dumps([tuple(record) for record in records])


def load(data: bytes) -> list[Record]:
    """Return the records that `dump` gave. Raises `ValueError`, `EOFError` or `TypeError` for other bytes."""
    found: list[tuple[Any, ...]] = marshal.loads(data)  # noqa: S302 - whoever keeps records checks that they are its own
    return [Record(*fields) for fields in found]


def spelled(label: Label, package: str) -> str:
    """Return a label as records have it."""
    return label.name if label.package == package else str(label)


def _label(text: str, package: str) -> Label:
    if text.startswith("//"):
        head, _, name = text[2:].partition(":")
        return Label(head, name)
    return Label(package, text)
