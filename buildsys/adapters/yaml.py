"""YAML text to and from plain data, over PyYAML: the only module that imports it."""

from __future__ import annotations

import re
from typing import Any

import yaml

from buildsys.errors import Location, UserError

# What Go's YAML readers take for a number or a boolean, and PyYAML's YAML 1.1 tables do not: 1e3, 1.5e3, 0o17, y, n.
_AMBIGUOUS = re.compile(r"[-+]?(\d[\d_]*)?\.?\d[\d_]*([eE][-+]?\d+)?|0[oxb][0-9a-fA-F_]+|[yYnN]")

# Line breaks of YAML 1.1 that survive only as escapes.
_BREAKS = frozenset("\r\x85\u2028\u2029\ufeff")


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
