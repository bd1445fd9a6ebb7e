"""The second way through a build: from the plan of the last one, when nothing but the content of source files changed.

    examine    `stat` tells that only these files differ                  (snapshot)
    affected   the actions that they reach, out of the plan                (execution.plan)
    run        the same executor as in `session.build`, on that part       (execution)
    save       new values, and what `stat` says of the outputs made now    (snapshot)

Whatever is out of the ordinary - a failure, a lost blob, an output that is a tree - is left to the whole way: it then
does all again, and says what there is to say.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from buildsys.execution.executor import Executor
from buildsys.execution.journal import record
from buildsys.execution.plan import Plan, Planned, Unplanned, packed
from buildsys.execution.stored import Stored, stored
from buildsys.model.graph import ActionGraph
from buildsys.snapshot import look, save_edits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildsys.execution.outcome import Options, Outcome
    from buildsys.execution.outputs import Outputs
    from buildsys.loading.place import Place
    from buildsys.model.action import Artifact, Value
    from buildsys.model.events import Events
    from buildsys.snapshot import Kept, Past, Seen, Snapshot


class Part(NamedTuple):
    """The part of a plan that a change reaches: the sources that changed by number, and the actions in their order."""

    changed: dict[int, Artifact]
    affected: list[Planned]


def rebuild(place: Place, found: Snapshot, options: Options, events: Events, request: str) -> Outcome | None:
    """Build what the changed files of a snapshot reach; None where the whole way has to be taken.

    Hold the lock of the output base around it. Raises `Interrupted`.
    """
    try:
        with events.phase("read the plan"):
            plan = Plan(f"{found.file}.plan", found.check, found.values)
            part = _part(plan, place.root, found.changed.values())
        with ExitStack() as stack:
            with events.phase("open the store"):
                opened = stack.enter_context(stored(place.root, plan.packages, place.output_base, place.store))
            outcome = _run(plan, part, opened, options, events)
            if outcome is None:
                return None
            with events.phase("journal"):
                record(opened.state, opened.sources, request, outcome)
            with events.phase("write the snapshot"):
                seen = [*opened.sources.seen, *opened.outputs.seen()]
                _save(found, part, outcome, seen, _past(found, plan, part, outcome, opened.outputs))
    except Unplanned:
        return None
    return outcome


def _part(plan: Plan, root: str, changed: Iterable[Seen]) -> Part:
    """Return what changed files reach. Raises `Unplanned` for a file that is no source, and for a tree to deliver."""
    folder = plan.folder(root)
    numbers: list[int] = []
    for path, *_ in changed:
        sources = plan.source(path.removeprefix(folder)) if path.startswith(folder) else []
        if not sources:
            raise Unplanned
        numbers += sources
    affected = plan.affected(numbers)
    if any(path and plan.value(output).tree for planned in affected for output, path in _outputs(planned)):
        raise Unplanned
    return Part({number: plan.artifact(number) for number in numbers}, affected)


def _run(plan: Plan, part: Part, opened: Stored, options: Options, events: Events) -> Outcome | None:
    """Run the actions of a part; None where something was not as the plan has it."""
    actions = [planned.action for planned in part.affected]
    made = {output for planned in part.affected for output in planned.outputs}
    known: dict[Artifact, Value] = {}
    for planned in part.affected:
        for number, artifact in zip(planned.inputs, planned.action.inputs, strict=True):
            if number not in made and number not in part.changed and artifact not in known:
                known[artifact] = plan.value(number)
                if artifact.is_source:
                    opened.sources.assume(artifact, known[artifact])
    wanted = {
        artifact: path
        for planned in part.affected
        for artifact, path in zip(planned.action.outputs, planned.paths, strict=True)
        if path
    }
    kept = [artifact for planned in part.affected for artifact in planned.action.outputs if artifact not in wanted]
    executor = Executor(ActionGraph(actions), opened.store, opened.sources, opened.outputs, options, events)
    outcome = executor.run(wanted, kept, known)
    return None if outcome.errors or outcome.lost or outcome.failed else outcome


def _past(found: Snapshot, plan: Plan, part: Part, outcome: Outcome, outputs: Outputs) -> Past | None:
    """Return how to go back to what was before this build; None where an output is not kept."""
    kept: list[Kept] = []
    values = {number: packed(plan.value(number)) for number in part.changed}
    for planned in part.affected:
        for number, artifact, path in zip(planned.outputs, planned.action.outputs, planned.paths, strict=True):
            before, now = plan.value(number), outcome.values[artifact]
            values[number] = packed(before)
            if not path or before == now:
                continue
            earlier = outputs.kept(path)
            if earlier is None or earlier[1].digest != before.digest or before.executable != now.executable:
                return None
            kept.append((path, earlier[0], now.digest, before.digest, look(earlier[0])[1:6]))
    return {number: found.digest(number) for number in found.changed}, kept, values


def _save(found: Snapshot, part: Part, outcome: Outcome, seen: list[Seen], past: Past | None) -> None:
    """Let the snapshot tell of the files as they are now; where one is not in it, it stays stale."""
    entries = dict(found.moved)
    for entry in seen:
        places = found.places(entry[0])
        if not places:
            return
        entries.update(dict.fromkeys(places, entry))
    values = {number: packed(outcome.values[artifact]) for number, artifact in part.changed.items()}
    for planned in part.affected:
        values |= {n: packed(outcome.values[a]) for n, a in zip(planned.outputs, planned.action.outputs, strict=True)}
    save_edits(found, entries, values, past)


def _outputs(planned: Planned) -> Iterable[tuple[int, str]]:
    return zip(planned.outputs, planned.paths, strict=True)
