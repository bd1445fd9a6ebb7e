"""Configurations: the parameter values of a request, and a record of those that a target really read.

A configured target is shared by all configurations that agree on what it and its dependencies read, so a rootfs for
docker and one for containerd have the actions that know of neither in common.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from buildsys.adapters.versions import parse_range, parse_version
from buildsys.errors import BuildError, Location, UserError
from buildsys.model.condition import unknown_parameter
from buildsys.model.parameter import BOOL, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from buildsys.kubernetes.tables import Tables
    from buildsys.model.parameter import Condition, Constraint, Parameter

Reads: TypeAlias = "Mapping[str, str | None]"
"""Parameters that were read, with their explicit values; None where the default was taken."""


def canonical(parameter: Parameter, value: str, at: Location | None = None) -> str:
    """Return the one spelling of a parameter's value. Raises `UserError` B207."""
    if parameter.kind == VERSION and value:
        return str(parse_version(value, at))
    if parameter.kind == BOOL and value in {"1", "yes"}:
        return "true"
    if parameter.kind == BOOL and value in {"0", "no"}:
        return "false"
    if fault := parameter.fault(value):
        raise UserError("B207", f"parameter '{parameter.name}': {fault}", at=at, hint=parameter.hint(value))
    return value


class Configuration:
    """Explicit parameter values over the workspace's declarations. Immutable.

    `varied` names those that differ between the configurations of one request.
    """

    __slots__ = ("_explicit", "parameters", "tables", "varied")

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        tables: Tables,
        explicit: Mapping[str, str],
        varied: tuple[str, ...] = (),
    ) -> None:
        self.parameters = parameters
        self.tables = tables
        self.varied = varied
        self._explicit = dict(explicit)

    def explicit(self, name: str) -> str | None:
        """Return the value that was asked for; None where the default holds."""
        return self._explicit.get(name)

    def with_settings(self, settings: Iterable[tuple[str, str]]) -> Configuration:
        """Return a configuration in which `settings` hold."""
        changes = {name: canonical(self.parameters[name], value) for name, value in settings}
        if not changes:
            return self
        return Configuration(self.parameters, self.tables, {**self._explicit, **changes}, self.varied)

    def chosen(self, names: Iterable[str]) -> dict[str, str]:
        """Return the values of parameters among `names` that set this apart from others of its request."""
        read = set(names)
        return {name: self._explicit[name] for name in self.varied if name in read}


def choice_text(chosen: Mapping[str, str]) -> str:
    """Return which of several configurations it is, as text: `kubernetes=1.28.15`."""
    return ",".join(f"{name}={value}" for name, value in sorted(chosen.items()))


class Reader:
    """Reads parameters and facts of one configuration and records what was read."""

    def __init__(self, configuration: Configuration, at: Location) -> None:
        self._configuration = configuration
        self._at = at
        self._open: list[str] = []
        self.reads: dict[str, str | None] = {}
        """What was read: the explicit value, or None where the default was taken."""

    @property
    def varied(self) -> tuple[str, ...]:
        """The parameters that differ between the configurations of one request."""
        return self._configuration.varied

    @property
    def chosen(self) -> dict[str, str]:
        """What was read of the values that set this configuration apart from others of its request."""
        return self._configuration.chosen(self.reads)

    def has(self, name: str) -> bool:
        """Tell whether the workspace declares the parameter."""
        return name in self._configuration.parameters

    def param(self, name: str, at: Location | None = None) -> str:
        """Return a parameter's value. Raises `UserError` B207 when there is no such parameter."""
        parameter = self._configuration.parameters.get(name)
        if parameter is None:
            raise unknown_parameter(name, self._configuration.parameters, at or self._at)
        explicit = self._configuration.explicit(name)
        self.reads[name] = explicit
        if explicit is not None:
            return explicit
        if name in self._open:
            path = " -> ".join([*self._open[self._open.index(name) :], name])
            message = f"the defaults of parameters refer to each other: {path}"
            raise UserError("B207", message, at=parameter.at, hint="give one of them a default without the others")
        self._open.append(name)
        try:
            value = self.expand(parameter.default, parameter.at)
        finally:
            self._open.pop()
        return canonical(parameter, value, parameter.at)

    def fact(self, name: str, at: Location | None = None) -> str:
        """Return a fact of the domain's tables. Raises `UserError` B602 when there is no such fact."""
        from buildsys.kubernetes.facts import fact  # with all that knows Kubernetes: many workspaces use none

        try:
            return fact(name).compute(self._configuration.tables, self._optional)
        except BuildError as error:
            if error.at is None:
                error.at = at or self._at
            raise

    def _optional(self, name: str) -> str:
        return self.param(name) if self.has(name) else ""

    def expand(self, text: str, at: Location | None = None) -> str:
        """Replace `{parameter}` and `{fact.name}`; `{{` and `}}` stand for braces.

        Raises `UserError` B207 or B602 for an unknown name, B215 for a brace that is not closed.
        """
        if "{" not in text and "}" not in text:
            return text
        parts: list[str] = []
        position = 0
        while position < len(text):
            character = text[position]
            if text[position : position + 2] in {"{{", "}}"}:
                parts.append(character)
                position += 2
            elif character == "{":
                end = text.find("}", position)
                if end < 0:
                    raise _brace(text, at)
                name = text[position + 1 : end]
                parts.append(self.fact(name, at) if "." in name else self.param(name, at))
                position = end + 1
            elif character == "}":
                raise _brace(text, at)
            else:
                parts.append(character)
                position += 1
        return "".join(parts)

    def holds(self, condition: Condition) -> bool:
        """Tell whether every term of a condition holds; terms after the first false one are not read."""
        return all(self._term(name, wanted) for name, wanted in condition.terms)

    def _term(self, name: str, wanted: str) -> bool:
        value = self.param(name)
        parameter = self._configuration.parameters[name]
        if parameter.kind != VERSION:
            return all(canonical(parameter, part.removeprefix("==")) == value for part in wanted.split(","))
        if not value or "==," in wanted + ",":
            return value == wanted.removeprefix("==")
        return parse_range(wanted).contains(parse_version(value))


def violated(constraints: Iterable[Constraint], reader: Reader) -> list[UserError]:
    """Return an error for each constraint of the workspace that the configuration violates."""
    return [
        UserError("B216", f"this combination of parameters is excluded: {c.reason}", at=c.at, hint=c.instead)
        for c in constraints
        if reader.holds(c.forbid)
    ]


def _brace(text: str, at: Location | None) -> UserError:
    return UserError("B215", f"a brace in '{text}' has no partner", at=at, hint="write {{ or }} for a brace itself")
