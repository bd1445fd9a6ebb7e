"""PyYAML: documents with places (`compose`), plain data (`load`), and deterministic output (`dump`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml
from yaml._yaml import CParser
from yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from buildsys.errors import Location, UserError
from buildsys.model.document import (
    BOOLEAN,
    FLOAT,
    INTEGER,
    NULL,
    STRING,
    TIMESTAMP,
    Mark,
    Node,
    Scalar,
    Written,
    node_of,
    pack,
    unpack,
)

if TYPE_CHECKING:
    from collections.abc import Callable

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

_IMPLICIT = yaml.CSafeLoader.yaml_implicit_resolvers
"""By the first character of plain text: what YAML 1.1 takes it for when a pattern matches."""


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


def number(node: Scalar) -> str:
    """Return what a YAML 1.1 reader makes of an unquoted number, as text: `1.20` is 1.2, `0755` is 493."""
    try:
        return str(yaml.load(node.text, Loader=yaml.CSafeLoader))
    except (yaml.YAMLError, ValueError):
        return node.text


def boolean(node: Scalar) -> str:
    """Return what a YAML 1.1 reader makes of an unquoted boolean: `on` is true."""
    return "true" if node.text.lower() in {"true", "yes", "on"} else "false"


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
    """Parse one YAML document into nodes; None when it is empty. Raises what `parse` does."""
    written = parse(text, path)
    return node_of(written, path) if written is not None else None


def parse(text: str, path: str) -> Written | None:
    """Parse one YAML document; None when it is empty.

    Raises `UserError` B110 (syntax), B111 (duplicate key), B112 (a YAML feature that is not supported here, nesting
    without end, aliases that multiply).
    """
    try:
        return _quick(text)
    except (_Unusual, yaml.YAMLError):
        pass  # read in full below, for what is wrong with it or for its aliases
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise _syntax(error, text, path) from error
    return _Conversion(path).value(root, 0)[0] if root is not None else None


MAX_DEPTH = 100
"""How deep values may be nested: far more than any file needs, far less than Python's stack holds."""

MAX_VALUES = 1_000_000
"""How many values a document may have, each alias counted as all that it stands for."""


LONGEST_WORD = 5
"""How many letters the longest word has that YAML 1.1 takes for something else than a string: `false`."""


class _Unusual(Exception):
    """A document that `_quick` does not read: it has aliases, tags or anchors, or something is wrong with it."""


def _quick(text: str) -> Written | None:
    """Read a usual document, event by event: a third of what making PyYAML's nodes first costs."""
    event_of: Callable[[], Any] = CParser(text).get_event
    event_of()
    if type(event_of()) is not DocumentStartEvent:
        return None  # nothing but comments
    root: list[Written] = []
    items, count = root, 0
    stack: list[tuple[list[Written], Any]] = []
    while True:
        event = event_of()
        kind = type(event)
        if kind is ScalarEvent:
            value, start, end = event.value, event.start_mark, event.end_mark
            if event.anchor or event.tag:
                raise _Unusual
            line, column = start.line, start.column
            mark = pack(line + 1, column + 1, (end.column - column or 1) if end.line == line else 1)
            first = value[:1]
            if (
                first in _IMPLICIT
                and not event.style
                and not (len(value) > LONGEST_WORD and first.isalpha())
                and (word := _kind(value, first))
            ):
                items.append((mark, value, word))
            else:
                items.append((mark, value))
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            if event.anchor or event.tag or len(stack) >= MAX_DEPTH:
                raise _Unusual
            stack.append((items, event.start_mark))
            items = []
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            done, (items, start) = items, stack.pop()
            count += len(done) + 1
            mark = pack(start.line + 1, start.column + 1, 1)
            items.append((mark, done if kind is SequenceEndEvent else _pairs(done)))
        elif kind is DocumentEndEvent:
            break
        else:
            raise _Unusual
    if count > MAX_VALUES or type(event_of()) is not StreamEndEvent:
        raise _Unusual
    return root[0]


def _kind(text: str, first: str) -> str:
    """Return what YAML 1.1 takes plain text for, the empty string for a string."""
    for tag, pattern in _IMPLICIT[first]:
        if pattern.match(text):
            if tag not in _KINDS:
                raise _Unusual
            return _KINDS[tag]
    return ""


def _pairs(parts: list[Written]) -> tuple[Written, ...]:
    """Return the keys and values of a mapping."""
    texts = {key[1] for key in parts[::2] if type(key[1]) is str}
    if 2 * len(texts) < len(parts):  # a key that stands twice, or is no scalar
        raise _Unusual
    return tuple(parts)


