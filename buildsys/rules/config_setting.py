"""config_setting: a condition with a name, for `select`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from buildsys.sdk import Context, Provider, Rule, attr


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigSetting(Rule):
    """A condition on parameters that `select` may name. It holds when every parameter has the value given."""

    NAME: ClassVar[str] = "config_setting"

    values: Mapping[str, str] = attr('Parameters and their values; versions may be ranges, such as `">=1.24,<1.30"`.')

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """Provide nothing: selects read the values themselves."""
        return ()
