"""Work in advance: what an action will do with one payload alone is done as soon as that payload is there.

A tarball waits for the last download, and compresses each file on its own; so a file that is sure to get into it is
compressed while others are still on their way. Nothing depends on it: what fails is done again by the action, and told.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from buildsys.execution.action_io import BuildIO
from buildsys.model.action import Anticipating, Value
from buildsys.model.tree import FILE, Tree

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildsys.execution.action_io import Surroundings
    from buildsys.model.action import Action, ActionResult, Artifact
    from buildsys.model.digest import Digest
    from buildsys.model.graph import ActionGraph
    from buildsys.store.cas import BlobStore


class Anticipation:
    """The actions that can work in advance, the artifacts that reach them unchanged, and the work begun for them."""

    def __init__(self, graph: ActionGraph, order: Iterable[Action]) -> None:
        self._wanted: dict[Artifact, list[Action]] = {}
        self._begun: dict[int, list[threading.Event]] = {}
        self._offered: set[tuple[int, Digest]] = set()
        for action in order:
            if isinstance(action.operation, Anticipating):
                self._begun[id(action)] = []
                self._trace(graph, action)

    def _trace(self, graph: ActionGraph, action: Action) -> None:
        """Find the artifacts whose payloads reach an action as they are: through those that only pass them on."""
        pending, seen = list(action.inputs), set(action.inputs)
        while pending:
            artifact = pending.pop()
            producer = graph.producer(artifact)
            if producer is not None and producer.operation.PASSES:
                new = [a for a in producer.inputs if a not in seen]
                seen.update(new)
                pending += new
            elif producer is not None:
                self._wanted.setdefault(artifact, []).append(action)

    def offer(self, made: Action, result: ActionResult, around: Surroundings) -> None:
        """Begin what can be done with the outputs of an action that has just run; from the coordinating thread."""
        if not self._wanted:
            return
        for artifact, value in zip(made.outputs, result.outputs, strict=True):
            for action in self._wanted.get(artifact, ()):
                for payload in _payloads(value, around.store.blobs):
                    mark = (id(action), payload.digest)
                    if mark not in self._offered and payload.size >= _least(action):
                        self._offered.add(mark)
                        done = threading.Event()
                        self._begun[id(action)].append(done)
                        around.helpers.submit(partial(_work, action, payload, around, done))

    def settle(self, action: Action) -> None:
        """Wait for what was begun for an action that is about to run; from its worker."""
        for done in self._begun.get(id(action), ()):
            done.wait()


def _least(action: Action) -> int:
    assert isinstance(action.operation, Anticipating)  # noqa: S101 - none other is wanted
    return action.operation.ANTICIPATED


def _payloads(value: Value, blobs: BlobStore) -> list[Value]:
    if not value.tree:
        return [value]
    return [Value(e.digest, e.size) for e in Tree.from_bytes(blobs.read(value.digest)).entries if e.kind == FILE]


def _work(action: Action, payload: Value, around: Surroundings, done: threading.Event) -> None:
    """Do a part of the work of an action, in a helper's thread."""
    assert isinstance(action.operation, Anticipating)  # noqa: S101 - none other is wanted
    io = BuildIO(action, around)
    try:
        with suppress(BaseException):  # whatever it is, the action will meet it, too
            action.operation.anticipate(io, payload)
        io.clean()
    finally:
        done.set()
