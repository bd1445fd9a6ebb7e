"""Waiting: which actions are ready, and which wait for how many others. The longest way to the end goes first."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from buildsys.model.action import Action
    from buildsys.model.graph import ActionGraph


class Waiting:
    """The actions of a build that are not examined yet."""

    def __init__(self, graph: ActionGraph, order: Sequence[Action], seconds: Callable[[Action], float]) -> None:
        """Take in actions, each after those it depends on; `seconds` says how long one may take."""
        self._waits: dict[int, int] = {}
        self._dependents: dict[int, list[Action]] = {}
        self._seconds = seconds
        self._remaining: dict[int, float] = {}
        self._serial = 0
        self._ready: list[tuple[float, int, Action]] = []
        ready = []
        for action in order:
            producers = {id(p): p for a in action.inputs if a.target and (p := graph.producer(a)) is not None}
            for producer in producers:
                self._dependents.setdefault(producer, []).append(action)
            if producers:
                self._waits[id(action)] = len(producers)
            else:
                ready.append(action)
        for action in reversed(order):
            dependents = self._dependents.get(id(action))
            if dependents:
                self._remaining[id(action)] = seconds(action) + max(map(self._way, dependents))
        for action in ready:
            self.add(action)

    def __bool__(self) -> bool:
        return bool(self._ready)

    def _way(self, action: Action) -> float:
        """Return the seconds from the start of an action to the end of the longest chain that begins with it."""
        return self._remaining.get(id(action)) or self._seconds(action)

    def add(self, action: Action) -> None:
        """Count an action as ready."""
        self._serial += 1
        heapq.heappush(self._ready, (-self._way(action), self._serial, action))

    def take(self, number: int) -> list[Action]:
        """Take up to `number` of the actions that are ready."""
        ready = self._ready
        return [heapq.heappop(ready)[2] for _ in range(min(number, len(ready)))]

    def until(self, action: Action, number: int) -> None:
        """Have an action wait for `number` others once more; it is ready at once when there are none."""
        if number:
            self._waits[id(action)] = number
        else:
            self.add(action)

    def count_down(self, action: Action) -> bool:
        """Count one of those that an action waits for as done; tell whether it waits for none any more."""
        self._waits[id(action)] -= 1
        return not self._waits[id(action)]

    def release(self, action: Action) -> None:
        """Count an action as done for all that depend on it."""
        for dependent in self._dependents.get(id(action), ()):
            if self.count_down(dependent):
                self.add(dependent)
