"""PyYAML: documents with places (`compose`), plain data (`load`), and deterministic output (`dump`)."""

from __future__ import annotations

import re
from typing import Any

import yaml

from buildsys.errors import Location, UserError
from buildsys.model.document import BOOLEAN, FLOAT, INTEGER, NULL, STRING, TIMESTAMP, Mapping, Node, Scalar, Sequence

# What Go's YAML readers take for a number or a boolean, and PyYAML's YAML 1.1 tables do not: 1e3, 1.5e3, 0o17, y, n.
_AMBIGUOUS = re.compile(r"[-+]?(\d[\d_]*)?\.?\d[\d_]*([eE][-+]?\d+)?|0[oxb][0-9a-fA-F_]+|[yYnN]")

# Line breaks of YAML 1.1 that survive only as escapes.
_BREAKS = frozenset("\r\x85\u2028\u2029\ufeff")


_KINDS = {
    "tag:yaml.org,2002:str": STRING,
    "tag:yaml.org,2002:int": INTEGER,
    "tag:yaml.org,2002:float": FLOAT,
    "tag:yaml.org,2002:bool": BOOLEAN,
    "tag:yaml.org,2002:null": NULL,
    "tag:yaml.org,2002:timestamp": TIMESTAMP,
}


def load(text: str, path: str) -> object:
    """Return the one document of `text` as dicts, lists and scalars; `path` is where errors say it stands.

    Raises UserError B603 for text that is not YAML (yaml.org/spec/1.1) or holds several documents.
    """
    try:
        return yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise _located(error, path) from error


def load_all(text: str, path: str) -> list[object]:
    """Return every document of `text`. Raises UserError B603 for text that is not YAML."""
    try:
        return list(yaml.load_all(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        raise _located(error, path) from error


def dump(data: object) -> str:
    """Return `data` as one block-style document, keys in the order given.

    The bytes depend on the data alone: no line folding, no aliases, sequences indented under their key, and a string
    that a YAML 1.1 reader would take for something else is quoted.
    """
    return yaml.dump(
        data,
        Dumper=_Plain,
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
        width=2**20,
    )


class _Plain(yaml.SafeDumper):
    """A dumper without anchors, whose sequences stand two columns in from their key."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Return `text` as a scalar, quoted where some reader would see another type, literal where it has lines."""
        style = "'" if _AMBIGUOUS.fullmatch(text) else "|" if "\n" in text else None
        if not _BREAKS.isdisjoint(text):
            style = '"'
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)


_Plain.add_representer(str, _Plain.represent_text)
_Plain.add_multi_representer(str, _Plain.represent_text)


def _located(error: yaml.YAMLError, path: str) -> UserError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    at = Location(path, mark.line + 1, mark.column + 1) if mark else Location(path, 1)
    return UserError("B603", f"this is not YAML: {problem}", at=at, hint="check the indentation and the quotes")


def compose(text: str, path: str) -> Node | None:
    """Parse one YAML document; None when it is empty.

    Raises `UserError` B110 (syntax), B111 (duplicate key), B112 (a YAML feature that is not supported here).
    """
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
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
