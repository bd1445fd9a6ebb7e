"""rootfs: the merge of layers into one tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from buildsys.actions.merge import merge_of
from buildsys.sdk import ConfiguredTarget, Context, DefaultInfo, LayerEntry, LayerInfo, Provider, Rule, TreeInfo, attr
from buildsys.sdk.layers import combine, layer_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Rootfs(Rule):
    """The files of all layers as one tree. Two layers that claim one path with different contents are an error."""

    NAME: ClassVar[str] = "rootfs"

    layers: tuple[ConfiguredTarget, ...] = attr("Targets whose files make the tree, each at its place.")
    overrides: tuple[str, ...] = attr("Paths that a later layer may take from an earlier one.", ())
    directories: tuple[str, ...] = attr("Folders that are there even when they are empty.", ())
    links: Mapping[str, str] = attr("Symbolic links: the path of each, and what it points to.", {})

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """One Merge action, one tree out."""
        own = [LayerEntry(path, None, ctx.label, ctx.at("directories", path), 0o755) for path in self.directories]
        own += [
            LayerEntry(path, None, ctx.label, ctx.at("links", path), None, link) for path, link in self.links.items()
        ]
        layers = [layer_of(target, ctx) for target in self.layers]
        merged = combine(ctx, [*layers, LayerInfo(tuple(own))], self.overrides)
        out = ctx.declare(ctx.label.name)
        ctx.register(merge_of(merged, self.overrides), [out], f"Merge {out.path}")
        return DefaultInfo((out,)), TreeInfo(out), merged
