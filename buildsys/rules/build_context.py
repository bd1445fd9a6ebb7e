"""build_context: the directory that `sealer build` takes: arch-dependent trees beside the arch-neutral one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from buildsys.actions.merge import merge_of
from buildsys.model.tree import path_fault
from buildsys.sdk import ConfiguredTarget, Context, DefaultInfo, LayerInfo, Provider, Rule, TreeInfo, attr
from buildsys.sdk.layers import combine, layer_of, moved


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContext(Rule):
    """One folder with a sub-folder for each tree, such as `amd64`, `arm64` and `rootfs`."""

    NAME: ClassVar[str] = "build_context"

    trees: Mapping[str, ConfiguredTarget] = attr("The sub-folders, and the target whose files each holds.")

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """One Merge action, one tree out."""
        for name in self.trees:
            if fault := path_fault(name):
                hint = "sub-folders are relative and stay below the build context"
                ctx.fail("B226", f"invalid destination: {fault}", attribute="trees", item=name, hint=hint)
        layers: list[LayerInfo] = [moved(layer_of(target, ctx), name) for name, target in self.trees.items()]
        out = ctx.declare(ctx.label.name)
        ctx.register(merge_of(combine(ctx, layers)), [out], f"Merge {out.path}")
        return DefaultInfo((out,)), TreeInfo(out)
