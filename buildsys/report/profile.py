"""The profile of a build: what it did when, in which thread, for Chrome's trace viewer (`--profile`).

The form is that of Bazel's JSON profiles, which is Chrome's trace event format: complete events (`X`) for phases and
for actions that ran, instants (`i`) for those that had a result already, a counter (`C`) of those that run. Times are
in microseconds since the process began.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from buildsys.model.action import Action
    from buildsys.model.digest import Digest
    from buildsys.model.events import Events

CRITICAL, MAIN, FIRST_WORKER = 0, 1, 2
"""Numbers of threads: the critical path, the coordinating thread, and the first of the workers."""

PHASE, CRITICAL_PART = "build phase", "critical path component"
"""Categories of events that are no actions; those of actions are their mnemonics."""


class Span(NamedTuple):
    """A part of the work that has a name: from when to when, in seconds of `time.perf_counter`."""

    name: str
    begin: float
    end: float


class _Work(NamedTuple):
    """An action that ran: in which thread, and from when to when."""

    action: Action
    key: Digest
    thread: str
    begin: float
    end: float
    good: bool


class Profile:
    """Writes down what a build does and passes it on. Implements `model.events.Events`.

    `origin` is when the process began; `spans` are the phases up to now.
    """

    def __init__(self, inner: Events, origin: float, spans: Iterable[Span] = ()) -> None:
        self.origin = origin
        self._inner = inner
        self._spans = list(spans)
        self._work: list[_Work] = []
        self._hits: list[tuple[Action, Digest, float]] = []
        self._critical: Sequence[Action] = ()
        self.started = inner.started
        self.finished = inner.finished
        self.transferred = inner.transferred

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Write down when a phase begins and ends, however it ends."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._spans.append(Span(name, begin, time.perf_counter()))

    def worked(self, action: Action, key: Digest, seconds: float, *, good: bool) -> None:
        """Write down that an action has just run in this thread."""
        end = time.perf_counter()
        self._work.append(_Work(action, key, threading.current_thread().name, end - seconds, end, good))

    def answered(self, action: Action, key: Digest) -> None:
        """Write down that an action had a result already."""
        self._hits.append((action, key, time.perf_counter()))

    def critical(self, actions: Sequence[Action]) -> None:
        """Write down the critical path."""
        self._critical = actions

    def trace(self, command: str, about: Mapping[str, object]) -> bytes:
        """Return the profile as JSON. `command` names all of it; `about` says what was run, and where."""
        events = [self._span(command, self.origin, time.perf_counter(), MAIN, PHASE)]
        events += [self._span(*span, MAIN, PHASE) for span in sorted(self._spans, key=lambda span: span.begin)]
        threads = sorted({work.thread for work in self._work}, key=_by_number)
        numbers = {name: number for number, name in enumerate(threads, FIRST_WORKER)}
        events += [self._ran(work, numbers[work.thread]) for work in sorted(self._work, key=lambda work: work.begin)]
        events += [self._hit(*hit) for hit in self._hits]
        events += self._counters()
        last = {id(work.action): work for work in self._work}
        for work in (last[id(action)] for action in self._critical if id(action) in last):
            events.append(self._span(work.action.progress, work.begin, work.end, CRITICAL, CRITICAL_PART))
        names = {"Critical Path": CRITICAL, "Main Thread": MAIN, **numbers}
        document = {"otherData": about, "traceEvents": [*_named(names), *events]}
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"

    def _span(self, name: str, begin: float, end: float, thread: int, category: str) -> dict[str, object]:
        start = self._micros(begin)
        place = {"cat": category, "name": name, "ph": "X", "pid": 1, "tid": thread}
        return {**place, "ts": start, "dur": self._micros(end) - start}

    def _ran(self, work: _Work, thread: int) -> dict[str, object]:
        mnemonic = work.action.operation.MNEMONIC
        event = self._span(work.action.progress, work.begin, work.end, thread, mnemonic)
        return {**event, "args": {**_described(work.action, work.key), "result": "ran" if work.good else "failed"}}

    def _hit(self, action: Action, key: Digest, when: float) -> dict[str, object]:
        place = {"cat": action.operation.MNEMONIC, "name": action.progress, "ph": "i", "s": "t", "pid": 1, "tid": MAIN}
        return {**place, "ts": self._micros(when), "args": {**_described(action, key), "result": "hit"}}

    def _counters(self) -> list[dict[str, object]]:
        """Return how many actions run, whenever that changes."""
        changes = [(work.begin, 1) for work in self._work] + [(work.end, -1) for work in self._work]
        changes.sort()
        return [
            {"name": "running actions", "ph": "C", "pid": 1, "ts": self._micros(when), "args": {"actions": count}}
            for (when, _), count in zip(changes, accumulate(change for _, change in changes), strict=True)
        ]

    def _micros(self, when: float) -> int:
        return max(0, int((when - self.origin) * 1e6))


def _described(action: Action, key: Digest) -> dict[str, object]:
    about = {"target": str(action.owner), "mnemonic": action.operation.MNEMONIC, "key": key}
    return {**about, "configuration": action.config, "out": action.outputs[0].path}


def _named(threads: Mapping[str, int]) -> list[dict[str, object]]:
    """Return the events that name threads, and say in which order they are shown."""
    events: list[dict[str, object]] = []
    for name, number in threads.items():
        place = {"ph": "M", "pid": 1, "tid": number}
        events.append({"name": "thread_name", **place, "args": {"name": name}})
        events.append({"name": "thread_sort_index", **place, "args": {"sort_index": number}})
    return events


def _by_number(thread: str) -> tuple[str, int]:
    """Order `action_2` before `action_10`."""
    pool, _, number = thread.rpartition("_")
    return (pool, int(number)) if number.isdigit() else (thread, 0)
