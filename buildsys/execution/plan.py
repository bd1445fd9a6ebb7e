"""The plan of a request: its actions as they were, so that source files may change without loading or analysing again.

Written by a build that succeeded (`planning.py`), beside its snapshot and named by its checksum. A build that finds
nothing changed but the content of source files reads of it what these reach and nothing else: its cost is that of the
change, not that of the graph. Only actions that depend on a source file are in it; of what others make, the values are.

One file, read through a memory map and verified page by page. It holds tables of records (marshal) with
their offsets, an array of values, and the consumers of each artifact as offsets and numbers (compressed rows).
Artifacts are numbered, sources first and in the order of their paths, so that one is found by bisection.
"""

from __future__ import annotations

import marshal
import mmap
import os
import struct
from array import array
from binascii import crc32
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from buildsys.errors import Location
from buildsys.model.action import Action, Artifact, Value
from buildsys.model.label import Label

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FORMAT = 2
PAGE = 4096
LIMIT = 5000
"""The most actions that are run from a plan: a change that reaches more is better served by a whole build."""

VALUE = struct.Struct("<32sqB7x")
"""A value in the file: the digest, the size, and flags."""
TAIL = struct.Struct("<8sQQII")
"""The end of the file: the snapshot, the number of pages and of sections, the format, and a checksum of the rest of it.
"""
_EXECUTABLE, _TREE = 1, 2


class Unplanned(Exception):
    """The plan does not serve: it is not there, damaged, of another build, or the change is none for it."""


class Planned(NamedTuple):
    """An action of a plan: the numbers of its inputs and outputs, and for each output its path where it is wanted."""

    action: Action
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    paths: tuple[str, ...]


def packed(value: Value) -> tuple[str, int, int]:
    """Return a value as numbers and text, as `Plan` takes those that have changed."""
    flags = (_EXECUTABLE if value.executable else 0) | (_TREE if value.tree else 0)
    return value.digest, value.size, flags


def field_names(kind: type) -> tuple[str, ...]:
    """Return the fields of a dataclass or named tuple. Raises `TypeError` for what is neither."""
    if is_dataclass(kind):
        return tuple(field.name for field in fields(kind))
    names: tuple[str, ...] | None = getattr(kind, "_fields", None)
    if names is None:
        raise TypeError(f"an operation's field cannot hold {kind.__name__}")
    return names


