"""The graph that queries are asked of: nodes, their direct dependencies, and what is known of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from buildsys.model.label import Label
    from buildsys.model.target import Package, Target
    from buildsys.sdk.rule import Attribute

NULL = "null"
"""The configuration of what has none: source files."""


class Node(NamedTuple):
    """A target or source file; in a configured graph with the text of its configuration."""

    label: Label
    config: str | None = None

    def __str__(self) -> str:
        return str(self.label) if self.config is None else f"{self.label} ({self.config})"


class Universe(Protocol):
    """Where nodes come from. `successors` may have to load packages, so each method may raise `BuildError`."""

    def matching(self, pattern: str) -> Sequence[Node]:
        """Return the nodes that a target pattern names."""
        ...

    def everything(self) -> Sequence[Node]:
        """Return all nodes that there are."""
        ...

    def successors(self, node: Node) -> Sequence[Node]:
        """Return the direct dependencies of a node."""
        ...

    def nodes(self, label: Label) -> Sequence[Node]:
        """Return the nodes with this label."""
        ...

    def target(self, label: Label) -> Target | None:
        """Return the target with this label; None for source files."""
        ...

    def package(self, name: str) -> Package:
        """Return a package."""
        ...

    def schema(self, rule: str) -> Mapping[str, Attribute]:
        """Return the attributes of a rule."""
        ...


def kind(universe: Universe, node: Node) -> str:
    """Return the kind of a node: `template rule`, `source file`."""
    target = universe.target(node.label)
    return target.kind if target is not None else "source file"
