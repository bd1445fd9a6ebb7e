"""PyYAML, for texts that others wrote: every document of a text, each value with its place, and no opinion on any.

`yaml.py` is strict, for what users of buildsys write. Here tags, anchors, merge keys and keys that stand twice are
taken as they come, and a text that breaks off gives what it had until there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import yaml
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH = 200
"""How deep values may be nested: whoever walks through them may do so by recursion."""

_SHARED = 100
"""How many scalars of an aliased mapping are shown where the alias stands: aliases of aliases cannot multiply."""


class Text(NamedTuple):
    """A scalar: lines count from 1, columns from 1; `style` is `|`, `>`, `"`, `'` or empty for plain text."""

    text: str
    line: int
    column: int
    last_line: int
    style: str


class Items(NamedTuple):
    """A list."""

    values: list[Part]
    line: int


class Pairs(NamedTuple):
    """A mapping, in the order it is written. A key that is no scalar is left out, with its value as an item."""

    values: list[tuple[Text, Part]]
    line: int


Part: TypeAlias = Text | Items | Pairs


class Parts(NamedTuple):
    """The documents that could be read, and the line where what could not be read begins (0 where all could)."""

    documents: list[Part]
    broken_from: int


def parts(text: str) -> Parts:
    """Read every document of `text`. Nothing is raised: see `Parts`."""
    reader = _Reader(text)
    try:
        reader.run()
    except (yaml.YAMLError, _TooDeep, ValueError, RecursionError):
        return Parts(reader.documents, reader.begin)
    return Parts(reader.documents, 0)


class _TooDeep(Exception):
    """Values are nested deeper than MAX_DEPTH."""


class _Reader:
    """Builds documents out of events; `begin` is the line where the one that is being read began."""

    def __init__(self, text: str) -> None:
        self.documents: list[Part] = []
        self.begin = 1
        self._next: Callable[[], Any] = CParser(text).get_event
        self._anchors: dict[str, Part] = {}

    def run(self) -> None:
        """Read to the end of the stream."""
        stack: list[tuple[str, int, list[Part]]] = []
        items: list[Part] = []
        while True:
            event = self._next()
            kind = type(event)
            if kind is ScalarEvent:
                items.append(self._anchored(event, _text(event)))
            elif kind is AliasEvent:
                items.append(_shown(self._anchors.get(event.anchor), event.start_mark))
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                if len(stack) >= MAX_DEPTH:
                    raise _TooDeep
                stack.append((event.anchor or "", event.start_mark.line + 1, items))
                items = []
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                anchor, line, outer = stack.pop()
                part: Part = Items(items, line) if kind is SequenceEndEvent else _pairs(items, line)
                if anchor:
                    self._anchors[anchor] = part
                items = outer
                items.append(part)
            elif kind is DocumentStartEvent:
                self.begin = event.start_mark.line + 1
                self._anchors.clear()
            elif kind is DocumentEndEvent:
                self.documents += items
                items = []
                self.begin = event.end_mark.line + 1
            elif kind is StreamEndEvent:
                return

    def _anchored(self, event: Any, part: Part) -> Part:
        if event.anchor:
            self._anchors[event.anchor] = part
        return part


def _text(event: Any) -> Text:
    start, end = event.start_mark, event.end_mark
    last = end.line if end.column == 0 and end.line > start.line else end.line + 1
    return Text(event.value, start.line + 1, start.column + 1, last, event.style or "")


def _pairs(items: list[Part], line: int) -> Pairs:
    found: list[tuple[Text, Part]] = []
    for key, value in zip(items[::2], items[1::2], strict=True):
        if isinstance(key, Text):
            found.append((key, value))
        else:
            found.append((Text("", line, 1, line, ""), Items([key, value], line)))
    return Pairs(found, line)


def _shown(part: Part | None, mark: Any) -> Part:
    """Return what stands for an alias: a scalar with the alias's place, or the scalars of a mapping."""
    line, column = mark.line + 1, mark.column + 1
    if isinstance(part, Text):
        return part._replace(line=line, column=column, last_line=line, style="*")
    if isinstance(part, Pairs):
        return Pairs([pair for pair in part.values[:_SHARED] if isinstance(pair[1], Text)], line)
    return Text("", line, column, line, "*")
