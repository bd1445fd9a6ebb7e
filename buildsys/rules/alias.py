"""alias: another name for a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from buildsys.sdk import ConfiguredTarget, Context, Provider, Rule, attr


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias(Rule):
    """Another name for a target. With a `matrix`, each row is the target under the row's parameters."""

    NAME: ClassVar[str] = "alias"

    actual: ConfiguredTarget = attr("The target that is meant.")

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """Pass on all that the target provides."""
        return self.actual.providers
