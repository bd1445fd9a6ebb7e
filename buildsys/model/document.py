"""Documents: what was written in a YAML file, value by value, each with its place.

Scalars keep their text: whether `1.20` is a number or a version is decided by whoever knows what is wanted there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from buildsys.errors import Location

STRING, INTEGER, FLOAT, BOOLEAN, NULL, TIMESTAMP = "string", "integer", "float", "boolean", "null", "timestamp"


class Scalar(NamedTuple):
    """A scalar as it was written; `kind` is what YAML 1.1 takes it for (quoted text is always a string)."""

    text: str
    kind: str
    at: Location


class Sequence(NamedTuple):
    """A list of values."""

    items: tuple[Node, ...]
    at: Location


class Mapping(NamedTuple):
    """Keys and values in the order they were written; no key stands twice."""

    items: tuple[tuple[Scalar, Node], ...]
    at: Location

    def get(self, key: str) -> Node | None:
        """Return the value under `key`."""
        for name, value in self.items:
            if name.text == key:
                return value
        return None


Node: TypeAlias = Scalar | Sequence | Mapping


def described(node: Node) -> str:
    """Say what a node is, for messages of the form "expected X, not Y"."""
    match node:
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case Scalar(_, "null", _):
            return "nothing"
        case Scalar(text, "string", _):
            return f"the string '{text}'"
        case Scalar(text, kind, _):
            return f"the {kind} {text}"


SELECT = "select"
NO_MATCH = "no_match_error"


def select_branches(node: Node) -> Mapping | None:
    """Return the branches of a `{select: {condition: value}}`, or None when the node is something else."""
    if isinstance(node, Mapping) and {key.text for key, _ in node.items} in ({SELECT}, {SELECT, NO_MATCH}):
        branches = node.get(SELECT)
        return branches if isinstance(branches, Mapping) else None
    return None
