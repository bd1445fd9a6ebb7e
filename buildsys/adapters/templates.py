"""Templates: texts with variables in them. Whatever is more than that is left to Jinja2 (see `jinja.py`).

Most templates say `{{ name }}` and nothing else. Putting texts in the place of names takes microseconds; compiling the
template takes Jinja2 a hundred times as long, and importing it 30 ms. The result is the same by construction: any
other brace, word, character or newline in an expression, and any name that is not given, is for Jinja2 to judge.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[ \t]*([A-Za-z][A-Za-z0-9_]*)[ \t]*\}\}")

_WORDS = frozenset(
    "and caller cycler dict else false for if import in is joiner kwargs lipsum loop macro namespace none not or range "  # noqa: SIM905
    "recursive self super true varargs with without False None True".split()
)
"""Names that mean something to Jinja2, or might: they are left to it."""


class TemplateFault(Exception):
    """A template cannot be rendered; `line` is where. `kind` is syntax, undefined or runtime."""

    def __init__(self, kind: str, message: str, line: int, name: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.line = line
        self.name = name


class Rendered(NamedTuple):
    """The text, and the names of the variables that the template refers to."""

    text: str
    used: frozenset[str]


def render(template: str, variables: Mapping[str, str]) -> Rendered:
    """Render `template`; every variable it refers to must be given. Raises `TemplateFault`."""
    rendered = substituted(template, variables)
    if rendered is None:
        from buildsys.adapters import jinja

        rendered = jinja.render(template, variables)
    return rendered


def substituted(template: str, variables: Mapping[str, str]) -> Rendered | None:
    """Render a template that is text and names of `variables` alone; return None for any other."""
    if "{%" in template or "{#" in template:
        return None
    if "\r" in template:
        template = template.replace("\r\n", "\n").replace("\r", "\n")
    first, *parts = template.split("{{")
    pieces, used = [first], set()
    for part in parts:
        found = _NAME.match(part)
        if found is None:
            return None
        name = found[1]
        if name not in variables or name in _WORDS:
            return None
        used.add(name)
        pieces += (variables[name], part[found.end() :])
    return Rendered("".join(pieces), frozenset(used))
