"""The critical path: of what ran, the actions that waited for each other and took longest.

No number of workers makes a build shorter than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from buildsys.execution.outcome import Outcome, Ran
    from buildsys.model.action import Artifact
    from buildsys.model.digest import Digest


class _Chain(NamedTuple):
    """An action that ran, what ran before it, and how long all of it took."""

    seconds: float
    last: Ran
    before: _Chain | None


def critical_path(outcome: Outcome) -> list[Ran]:
    """Return the chain of actions that ran with the greatest sum of seconds, each before what depends on it.

    What was answered from the cache takes no time, but waits for what it depends on, and what depends on it waits, too.
    """
    if not outcome.ran:
        return []
    ran = {entry.key: entry for entry in outcome.ran}
    chains: dict[Digest, _Chain] = {}
    reached: dict[Artifact, _Chain] = {}
    longest: _Chain | None = None
    for action, key in outcome.keys.values():  # in the order of examination: inputs first
        chain = chains.get(key)
        if chain is None:
            before = [reached[artifact] for artifact in action.inputs if artifact in reached]
            chain = max(before, default=None, key=_seconds)
            entry = ran.get(key)
            if entry is not None:
                chain = chains[key] = _Chain((chain.seconds if chain else 0.0) + entry.seconds, entry, chain)
        if chain is not None:
            reached.update(dict.fromkeys(action.outputs, chain))
            longest = chain if longest is None else max(longest, chain, key=_seconds)
    path: list[Ran] = []
    while longest is not None:
        path.append(longest.last)
        longest = longest.before
    return path[::-1]


def _seconds(chain: _Chain) -> float:
    return chain.seconds
