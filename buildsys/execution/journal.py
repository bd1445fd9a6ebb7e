"""The journal: which actions ran in a build, under which key, and which key they had the last time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from buildsys.store.workspace_state import RanAction

if TYPE_CHECKING:
    from buildsys.execution.outcome import Outcome
    from buildsys.execution.sources import Sources
    from buildsys.model.action import Action, Artifact
    from buildsys.store.workspace_state import WorkspaceState


def record(state: WorkspaceState, sources: Sources, request: str, outcome: Outcome) -> None:
    """Write down a build: what ran and why it had to, and the keys that its actions have results under now.

    An action that failed is remembered as it was when it last had a result: that is what the next one differs from.
    """
    ran = []
    for entry in outcome.ran:
        name = action_name(entry.action)
        last = state.last_key(name)
        before, before_inputs = last if last is not None else ("", ())
        reason = "new" if last is None else "lost" if before == entry.key else "changed"
        inputs = _input_names(entry.action, sources)
        owner = str(entry.action.owner)
        ran.append(RanAction(name, owner, entry.key, inputs, before, before_inputs, reason, entry.seconds))
    for action, key in outcome.keys.values():
        if any(artifact not in outcome.values for artifact in action.outputs):
            continue
        name = action_name(action)
        last = state.last_key(name)
        if last is None or last[0] != key:
            state.remember_key(name, key, _input_names(action, sources))
    outcome_text = json.dumps({"hits": outcome.hits, "errors": len(outcome.errors)})
    state.record_build(request, outcome_text, ran)


def action_name(action: Action) -> str:
    """Return the name under which an action is found again in the next build."""
    return f"{action.name} [{action.config}]" if action.config else action.name


def _input_names(action: Action, sources: Sources) -> tuple[str, ...]:
    return tuple(_input_name(artifact, sources) for artifact in action.inputs)


def _input_name(artifact: Artifact, sources: Sources) -> str:
    return sources.path(artifact) if artifact.is_source else f"//{artifact.package}:{artifact.target} {artifact.name}"