class Plan:
    """A plan that was read. All its methods raise `Unplanned` where it is damaged."""

    def __init__(self, file: str, check: bytes, values: Mapping[int, tuple[str, int, int]]) -> None:
        """Open the plan of the snapshot with checksum `check`; `values` have changed since it was written."""
        try:
            with open(file, "rb") as stream:
                self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise Unplanned from error
        self._changed = values
        self._verified: set[int] = set()
        self._read_tail(check)
        names, self.packages, self.artifacts = self._load(self._starts[7], self._starts[8])
        self._kinds: list[type | None] = [None] * len(names)
        self._names: list[str] = names

    def _read_tail(self, check: bytes) -> None:
        size = len(self._map)
        if size < TAIL.size:
            raise Unplanned
        found, pages, starts, version, crc = TAIL.unpack(self._map[size - TAIL.size :])
        begin = size - TAIL.size - 4 * pages - 8 * starts
        if version != FORMAT or found != check or begin != pages * PAGE or crc32(self._map[begin : size - 4]) != crc:
            raise Unplanned
        self._sums = array("I", self._map[begin : begin + 4 * pages])
        self._starts = array("Q", self._map[begin + 4 * pages : size - TAIL.size])

    def folder(self, root: str) -> str:
        """Return what the paths of source files begin with in the workspace at `root`."""
        return os.path.join(root, self.packages, "")

    def source(self, path: str) -> list[int]:
        """Return the numbers of the artifacts that are the source file at `path`, relative to the packages' folder."""
        low, high = 0, self.artifacts
        while low < high:
            middle = (low + high) // 2
            artifact = self.artifact(middle)
            if artifact.is_source and artifact.path < path:
                low = middle + 1
            else:
                high = middle
        found = []
        while low < self.artifacts and self.artifact(low).is_source and self.artifact(low).path == path:
            found.append(low)
            low += 1
        return found

    def artifact(self, number: int) -> Artifact:
        """Return an artifact."""
        return Artifact(*self._record(2, number))

    def value(self, number: int) -> Value:
        """Return what an artifact was after the last build."""
        digest, size, flags = self._changed.get(number) or self._value(number)
        return Value(digest, size, bool(flags & _EXECUTABLE), bool(flags & _TREE))

    def _value(self, number: int) -> tuple[str, int, int]:
        start = self._starts[4] + number * VALUE.size
        digest, size, flags = VALUE.unpack(self._bytes(start, start + VALUE.size))
        return digest.hex(), size, flags

    def action(self, number: int) -> Planned:
        """Return an action. Raises `Unplanned` where its code is not the program's own."""
        record = self._record(0, number)
        if record is None:
            raise Unplanned
        operation, inputs, outputs, paths, tools, owner, config, choice, message, at = record
        artifacts = tuple([self.artifact(number) for number in inputs])
        action = Action(
            operation=self._decode(operation, artifacts),
            inputs=artifacts,
            outputs=tuple([self.artifact(number) for number in outputs]),
            tools=tools,
            owner=Label(*owner),
            config=config,
            choice=choice,
            message=message,
            at=Location(*at) if at else None,
        )
        return Planned(action, inputs, outputs, paths)

    def affected(self, changed: Iterable[int]) -> list[Planned]:
        """Return the actions that depend on the artifacts `changed`, each after those that it depends on.

        Raises `Unplanned` for more than LIMIT.
        """
        found: dict[int, Planned] = {}
        pending = list(changed)
        while pending:
            for number in self._consumers(pending.pop()):
                if number not in found:
                    if len(found) == LIMIT:
                        raise Unplanned
                    found[number] = self.action(number)
                    pending += found[number].outputs
        return [found[number] for number in sorted(found)]

    def _consumers(self, number: int) -> Sequence[int]:
        at = self._starts[5] + 4 * number
        first, last = struct.unpack("<II", self._bytes(at, at + 8))
        start = self._starts[6]
        return array("I", self._bytes(start + 4 * first, start + 4 * last))

    def _record(self, section: int, number: int) -> Any:
        at = self._starts[section + 1] + 8 * number
        first, last = struct.unpack("<QQ", self._bytes(at, at + 16))
        start = self._starts[section]
        return self._load(start + first, start + last)

    def _load(self, start: int, stop: int) -> Any:
        try:
            return marshal.loads(self._bytes(start, stop))  # noqa: S302 - written by this program
        except (ValueError, EOFError, TypeError) as error:
            raise Unplanned from error

    def _bytes(self, start: int, stop: int) -> bytes:
        """Return a part of the file, once the pages that it is on are verified."""
        for page in range(start // PAGE, (stop + PAGE - 1) // PAGE):
            if page not in self._verified:
                if page >= len(self._sums) or crc32(self._map[page * PAGE : (page + 1) * PAGE]) != self._sums[page]:
                    raise Unplanned
                self._verified.add(page)
        return self._map[start:stop]

    def _decode(self, value: Any, inputs: Sequence[Artifact]) -> Any:
        if isinstance(value, list):
            return tuple([self._decode(item, inputs) for item in value])
        if not isinstance(value, dict):
            return value
        ((number, content),) = value.items()
        if number == -1:
            return inputs[content]
        kind = self._kinds[number]
        if kind is None:
            module, _, name = self._names[number].partition(":")
            kind = self._kinds[number] = getattr(import_module(module), name)
        names = field_names(kind)
        return kind(**dict(zip(names, [self._decode(item, inputs) for item in content], strict=True)))
