"""The journal: which actions ran in a build, under which key, and which key they had the last time."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING

from buildsys.store.workspace_state import RanAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from buildsys.execution.outcome import Outcome, Ran
    from buildsys.execution.sources import Sources
    from buildsys.model.action import Action, Artifact
    from buildsys.store.workspace_state import WorkspaceState

BULK = 1000
"""How many actions are looked up at a time."""


def record(state: WorkspaceState, sources: Sources, request: str, outcome: Outcome) -> None:
    """Write down a build: what ran and why it had to, and the keys that its actions have results under now.

    An action that failed is remembered as it was when it last had a result: that is what the next one differs from.
    """
    outcome_text = json.dumps({"hits": outcome.hits, "errors": len(outcome.errors)})
    state.record_build(request, outcome_text, _ran(state, sources, outcome.ran))
    made, examined = outcome.values.keys(), iter(outcome.keys.values())
    while some := list(islice(examined, BULK)):
        named = {action_name(action): (action, key) for action, key in some if made >= set(action.outputs)}
        last = state.last_keys(list(named))
        for name, (action, key) in named.items():
            if name not in last or last[name][0] != key:
                state.remember_key(name, key, _input_names(action, sources))


def _ran(state: WorkspaceState, sources: Sources, entries: Iterable[Ran]) -> Iterator[RanAction]:
    """Yield what ran as the journal has it."""
    remaining = iter(entries)
    while some := list(islice(remaining, BULK)):
        names = [action_name(entry.action) for entry in some]
        last = state.last_keys(names)
        for name, entry in zip(names, some, strict=True):
            before, before_inputs = last.get(name, ("", "[]"))
            reason = "new" if name not in last else "lost" if before == entry.key else "changed"
            inputs = _input_names(entry.action, sources)
            owner, old_inputs = str(entry.action.owner), tuple(json.loads(before_inputs))
            yield RanAction(name, owner, entry.key, inputs, before, old_inputs, reason, entry.seconds)


def action_name(action: Action) -> str:
    """Return the name under which an action is found again in the next build."""
    return f"{action.name} [{action.config}]" if action.config else action.name


def _input_names(action: Action, sources: Sources) -> tuple[str, ...]:
    return tuple(_input_name(artifact, sources) for artifact in action.inputs)


def _input_name(artifact: Artifact, sources: Sources) -> str:
    return sources.path(artifact) if artifact.is_source else f"//{artifact.package}:{artifact.target} {artifact.name}"
