"""Conditions on parameters as they are written: `cri=docker`, `kubernetes>=1.24,<1.30`, `cri=docker,arch=arm64`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from buildsys.errors import Location, UserError, did_you_mean
from buildsys.model.parameter import VERSION, Condition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildsys.model.parameter import Parameter

_TERM = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.-]*)?\s*(>=|<=|!=|==|=|<|>)\s*([^,<>=!\s]*)\s*")


def is_condition(text: str) -> bool:
    """Tell whether `text` is written as a condition (and not as a label)."""
    return not text.startswith(("/", ":", "@")) and any(mark in text for mark in "=<>")


def parse_condition(text: str, parameters: Mapping[str, Parameter], *, at: Location | None = None) -> Condition:
    """Parse a condition over declared parameters; a term without a name continues the one before it.

    Raises `UserError` B206 (syntax), B207 (unknown parameter, or a comparison of what is no version).
    """
    terms: dict[str, list[str]] = {}
    name = ""
    for part in text.split(","):
        match = _TERM.fullmatch(part)
        if not match or not (match[1] or name):
            raise UserError(
                "B206", f"'{text}' is no condition", at=at, hint="write `cri=docker` or `kubernetes>=1.24,<1.30`"
            )
        name = match[1] or name
        parameter = parameters.get(name)
        if parameter is None:
            raise unknown_parameter(name, parameters, at)
        operator = "==" if match[2] == "=" else match[2]
        if operator != "==" and parameter.kind != VERSION:
            raise UserError(
                "B207",
                f"'{name}' is a {parameter.kind}; only versions have an order",
                at=at,
                hint=f"write {name}=VALUE",
            )
        if operator == "==" and (fault := parameter.fault(match[3])):
            raise UserError("B207", f"'{name}': {fault}", at=at, hint=parameter.hint(match[3]))
        terms.setdefault(name, []).append(operator + match[3])
    return Condition(tuple((name, ",".join(parts)) for name, parts in terms.items()))


def unknown_parameter(name: str, parameters: Mapping[str, Parameter], at: Location | None) -> UserError:
    """Return the error for a parameter that the workspace does not declare."""
    hint = did_you_mean(name, parameters) or (
        f"the workspace declares {', '.join(sorted(parameters))}" if parameters else "the workspace declares none"
    )
    return UserError("B207", f"unknown parameter '{name}'", at=at, hint=hint)
