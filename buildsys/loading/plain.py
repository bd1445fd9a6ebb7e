"""Plain targets: those whose attributes are texts and labels as they stand, as nearly all of a large graph are.

This recognises them and says nothing about the others, which `reading` examines with all their errors: what is taken
for plain here has none there, gives the same record, and besides has the values that analysis starts from.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, NamedTuple

from buildsys.errors import BuildError
from buildsys.loading.record import Record
from buildsys.model.document import BOOLEAN, INTEGER, SELECT
from buildsys.model.label import Label, name_fault, package_fault
from buildsys.model.target import spelled
from buildsys.sdk.conditions import CONFIG_SETTING
from buildsys.sdk.rule import (
    BOOL,
    CHOICE,
    FILE,
    FILES,
    INT,
    RAW,
    STRING,
    STRING_DICT,
    STRINGS,
    TARGET,
    TARGET_DICT,
    TARGETS,
)

if TYPE_CHECKING:
    from buildsys.model.document import Mark, Written
    from buildsys.model.target import WrittenTarget
    from buildsys.sdk.rule import Attribute, RuleSet

_NAME = re.compile(r"[\w+=,-][\w+=,.-]*(/[\w+=,-][\w+=,.-]*)*", re.ASCII)
"""Names that are labels of their own package without further ado; others are parsed."""


class _Known(NamedTuple):
    """A rule: the position of each attribute, the attributes, and the positions of those that are required."""

    rule: str
    attributes: dict[str, tuple[int, Attribute]]
    required: tuple[int, ...]


class _Unplain(Exception):
    """Something that is not plain, or is wrong."""


class _Needs:
    """The labels of one target, numbered."""

    __slots__ = ("labels", "marks", "package")

    def __init__(self, package: str) -> None:
        self.package = package
        self.labels: list[str] = []
        self.marks: list[Mark] = []

    def number(self, written: Written) -> int:
        """Return the number of a label."""
        text = written[1]
        if type(text) is not str or len(written) != 2:
            raise _Unplain
        if not _NAME.fullmatch(text):
            text = spelled(Label.parse(text, self.package), self.package)
        self.labels.append(text)
        self.marks.append(written[0])
        return len(self.labels) - 1


class PlainTargets:
    """Recognises plain targets of one package."""

    def __init__(self, rules: RuleSet, package: str) -> None:
        self._rules = rules
        self._package = package
        self._known: dict[str, _Known | None] = {}
        self._sound = not package_fault(package)

    def record(
        self, parts: tuple[Written, ...], tags: tuple[str, ...], visibility: tuple[str, ...]
    ) -> tuple[Record, WrittenTarget] | None:
        """Return the record of a target that is written so; None where it is not plain, or has an error."""
        words = dict(zip([key[1] for key in parts[::2]], parts[1::2], strict=True))
        rule, name = words.pop("rule", None), words.pop("name", None)
        if rule is None or name is None or not self._sound or len(rule) != 2 or len(name) != 2:
            return None
        known = self._rule(rule[1])
        if known is None or not _is_plain_name(name[1]):
            return None
        needs = _Needs(self._package)
        values: list[object] = [None] * len(known.attributes)
        try:
            for word, written in words.items():
                position, attribute = known.attributes[word]
                values[position] = _value(written, attribute, needs)
        except (_Unplain, BuildError, KeyError, ValueError):
            return None
        if any(values[position] is None for position in known.required):
            return None
        if len(set(needs.marks)) != len(needs.marks):
            return None  # one place that stands for several values, through an alias
        record = Record(known.rule, ((name[1], ()),), name[0], tuple(needs.labels), tuple(values), (), tags, visibility)
        return record, (words, tuple(needs.marks))

    def _rule(self, name: object) -> _Known | None:
        if type(name) is not str:
            return None
        if name not in self._known:
            self._known[name] = None
            if name in self._rules and name != CONFIG_SETTING:
                schema = self._rules.schema(name)
                attributes = {attribute: (i, schema[attribute]) for i, attribute in enumerate(schema)}
                required = tuple(i for i, attribute in attributes.values() if attribute.required)
                self._known[name] = _Known(name, attributes, required)
        return self._known[name]


def _is_plain_name(name: object) -> bool:
    return type(name) is str and (_NAME.fullmatch(name) is not None or ("{" not in name and not name_fault(name)))


def _value(written: Written, attribute: Attribute, needs: _Needs) -> object:
    kind, body = attribute.kind, written[1]
    if kind in {STRING, RAW}:
        return _text(written, attribute.name)
    if kind in {FILE, TARGET}:
        return needs.number(written)
    if kind in {STRING_DICT, TARGET_DICT}:
        if type(body) is not tuple:
            raise _Unplain
        of = needs.number if kind == TARGET_DICT else _text
        flat: list[object] = []
        for key, value in zip(body[::2], body[1::2], strict=True):
            if key[1] == SELECT:
                raise _Unplain
            flat.append(sys.intern(key[1]))
            flat.append(of(value))
        return tuple(flat)
    if kind in {FILES, TARGETS, STRINGS}:
        if type(body) is not list:
            raise _Unplain
        return tuple([_text(item) if kind == STRINGS else needs.number(item) for item in body])
    return _word(written, attribute)


def _text(written: Written, name: str = "") -> str:
    """Return text; a whole number is text too where YAML cannot have changed it."""
    text = written[1]
    if type(text) is str:
        if len(written) == 2:
            return text
        if written[2] == INTEGER and name != "version" and text.isdecimal() and text == str(int(text)):
            return text
    raise _Unplain


def _word(written: Written, attribute: Attribute) -> object:
    """Return truth, a number or one of several words."""
    text, kind = written[1], attribute.kind
    if kind == CHOICE and len(written) == 2 and text in attribute.choices:
        return text
    if kind == BOOL and len(written) == 3 and written[2] == BOOLEAN and text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if kind == INT and len(written) == 3 and written[2] == INTEGER and text.lstrip("-").isdigit():
        return int(text)
    raise _Unplain
