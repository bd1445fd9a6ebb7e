"""select(): which branch of a configurable attribute holds (Bazel's "Configurable build attributes").

Several branches may match only if they give the same value or one is a specialisation of all the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.errors import UserError
from buildsys.model.condition import is_condition
from buildsys.model.document import NO_MATCH, Mapping, Node, Scalar, Sequence, select_branches
from buildsys.model.label import Label
from buildsys.sdk.conditions import CONFIG_SETTING, DEFAULT, condition, setting_condition

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping as Names

    from buildsys.analysis.configuration import Reader
    from buildsys.model.parameter import Condition, Parameter
    from buildsys.model.target import Target


class Selector:
    """Chooses branches for one target under one configuration."""

    def __init__(
        self,
        reader: Reader,
        package: str,
        parameters: Names[str, Parameter],
        find: Callable[[Label], Target | None],
    ) -> None:
        self._reader = reader
        self._package = package
        self._parameters = parameters
        self._find = find

    def resolve(self, node: Node, attribute: str) -> Node | None:
        """Return `node` without selects; None where the chosen branch is empty (the default then holds)."""
        branches = select_branches(node)
        if branches is not None:
            chosen = self._choose(branches, node, attribute)
            if isinstance(chosen, Scalar) and chosen.kind == "null":
                return None
            return self.resolve(chosen, attribute)
        if isinstance(node, Sequence) and any(select_branches(item) is not None for item in node.items):
            items: list[Node] = []
            for item in node.items:
                if select_branches(item) is None:
                    items.append(item)
                    continue
                chosen_items = self.resolve(item, attribute)
                if isinstance(chosen_items, Sequence):
                    items.extend(chosen_items.items)
                elif chosen_items is not None:
                    items.append(chosen_items)
            return Sequence(tuple(items), node.at)
        return node

    def _choose(self, branches: Mapping, node: Node, attribute: str) -> Node:
        matching: list[tuple[Scalar, frozenset[tuple[str, str]], Node]] = []
        default: Node | None = None
        for key, value in branches.items:
            if key.text == DEFAULT:
                default = value
                continue
            holds = self._condition(key)
            if self._reader.holds(holds):
                matching.append((key, frozenset(holds.terms), value))
        best = [m for m in matching if all(m is other or m[1] > other[1] for other in matching)]
        if len(best) == 1:
            return best[0][2]
        if matching and all(_written(m[2]) == _written(matching[0][2]) for m in matching):
            return matching[0][2]
        if matching:
            keys = "\n".join(f" {key.text}" for key, _, _ in matching)
            raise UserError(
                "B218",
                f'Illegal ambiguous match on configurable attribute "{attribute}": several conditions hold',
                at=matching[1][0].at,
                hint="make one of them a specialisation of the others, or give them the same value",
                notes=(f"Conditions that hold:\n{keys}",),
            )
        if default is not None:
            return default
        keys = "\n".join(f" {key.text}" for key, _ in branches.items)
        own = node.get(NO_MATCH) if isinstance(node, Mapping) else None
        reason = f": {own.text}" if isinstance(own, Scalar) else " (would a default condition help?)"
        raise UserError(
            "B217",
            f'Configurable attribute "{attribute}" doesn\'t match this configuration{reason}',
            at=branches.at,
            hint=f'add a branch, or "{DEFAULT}"',
            notes=(f"Conditions checked:\n{keys}", f"Values: {self._values(branches)}"),
        )

    def _condition(self, key: Scalar) -> Condition:
        if is_condition(key.text):
            return condition(key.text, self._parameters, key.at)
        label = Label.parse(key.text, self._package, at=key.at)
        target = self._find(label)
        seen = {label}
        while target is not None and target.rule == "alias":
            actual = target.attributes.get("actual")
            label = Label.parse(actual.text if isinstance(actual, Scalar) else "", label.package)
            target = None if label in seen else self._find(label)
            seen.add(label)
        if target is None or target.rule != CONFIG_SETTING:
            raise UserError(
                "B219", f"'{key.text}' is no config_setting", at=key.at, hint="name one, or write `cri=docker`"
            )
        return setting_condition(target.attributes.get("values"), self._parameters)

    def _values(self, branches: Mapping) -> str:
        names = {name for key, _ in branches.items if key.text != DEFAULT for name, _ in self._condition(key).terms}
        return ", ".join(f"{name}={self._reader.param(name)}" for name in sorted(names))


def _written(node: Node) -> object:
    """Return a node's value without its places, for comparison."""
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Sequence):
        return [_written(item) for item in node.items]
    return [(key.text, _written(value)) for key, value in node.items]
