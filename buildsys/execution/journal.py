"""The journal: which actions ran in a build, under which key, and which key they had the last time."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from buildsys.store.workspace_state import RanAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from buildsys.execution.outcome import Outcome
    from buildsys.execution.sources import Sources
    from buildsys.model.action import Action, Artifact
    from buildsys.store.workspace_state import WorkspaceState
T = TypeVar("T")

BULK = 1000
"""How many actions are looked up at a time."""


def record(state: WorkspaceState, sources: Sources, request: str, outcome: Outcome) -> None:
    """Write down a build: what ran and why it had to, and the keys that its actions have results under now.

    An action that failed is remembered as it was when it last had a result: that is what the next one differs from.
    """
    outcome_text = json.dumps({"hits": outcome.hits, "errors": len(outcome.errors)})
    state.record_build(request, outcome_text, _ran(state, sources, outcome))
    if outcome.learnt:
        state.remember_durations(outcome.learnt)
    ran = {id(entry.action) for entry in outcome.ran}
    for some in _some(pair for pair in outcome.keys.values() if id(pair[0]) not in ran):
        named = {action_name(action): (action, key) for action, key in some if _has_result(action, outcome)}
        last = state.last_keys(list(named))
        for name, (action, key) in named.items():
            if name not in last or last[name][0] != key:
                state.remember_key(name, key, _input_names(action, sources))


def _ran(state: WorkspaceState, sources: Sources, outcome: Outcome) -> Iterator[RanAction]:
    """Yield what ran as the journal has it, and remember its keys."""
    for some in _some(outcome.ran):
        names = [action_name(entry.action) for entry in some]
        last = state.last_keys(names)
        for name, (action, key, seconds) in zip(names, some, strict=True):
            before, before_inputs = last.get(name, ("", ""))
            reason = "new" if name not in last else "lost" if before == key else "changed"
            inputs = _input_names(action, sources)
            if before != key:
                state.remember_key(name, key, inputs)
            old_inputs = tuple(json.loads(before_inputs)) if before_inputs else ()
            yield RanAction(name, str(action.owner), key, inputs, before, old_inputs, reason, seconds)


def _some(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield items, BULK at a time."""
    remaining = iter(items)
    while some := list(islice(remaining, BULK)):
        yield some


def _has_result(action: Action, outcome: Outcome) -> bool:
    return all(artifact in outcome.values for artifact in action.outputs)


def action_name(action: Action) -> str:
    """Return the name under which an action is found again in the next build."""
    return f"{action.name} [{action.config}]" if action.config else action.name


def _input_names(action: Action, sources: Sources) -> tuple[str, ...]:
    return tuple(_input_name(artifact, sources) for artifact in action.inputs)


def _input_name(artifact: Artifact, sources: Sources) -> str:
    return sources.path(artifact) if not artifact.target else f"//{artifact.package}:{artifact.target} {artifact.name}"
