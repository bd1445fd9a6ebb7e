"""Conditions of `select` and `config_setting`, with the versions in them checked where they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.adapters.versions import parse_range
from buildsys.model.condition import parse_condition
from buildsys.model.document import Mapping, Scalar
from buildsys.model.parameter import VERSION, Condition

if TYPE_CHECKING:
    from collections.abc import Mapping as Names

    from buildsys.errors import Location
    from buildsys.model.document import Node
    from buildsys.model.parameter import Parameter

CONFIG_SETTING = "config_setting"

DEFAULT = "//conditions:default"
"""The branch of a select that holds where no other does."""


def condition(text: str, parameters: Names[str, Parameter], at: Location) -> Condition:
    """Parse a condition. Raises `UserError` as `parse_condition` does, and B605 for what is no version range."""
    found = parse_condition(text, parameters, at=at)
    for name, wanted in found.terms:
        if parameters[name].kind == VERSION and "==," not in f"{wanted},":
            parse_range(wanted, at)
    return found


def setting_condition(values: Node | None, parameters: Names[str, Parameter]) -> Condition:
    """Return the condition that the `values` of a config_setting declare."""
    terms: list[tuple[str, str]] = []
    for key, value in values.items if isinstance(values, Mapping) else ():
        text = value.text if isinstance(value, Scalar) else ""
        spelled = key.text + (text if text.startswith(("<", ">", "=", "!")) else f"={text}")
        at = value.at if key.text in parameters else key.at
        terms.extend(condition(spelled, parameters, at).terms)
    return Condition(tuple(terms))
