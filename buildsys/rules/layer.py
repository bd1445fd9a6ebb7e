"""layer: several layers under one name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from buildsys.sdk import ConfiguredTarget, Context, DefaultInfo, Provider, Rule, attr
from buildsys.sdk.layers import combine, layer_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer(Rule):
    """What several targets put into a rootfs, under one name; no files of its own."""

    NAME: ClassVar[str] = "layer"

    layers: tuple[ConfiguredTarget, ...] = attr("Targets whose files belong together.")

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """Pass on the files and their places."""
        files = dict.fromkeys(artifact for target in self.layers for artifact in target.files)
        return DefaultInfo(tuple(files)), combine(ctx, [layer_of(target, ctx) for target in self.layers])
