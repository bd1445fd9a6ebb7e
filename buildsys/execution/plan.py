"""The plan of a request: its actions as they were, so that source files may change without loading or analysing again.

Written by a build that succeeded, beside its snapshot and named by its checksum; a build that finds nothing changed but
the content of source files reads of it what these reach and nothing else: its cost is that of the change, not that of
the graph. Only actions that depend on a source file are in it; of what others make, the values are.

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
from contextlib import suppress
from dataclasses import fields, is_dataclass
from importlib import import_module
from itertools import accumulate
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from buildsys.errors import Location
from buildsys.model.action import Action, Artifact, Value
from buildsys.model.label import Label

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from buildsys.execution.outcome import Outcome

FORMAT = 1
PAGE = 4096
LIMIT = 5000
"""The most actions that are run from a plan: a change that reaches more is better served by a whole build."""

_VALUE = struct.Struct("<32sqB7x")
_EXECUTABLE, _TREE = 1, 2
_OWN = "buildsys."
"""Classes of this program can be found again by name; those of a workspace's rules are not read from a plan."""


class Unplanned(Exception):
    """The plan does not serve: it is not there, damaged, of another build, or the change is none for it."""


class Planned(NamedTuple):
    """An action of a plan: the numbers of its inputs and outputs, and for each output its path where it is wanted."""

    action: Action
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    paths: tuple[str, ...]


def write(file: str, check: bytes, packages: str, outcome: Outcome, paths: Mapping[Artifact, str]) -> None:
    """Write the plan of a build that made everything.

    `check` names its snapshot, `packages` is the folder of the packages relative to the workspace, `paths` are those of
    the outputs that were asked for, relative to the folder of outputs. Nothing is raised: without a plan, the next
    build loads and analyses.
    """
    actions = _reached(outcome)
    artifacts = dict.fromkeys(artifact for action in actions for artifact in (*action.inputs, *action.outputs))
    ordered = sorted((a for a in artifacts if a.is_source), key=lambda a: (a.path, a))
    ordered += [a for a in artifacts if not a.is_source]
    numbers = {artifact: number for number, artifact in enumerate(ordered)}
    encoder = _Encoder()
    part = f"{file}.{os.getpid()}"
    with suppress(OSError), open(part, "wb") as stream:
        out = _Writer(stream)
        out.records(encoder.record(action, numbers, paths) for action in actions)
        out.records(marshal.dumps(tuple(artifact)) for artifact in ordered)
        out.section(_VALUE.pack(*_packed(outcome.values[artifact])) for artifact in ordered)
        out.consumers(actions, numbers)
        out.section([marshal.dumps((encoder.names, packages, len(ordered)))])
        out.finish(check)
        os.replace(part, file)


def _reached(outcome: Outcome) -> list[Action]:
    """Return the actions that depend on a source file, each after those that it depends on."""
    reached: set[Artifact] = set()
    found: list[Action] = []
    for action, _ in outcome.keys.values():
        if any(artifact.is_source or artifact in reached for artifact in action.inputs):
            reached.update(action.outputs)
            found.append(action)
    return found


def packed(value: Value) -> tuple[str, int, int]:
    """Return a value as numbers and text, as `Plan` takes those that have changed."""
    flags = (_EXECUTABLE if value.executable else 0) | (_TREE if value.tree else 0)
    return value.digest, value.size, flags


def _packed(value: Value) -> tuple[bytes, int, int]:
    digest, size, flags = packed(value)
    return bytes.fromhex(digest), size, flags


