"""What a build would find, running nothing: the keys of actions as far as they are known, and which have a result.

A key is known once the values of all inputs are: those of sources, and those of outputs whose actions have a result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buildsys.model.action import action_key
from buildsys.store.cas import BlobMissing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from buildsys.execution.outputs import Outputs
    from buildsys.execution.sources import Sources
    from buildsys.model.action import Action, Artifact, Value
    from buildsys.model.digest import Digest
    from buildsys.model.graph import ActionGraph
    from buildsys.store.action_cache import ActionCache
    from buildsys.store.local import LocalStore


class Foreseen(NamedTuple):
    """An action, its key (None where it depends on what would have to run first) and whether it has a result."""

    action: Action
    key: Digest | None
    has_result: bool


def foresee(
    actions: Iterable[Action], results: ActionCache, sources: Sources, values: dict[Artifact, Value]
) -> list[Foreseen]:
    """Look at `actions`, each after those it depends on; the values of what is known are added to `values`.

    Raises `UserError` B208 for a source file that is gone.
    """
    found: list[Foreseen] = []
    for action in actions:
        for artifact in action.inputs:
            if artifact.is_source and artifact not in values:
                values[artifact] = sources.value(artifact)
        if any(artifact not in values for artifact in action.inputs):
            found.append(Foreseen(action, None, has_result=False))
            continue
        key = action_key(action.descriptor([values[artifact] for artifact in action.inputs]))
        result = results.get(key)
        found.append(Foreseen(action, key, result is not None))
        if result is not None:
            values.update(zip(action.outputs, result.outputs, strict=True))
    return found


def first_to_do(
    graph: ActionGraph, wanted: Mapping[Artifact, str], store: LocalStore, sources: Sources, outputs: Outputs
) -> str:
    """Say what a build of `wanted` (artifacts and their paths) would do first; nothing when all is up to date."""
    values: dict[Artifact, Value] = {}
    for seen in foresee(graph.closure(wanted), store.actions, sources, values):
        if not seen.has_result:
            return _would_run(seen.action)
    for artifact, path in wanted.items():
        producer = graph.producer(artifact)
        try:
            if outputs.holds(path, values[artifact]):
                continue
        except BlobMissing:
            pass
        stored = producer is None or producer.operation.STORED
        if producer is not None and not stored and not outputs.is_kept(path, values[artifact]):
            return _would_run(producer)
        return f"the output '{path}' is not as it was built"
    return ""


def _would_run(action: Action) -> str:
    choice = f" ({action.choice})" if action.choice else ""
    return f"action '{action.progress}' of {action.owner}{choice} would run"
