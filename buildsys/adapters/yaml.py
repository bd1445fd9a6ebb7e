"""PyYAML: documents with places (`compose`), plain data (`load`), and deterministic output (`dump`)."""

from __future__ import annotations

from typing import Any

import yaml

from buildsys.errors import Location, UserError
from buildsys.model.document import BOOLEAN, FLOAT, INTEGER, NULL, STRING, TIMESTAMP, Mapping, Node, Scalar, Sequence

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_KINDS = {
    "tag:yaml.org,2002:str": STRING,
    "tag:yaml.org,2002:int": INTEGER,
    "tag:yaml.org,2002:float": FLOAT,
    "tag:yaml.org,2002:bool": BOOLEAN,
    "tag:yaml.org,2002:null": NULL,
    "tag:yaml.org,2002:timestamp": TIMESTAMP,
}


def compose(text: str, path: str) -> Node | None:
    """Parse one YAML document; None when it is empty.

    Raises `UserError` B110 (syntax), B111 (duplicate key), B112 (a YAML feature that is not supported here).
    """
    try:
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise _syntax(error, text, path) from error
    return _convert(root, path, {}) if root is not None else None


def _convert(node: Any, path: str, done: dict[int, Node | None]) -> Node:
    """Turn a PyYAML node into ours; a node that is shared through an alias is converted once."""
    if id(node) in done:
        known = done[id(node)]
        if known is None:
            raise UserError("B112", "an alias refers to the value that it is a part of", at=_location(node, path))
        return known
    done[id(node)] = None
    at = _location(node, path)
    result: Node
    if isinstance(node, yaml.ScalarNode):
        kind = _KINDS.get(node.tag, "")
        if not kind:
            tag = "a merge key (<<)" if node.tag.endswith(":merge") else f"the tag {node.tag}"
            raise UserError("B112", f"{tag} is not supported here", at=at, hint="write the values out")
        result = Scalar(str(node.value), STRING if node.style else kind, at)
    elif isinstance(node, yaml.SequenceNode):
        result = Sequence(tuple([_convert(item, path, done) for item in node.value]), at)
    else:
        result = _mapping(node, path, done, at)
    done[id(node)] = result
    return result


def _mapping(node: Any, path: str, done: dict[int, Node | None], at: Location) -> Mapping:
    items: dict[str, tuple[Scalar, Node]] = {}
    for key_node, value_node in node.value:
        key = _convert(key_node, path, done)
        if not isinstance(key, Scalar):
            raise UserError("B112", "a key must be a single word or string", at=key.at)
        if key.text in items:
            first = items[key.text][0].at
            raise UserError(
                "B111",
                f"the key '{key.text}' stands twice",
                at=key.at,
                hint=f"it was first written at {first}; remove one of the two",
            )
        items[key.text] = (key, _convert(value_node, path, done))
    return Mapping(tuple(items.values()), at)


def _location(node: Any, path: str) -> Location:
    start, end = node.start_mark, node.end_mark
    width = end.column - start.column if isinstance(node, yaml.ScalarNode) and end.line == start.line else 1
    return Location(path, start.line + 1, start.column + 1, max(1, width))


def _syntax(error: Any, text: str, path: str) -> UserError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    context = getattr(error, "context", None)
    at = Location(path, mark.line + 1, mark.column + 1) if mark is not None else _control_character(text, path)
    hint = "YAML is indented with spaces; text with `: `, ` #` or a leading `{`, `[`, `*`, `&`, `%` or `@` needs quotes"
    if mark is not None and "\t" in text.splitlines()[min(mark.line, text.count("\n"))][: mark.column + 1]:
        hint = "replace the tab by spaces"
    return UserError("B110", f"not valid YAML: {context + ': ' if context else ''}{problem}", at=at, hint=hint)


def _control_character(text: str, path: str) -> Location:
    """Find the character that YAML does not allow; the reader's error has no mark."""
    for number, line in enumerate(text.split("\n"), 1):
        for column, character in enumerate(line, 1):
            if ord(character) < 32 and character not in "\t\r":
                return Location(path, number, column)
    return Location(path, 1)