class _Encoder:
    """Turns actions into records; `names` are the classes met."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._known: dict[type, int] = {}
        self._fields: dict[type, tuple[str, ...]] = {}

    def record(self, action: Action, numbers: Mapping[Artifact, int], paths: Mapping[Artifact, str]) -> bytes:
        kind = type(action.operation)
        if not kind.__module__.startswith(_OWN):
            return marshal.dumps(None)
        positions = {artifact: position for position, artifact in enumerate(action.inputs)}
        return marshal.dumps(
            (
                self._encode(action.operation, positions),
                tuple([numbers[artifact] for artifact in action.inputs]),
                tuple([numbers[artifact] for artifact in action.outputs]),
                tuple([paths.get(artifact, "") for artifact in action.outputs]),
                action.static,
                tuple(action.owner),
                action.config,
                action.progress,
                action.at and tuple(action.at),
            )
        )

    def _encode(self, value: Any, positions: Mapping[Artifact, int]) -> Any:
        """Return what marshal can hold: of an input its position, of a tuple or object a list or a dictionary."""
        if value is None or type(value) in {str, int, bool}:
            return value
        if type(value) is tuple:
            return [self._encode(item, positions) for item in value]
        if type(value) is Artifact and value in positions:
            return {-1: positions[value]}
        kind = type(value)
        number = self._known.get(kind)
        if number is None:
            number = self._known[kind] = len(self.names)
            self.names.append(f"{kind.__module__}:{kind.__qualname__}")
            self._fields[kind] = _field_names(kind)
        return {number: [self._encode(getattr(value, name), positions) for name in self._fields[kind]]}


def _field_names(kind: type) -> tuple[str, ...]:
    """Return the fields of a dataclass or named tuple. Raises `TypeError` for what is neither."""
    if is_dataclass(kind):
        return tuple(field.name for field in fields(kind))
    names: tuple[str, ...] | None = getattr(kind, "_fields", None)
    if names is None:
        raise TypeError(f"an operation's field cannot hold {kind.__name__}")
    return names


class _Writer:
    """Writes sections one after the other, then the checksums of all pages, then where everything is."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._starts = array("Q")
        self._sums = array("I")
        self._rest = bytearray()
        self._size = 0

    def section(self, parts: Iterable[bytes]) -> None:
        """Write a section."""
        self._starts.append(self._size)
        for part in parts:
            self._write(part)
        self._write(bytes(-self._size % 8))

    def records(self, records: Iterable[bytes]) -> None:
        """Write records, and a section of their offsets."""
        offsets = array("Q", (0,))

        def counted() -> Iterable[bytes]:
            for record in records:
                offsets.append(offsets[-1] + len(record))
                yield record

        self.section(counted())
        self.section([offsets.tobytes()])

    def consumers(self, actions: Sequence[Action], numbers: Mapping[Artifact, int]) -> None:
        """Write for each artifact the numbers of the actions that it is an input of."""
        counts = array("I", bytes(4 * len(numbers)))
        for action in actions:
            for artifact in action.inputs:
                counts[numbers[artifact]] += 1
        starts = array("I", accumulate(counts, initial=0))
        places = starts[:]
        found = array("I", bytes(4 * starts[-1]))
        for number, action in enumerate(actions):
            for artifact in action.inputs:
                of = numbers[artifact]
                found[places[of]] = number
                places[of] += 1
        self.section([starts.tobytes()])
        self.section([found.tobytes()])

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        self._size += len(data)
        self._rest += data
        whole = len(self._rest) - len(self._rest) % PAGE
        view = memoryview(self._rest)
        self._sums.extend(crc32(view[at : at + PAGE]) for at in range(0, whole, PAGE))
        view.release()
        del self._rest[:whole]

    def finish(self, check: bytes) -> None:
        """Write the end of the file: the checksums of its pages and of that end itself."""
        self._starts.append(self._size)
        self._write(bytes(-self._size % PAGE))
        data = self._sums.tobytes() + self._starts.tobytes()
        tail = struct.pack("<8sQQI", check, len(self._sums), len(self._starts), FORMAT)
        self._stream.write(data + tail + struct.pack("<I", crc32(data + tail)))


_TAIL = struct.Struct("<8sQQII")


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
        if size < _TAIL.size:
            raise Unplanned
        found, pages, starts, version, crc = _TAIL.unpack(self._map[size - _TAIL.size :])
        begin = size - _TAIL.size - 4 * pages - 8 * starts
        if version != FORMAT or found != check or begin != pages * PAGE or crc32(self._map[begin : size - 4]) != crc:
            raise Unplanned
        self._sums = array("I", self._map[begin : begin + 4 * pages])
        self._starts = array("Q", self._map[begin + 4 * pages : size - _TAIL.size])

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
        start = self._starts[4] + number * _VALUE.size
        digest, size, flags = _VALUE.unpack(self._bytes(start, start + _VALUE.size))
        return digest.hex(), size, flags

    def action(self, number: int) -> Planned:
        """Return an action. Raises `Unplanned` where its code is not the program's own."""
        record = self._record(0, number)
        if record is None:
            raise Unplanned
        operation, inputs, outputs, paths, static, owner, config, progress, at = record
        artifacts = tuple([self.artifact(number) for number in inputs])
        action = Action(
            operation=self._decode(operation, artifacts),
            inputs=artifacts,
            outputs=tuple([self.artifact(number) for number in outputs]),
            static=static,
            owner=Label(*owner),
            config=config,
            progress=progress,
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
        names = _field_names(kind)
        return kind(**dict(zip(names, [self._decode(item, inputs) for item in content], strict=True)))
