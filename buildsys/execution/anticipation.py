"""Work in advance: what an action will do with one payload alone is done as soon as that payload is there.

A tarball waits for the last download, and compresses each file on its own; so a file that is sure to get into it is
compressed while others are still on their way. Nothing depends on it: what fails is done again by the action, and told.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from buildsys.execution.action_io import BuildIO
from buildsys.model.action import Value
from buildsys.model.tree import FILE, Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from buildsys.execution.action_io import Surroundings
    from buildsys.model.action import Action, ActionResult, Anticipating, Artifact
    from buildsys.model.graph import ActionGraph
    from buildsys.store.cas import BlobStore


class _Able(NamedTuple):
    """An action that can work in advance."""

    action: Action
    operation: Anticipating


class Anticipation:
    """The actions that can work in advance, by the artifacts that reach them unchanged.

    What several actions would do alike is begun for all of them at once.
    """

    def __init__(self, graph: ActionGraph, order: Iterable[Action]) -> None:
        self._wanted: dict[Artifact, dict[str, _Able]] = {}
        for action in order:
            operation = action.operation
            if _anticipates(operation):
                for artifact in _traced(graph, action):
                    self._wanted.setdefault(artifact, {}).setdefault(operation.in_advance, _Able(action, operation))

    def offer(self, made: Action, result: ActionResult, around: Surroundings) -> None:
        """Begin what can be done with the outputs of an action that has just run; from the coordinating thread."""
        for artifact, value in zip(made.outputs, result.outputs, strict=True):
            wanted = self._wanted.get(artifact)
            if not wanted:
                continue
            payloads = _payloads(value, around.store.blobs)
            for able in wanted.values():
                for payload in payloads:
                    if payload.size >= able.operation.ANTICIPATED:
                        with suppress(Exception):  # whatever it is, the action will meet it, too
                            able.operation.anticipate(BuildIO(able.action, around), payload)


def _traced(graph: ActionGraph, action: Action) -> Iterator[Artifact]:
    """Yield the artifacts whose payloads reach an action as they are: through those that only pass them on."""
    pending, seen = list(action.inputs), set(action.inputs)
    while pending:
        artifact = pending.pop()
        producer = graph.producer(artifact)
        if producer is not None and producer.operation.PASSES:
            new = [a for a in producer.inputs if a not in seen]
            seen.update(new)
            pending += new
        elif producer is not None:
            yield artifact


def _anticipates(operation: object) -> TypeGuard[Anticipating]:
    """Tell whether an operation can work in advance; `isinstance` would take a thousand times as long."""
    return hasattr(operation, "anticipate")


def _payloads(value: Value, blobs: BlobStore) -> list[Value]:
    if not value.tree:
        return [value]
    return [Value(e.digest, e.size) for e in Tree.from_bytes(blobs.read(value.digest)).entries if e.kind == FILE]
