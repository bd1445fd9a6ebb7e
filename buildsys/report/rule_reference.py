"""The reference of rules: markdown, generated from the rules' own docstrings and attributes."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from buildsys.sdk.rule import Attribute, RuleSet

TYPES = {
    "string": "text",
    "text": "text, braces as they are",
    "bool": "true or false",
    "int": "whole number",
    "strings": "list of text",
    "string_dict": "mapping of text",
    "file": "label of one file",
    "files": "list of labels and globs",
    "target": "label",
    "targets": "list of labels",
    "target_dict": "mapping to labels",
}
"""What a user may write, by the kind of an attribute."""

_HEAD = """# Rules

Generated from the rules themselves; `buildsys help RULE` prints the same. Every target also has `name`, and may have
`tags` (`manual` keeps it out of wildcards), `visibility` (a list; default: everybody) and `matrix` (parameters and
their values: one target for each combination; the name then contains `{parameter}`).

Text is interpolated: `{name}` stands for a parameter, `{group.name}` for a fact, `{{` for a brace. An attribute's value
may be `{select: {CONDITION: value, "//conditions:default": value}}`, where a condition is the label of a
`config_setting` or written out: `cri=docker`, `kubernetes>=1.24,<1.30`. In lists, an item may be a select of lists; a
mapping is chosen as a whole.
"""


def reference(rules: RuleSet) -> str:
    """Return the page on all rules."""
    return _HEAD + "".join(f"\n{section(rules, name)}" for name in rules.names())


def section(rules: RuleSet, name: str) -> str:
    """Return the section on one rule."""
    document = inspect.getdoc(rules.find(name)) or ""
    lines = [f"## {name}", "", document, "", "| attribute | type | default | meaning |", "| --- | --- | --- | --- |"]
    lines += [_row(attribute) for attribute in rules.schema(name).values()]
    return "\n".join(lines) + "\n"


def _row(attribute: Attribute) -> str:
    kind = " or ".join(f"`{word}`" for word in attribute.choices if word) or TYPES[attribute.kind]
    default = "required" if attribute.required else _shown(attribute.default)
    return f"| `{attribute.name}` | {kind} | {default} | {attribute.doc.replace('|', chr(92) + '|')} |"


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return ", ".join(f"`{item}`" for item in default) or "none"
    return f"`{default}`" if default or default == 0 else "none"
