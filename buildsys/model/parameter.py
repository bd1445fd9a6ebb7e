"""Parameters: what a user may choose for a build, and the type each choice must have."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buildsys.errors import did_you_mean

if TYPE_CHECKING:
    from buildsys.errors import Location

VERSION, STRING, CHOICE, BOOL, URL = "version", "string", "choice", "bool", "url"
KINDS = (VERSION, STRING, CHOICE, BOOL, URL)


class Parameter(NamedTuple):
    """A declared parameter.

    `default` may name facts (`{recommended.containerd}`); `names_output` tells whether a value other than the default
    gives the outputs a path of their own.
    """

    name: str
    kind: str
    default: str
    at: Location
    choices: tuple[str, ...] = ()
    doc: str = ""
    names_output: bool = True

    def fault(self, value: str) -> str:
        """Say why `value` cannot be this parameter's, or return the empty string. Versions are judged by the caller."""
        if self.kind == CHOICE and value not in self.choices:
            return f"'{value}' is not one of {', '.join(self.choices)}"
        if self.kind == BOOL and value not in {"true", "false"}:
            return f"'{value}' is neither true nor false"
        if self.kind == URL and value and not value.startswith(("http://", "https://", "file://")):
            return f"'{value}' is no URL: it starts with none of http://, https://, file://"
        if "\n" in value:
            return "a value cannot span lines"
        return ""

    def hint(self, value: str) -> str:
        """Return what to write instead of a `value` that is at fault."""
        if self.kind == CHOICE:
            return did_you_mean(value, self.choices) or f"the values are {', '.join(self.choices)}"
        if self.kind == BOOL:
            return "write true or false"
        if self.kind == URL:
            return "write it like https://mirror.example/files"
        return "write it on one line"


class Condition(NamedTuple):
    """A test of parameters: every `name` must have a value that `wanted` admits (a value, or a version range)."""

    terms: tuple[tuple[str, str], ...]


class Constraint(NamedTuple):
    """A combination of parameters that the workspace forbids, the reason, and what to choose instead."""

    forbid: Condition
    reason: str
    instead: str
    at: Location
