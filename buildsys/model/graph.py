"""The action graph: actions, and which of them makes an artifact."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from buildsys.model.action import Action, Artifact


class ActionGraph:
    """Actions by the artifacts they make. Acyclic by construction: an action is added after those it depends on."""

    __slots__ = ("_producers", "actions")

    def __init__(self, actions: Iterable[Action] = ()) -> None:
        self.actions: list[Action] = []
        self._producers: dict[Artifact, Action] = {}
        for action in actions:
            self.add(action)

    def add(self, action: Action) -> None:
        """Add an action whose inputs are source files or outputs of actions that are already here."""
        self.actions.append(action)
        for output in action.outputs:
            self._producers[output] = action

    def producer(self, artifact: Artifact) -> Action | None:
        """Return the action that makes `artifact`; None for source files."""
        return self._producers.get(artifact)

    def closure(self, wanted: Iterable[Artifact]) -> list[Action]:
        """Return the actions needed to make `wanted`, each after those it depends on."""
        order: list[Action] = []
        done: set[int] = set()
        stack: list[tuple[Action, Iterator[Artifact]]] = []
        for artifact in wanted:
            self._visit(artifact, done, stack)
            while stack:
                action, rest = stack[-1]
                for dependency in rest:
                    if self._visit(dependency, done, stack):
                        break
                else:
                    stack.pop()
                    order.append(action)
        return order

    def _visit(self, artifact: Artifact, done: set[int], stack: list[tuple[Action, Iterator[Artifact]]]) -> bool:
        action = self._producers.get(artifact)
        if action is None or id(action) in done:
            return False
        done.add(id(action))
        stack.append((action, iter(action.inputs)))
        return True
