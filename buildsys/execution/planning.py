"""Writing of plans: see `plan.py` for what a plan is and how it is read."""

from __future__ import annotations

import marshal
import os
import struct
from array import array
from binascii import crc32
from contextlib import suppress
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any, BinaryIO

from buildsys.execution.plan import FORMAT, PAGE, VALUE, field_names, packed
from buildsys.model.action import Action, Artifact, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from buildsys.execution.outcome import Outcome

_BATCH = 1000
"""Records that are written together."""

_PLAIN = frozenset((str, int, bool, type(None)))
"""What stands in a record as it is."""

_OWN = "buildsys."
"""Classes of this program can be found again by name; those of a workspace's rules are not read from a plan."""


def write(file: str, check: bytes, packages: str, outcome: Outcome, paths: Mapping[Artifact, str]) -> None:
    """Write the plan of a build that made everything.

    `check` names its snapshot, `packages` is the folder of the packages relative to the workspace, `paths` are those of
    the outputs that were asked for, relative to the folder of outputs. Nothing is raised: without a plan, the next
    build loads and analyses.
    """
    actions = _reached(outcome)
    numbers = dict.fromkeys((artifact for action in actions for artifact in (*action.inputs, *action.outputs)), 0)
    ordered = sorted((a for a in numbers if a.is_source), key=lambda a: a.path)
    ordered += [a for a in numbers if not a.is_source]
    for number, artifact in enumerate(ordered):
        numbers[artifact] = number
    encoder = _Encoder()
    part = f"{file}.{os.getpid()}"
    try:
        with open(part, "wb") as stream:
            out = _Writer(stream)
            out.records(encoder.record(action, numbers, paths) for action in actions)
            out.records(marshal.dumps(tuple(artifact)) for artifact in ordered)
            out.section(VALUE.pack(*_packed(outcome.values[artifact])) for artifact in ordered)
            out.consumers(actions, numbers)
            out.section([marshal.dumps((encoder.names, packages, len(ordered)))])
            out.finish(check)
        os.replace(part, file)
    except OSError:
        with suppress(OSError):
            os.unlink(part)  # it takes room on a disk that may have none


def _reached(outcome: Outcome) -> list[Action]:
    """Return the actions that depend on a source file, each after those that it depends on."""
    reached: set[Artifact] = set()
    found: list[Action] = []
    for action, _ in outcome.keys.values():
        if any(artifact.is_source or artifact in reached for artifact in action.inputs):
            reached.update(action.outputs)
            found.append(action)
    return found


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
                dict(action.tools),
                tuple(action.owner),
                action.config,
                action.choice,
                action.message,
                action.at and tuple(action.at),
            )
        )

    def _encode(self, value: Any, positions: Mapping[Artifact, int]) -> Any:
        """Return what marshal can hold: of an input its position, of a tuple or object a list or a dictionary."""
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is tuple:
            return [item if type(item) in _PLAIN else self._encode(item, positions) for item in value]
        if kind is Artifact and value in positions:
            return {-1: positions[value]}
        number = self._known.get(kind)
        if number is None:
            number = self._known[kind] = len(self.names)
            self.names.append(f"{kind.__module__}:{kind.__qualname__}")
            self._fields[kind] = field_names(kind)
        return {number: [self._encode(getattr(value, name), positions) for name in self._fields[kind]]}


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
        parts = iter(parts)
        while batch := b"".join(islice(parts, _BATCH)):
            self._write(batch)
        self._write(bytes(-self._size % 8))

    def records(self, records: Iterable[bytes]) -> None:
        """Write records, none of them empty, and a section of their offsets."""
        sizes = array("Q", (0,))

        def measured() -> Iterable[bytes]:
            for record in records:
                sizes.append(len(record))
                yield record

        self.section(measured())
        self.section([array("Q", accumulate(sizes)).tobytes()])

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
        with memoryview(self._rest) as view:
            self._sums.extend([crc32(view[at : at + PAGE]) for at in range(0, whole, PAGE)])
        del self._rest[:whole]

    def finish(self, check: bytes) -> None:
        """Write the end of the file: the checksums of its pages and of that end itself."""
        self._starts.append(self._size)
        self._write(bytes(-self._size % PAGE))
        data = self._sums.tobytes() + self._starts.tobytes()
        tail = struct.pack("<8sQQI", check, len(self._sums), len(self._starts), FORMAT)
        self._stream.write(data + tail + struct.pack("<I", crc32(data + tail)))