class _Conversion:
    """Converts the nodes of one document; a node that is shared through an alias is converted once."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._done: dict[int, tuple[Written, int] | None] = {}

    def value(self, node: Any, depth: int) -> tuple[Written, int]:
        """Return what is written, and how many values it holds when every alias is written out."""
        mark = _mark(node)
        if id(node) in self._done:
            known = self._done[id(node)]
            if known is None:
                hint = "write the value out where the alias stands"
                raise self._fault("an alias refers to the value that it is a part of", mark, hint)
            return known
        if depth > MAX_DEPTH:
            raise self._fault(f"values are nested more than {MAX_DEPTH} deep", mark, "write it flatter")
        self._done[id(node)] = None
        result: Written
        size = 1
        if isinstance(node, yaml.ScalarNode):
            kind = _KINDS.get(node.tag, "")
            if not kind:
                raise _tag_fault(node.tag, unpack(mark, self._path))
            text = str(node.value)
            result = (mark, text) if node.style or kind == STRING else (mark, text, kind)
        elif node.tag not in {"tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"}:
            raise _tag_fault(node.tag, unpack(mark, self._path))
        elif isinstance(node, yaml.SequenceNode):
            found = [self.value(item, depth + 1) for item in node.value]
            size += sum(count for _, count in found)
            result = (mark, [item for item, _ in found])
        else:
            result, size = self._mapping(node, depth, mark)
        if size > MAX_VALUES:
            message = f"with its aliases written out this holds more than {MAX_VALUES} values"
            raise self._fault(message, mark, "write the values out, without aliases in aliases")
        self._done[id(node)] = (result, size)
        return result, size

    def _mapping(self, node: Any, depth: int, mark: Mark) -> tuple[Written, int]:
        items: dict[str, tuple[Written, Written]] = {}
        size = 1
        for key_node, value_node in node.value:
            key, _ = self.value(key_node, depth + 1)
            at, text = unpack(key[0], self._path), key[1]
            if not isinstance(text, str):
                raise UserError("B112", "a key must be a single word or string", at=at, hint="write `key: value`")
            if text in items:
                first = unpack(items[text][0][0], self._path)
                hint = f"it was first written at {first}; remove one of the two"
                raise UserError("B111", f"the key '{text}' stands twice", at=at, hint=hint)
            value, count = self.value(value_node, depth + 1)
            items[text] = (key, value)
            size += count + 1
        return (mark, tuple([part for pair in items.values() for part in pair])), size

    def _fault(self, message: str, mark: Mark, hint: str) -> UserError:
        return UserError("B112", message, at=unpack(mark, self._path), hint=hint)


def _tag_fault(tag: str, at: Location) -> UserError:
    if tag.endswith(":merge"):
        return UserError("B112", "a merge key (<<) is not supported here", at=at, hint="write the values out")
    return UserError("B112", f"the tag {tag} is not supported here", at=at, hint="write the value without a tag")


def _mark(node: Any) -> Mark:
    start, end = node.start_mark, node.end_mark
    width = end.column - start.column if isinstance(node, yaml.ScalarNode) and end.line == start.line else 1
    return pack(start.line + 1, start.column + 1, max(1, width))


def _syntax(error: Any, text: str, path: str) -> UserError:
    """Say where a text is no YAML: what has no end is shown where it begins."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    context = getattr(error, "context", None) or ""
    if mark is None:
        at, hint = _control_character(text, path), "remove the character, or write it as an escape in double quotes"
    else:
        lines = text.splitlines()
        line = lines[mark.line] if mark.line < len(lines) else ""
        at = Location(path, mark.line + 1, mark.column + 1)
        if not line and lines and mark.line >= len(lines):
            at = Location(path, len(lines), len(lines[-1]) + 1)  # the end of the file
        hint = _syntax_hint(problem, line, mark.column)
        begun = getattr(error, "context_mark", None)
        unfinished = "flow" in context or "quoted" in context
        if begun is not None and unfinished and begun.line < mark.line:
            at = Location(path, begun.line + 1, begun.column + 1)
            hint = "what begins here has no end: add the closing quote, bracket or brace"
    return UserError("B110", f"not valid YAML: {context + ': ' if context else ''}{problem}", at=at, hint=hint)


def _syntax_hint(problem: str, line: str, column: int) -> str:
    if "\t" in line[: column + 1]:
        return "replace the tab by spaces"
    if "nesting depth" in problem:
        return "write it flatter"
    if "another document" in problem:
        return "remove the line `---`: a file holds one document"
    if "undefined alias" in problem:
        return "an alias `*name` needs an anchor `&name` before it; text with a leading `*` needs quotes"
    if "cannot start any token" in problem:
        return f"text that begins with `{line[column : column + 1]}` needs quotes"
    if "mapping values are not allowed" in problem:
        return "text with a colon and a blank in it needs quotes; or a line above is indented wrongly"
    return "compare the indentation of this line with its siblings; text with `: `, ` #` or brackets needs quotes"


def _control_character(text: str, path: str) -> Location:
    """Find the character that YAML does not allow; the reader's error has no mark."""
    for number, line in enumerate(text.split("\n"), 1):
        for column, character in enumerate(line, 1):
            if ord(character) < 32 and character not in "\t\r":
                return Location(path, number, column)
    return Location(path, 1)
