"""Documents: what was written in a YAML file, value by value, each with its place.

Scalars keep their text: whether `1.20` is a number or a version is decided by whoever knows what is wanted there.
A document has two forms: nodes, which know their place, and `Written`, built-in types that are small and can be
marshalled, from which nodes are made when somebody asks for them.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

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


Mark: TypeAlias = "int | tuple[int, int, int]"
"""Line, column and width: packed into a number where the latter two are small, as they nearly always are."""

Written: TypeAlias = "tuple[Any, ...]"
"""`(mark, text)` for a string, `(mark, text, kind)` for another scalar, `(mark, [value...])` for a sequence and
`(mark, (key, value, key, value...))` for a mapping."""

_BITS = 12
_LIMIT = 1 << _BITS


def pack(line: int, column: int, width: int) -> Mark:
    """Return a place within a file; line and column count from 1."""
    if column < _LIMIT and width < _LIMIT:
        return ((line << _BITS | column) << _BITS) | width
    return (line, column, width)


def unpack(mark: Mark, path: str) -> Location:
    """Return the place that `mark` means in the file at `path`."""
    if isinstance(mark, tuple):
        return Location(path, *mark)
    return Location(path, mark >> 2 * _BITS, mark >> _BITS & _LIMIT - 1, mark & _LIMIT - 1)


def node_of(written: Written, path: str, _done: dict[int, Node] | None = None) -> Node:
    """Return what is written in the file at `path` as a node; a value that is shared (an alias) stays shared."""
    done = {} if _done is None else _done
    known = done.get(id(written))
    if known is not None:
        return known
    at, body = unpack(written[0], path), written[1]
    made: Node
    if isinstance(body, str):
        made = _scalar(written, path)
    elif isinstance(body, list):
        made = Sequence(tuple([node_of(item, path, done) for item in body]), at)
    else:
        values = [node_of(item, path, done) for item in body[1::2]]
        made = Mapping(tuple(zip([_scalar(key, path) for key in body[::2]], values, strict=True)), at)
    done[id(written)] = made
    return made


def _scalar(written: Written, path: str) -> Scalar:
    return Scalar(written[1], written[2] if len(written) == 3 else STRING, unpack(written[0], path))


SELECT = "select"
NO_MATCH = "no_match_error"


def select_branches(node: Node) -> Mapping | None:
    """Return the branches of a `{select: {condition: value}}`, or None when the node is something else."""
    if isinstance(node, Mapping) and {key.text for key, _ in node.items} in ({SELECT}, {SELECT, NO_MATCH}):
        branches = node.get(SELECT)
        return branches if isinstance(branches, Mapping) else None
    return None
