"""The universe of `cquery` and `aquery`: configured targets, and the function `config` that tells them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.query.expression import EXPRESSION, WORD, Signature
from buildsys.query.functions import FUNCTIONS, Function, Nodes
from buildsys.query.universe import NULL, Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from buildsys.model.label import Label
    from buildsys.model.provider import ConfiguredTarget
    from buildsys.model.target import Package, Target
    from buildsys.query.universe import Universe
    from buildsys.sdk.rule import Attribute

TARGET, DEFAULT = "target", "default"


class ConfiguredUniverse:
    """The configured targets of one analysis. A pattern stands for those that were asked for, not for all of a name."""

    def __init__(
        self,
        targets: Iterable[ConfiguredTarget],
        top: Mapping[str, Sequence[ConfiguredTarget]],
        packages: Mapping[str, Package],
        schema: Callable[[str], Mapping[str, Attribute]],
    ) -> None:
        self.configured = {node_of(target): target for target in targets}
        self._top = {pattern: [node_of(target) for target in found] for pattern, found in top.items()}
        self._named = {node for nodes in self._top.values() for node in nodes}
        self._packages = packages
        self._schema = schema
        self._by_label: dict[Label, list[Node]] = {}
        for node in self.configured:
            self._by_label.setdefault(node.label, []).append(node)

    def matching(self, pattern: str) -> list[Node]:
        """Return the nodes that a target pattern of the query named."""
        return self._top.get(pattern, [])

    def everything(self) -> list[Node]:
        """Return all configured targets of the analysis."""
        return list(self.configured)

    def successors(self, node: Node) -> list[Node]:
        """Return the direct dependencies of a configured target."""
        target = self.configured.get(node)
        if target is None:
            return []
        found = [Node(label, _shown(config, self.target(label))) for label, config in target.deps]
        return [successor for successor in found if successor in self.configured]

    def nodes(self, label: Label) -> list[Node]:
        """Return the configured targets with this label."""
        return self._by_label.get(label, [])

    def target(self, label: Label) -> Target | None:
        """Return the target with this label; None for source files."""
        package = self._packages.get(label.package)
        return package.targets.get(label.name) if package else None

    def package(self, name: str) -> Package:
        """Return a package."""
        return self._packages[name]

    def schema(self, rule: str) -> Mapping[str, Attribute]:
        """Return the attributes of a rule."""
        return self._schema(rule)

    def is_top(self, node: Node) -> bool:
        """Tell whether a node is one that a pattern named."""
        return node in self._named


def node_of(target: ConfiguredTarget) -> Node:
    """Return the node that stands for a configured target."""
    return Node(target.label, NULL if target.kind == "source file" else target.config or DEFAULT)


def _shown(config: str, target: Target | None) -> str:
    return NULL if target is None else config or DEFAULT


def _config(universe: Universe, of: Nodes, word: str) -> Nodes:
    """Return the configured targets of these labels in a configuration: target, null, default, or its text."""
    found: Nodes = {}
    for label in dict.fromkeys(node.label for node in of):
        for node in universe.nodes(label):
            named = node.config == word
            if named or (word == TARGET and isinstance(universe, ConfiguredUniverse) and universe.is_top(node)):
                found[node] = None
    return found


CONFIGURED_FUNCTIONS = {
    **FUNCTIONS,
    "config": Function(
        Signature((EXPRESSION, WORD), 2), _config, "config(expr, word): in the configuration target, null, or of a text"
    ),
}
