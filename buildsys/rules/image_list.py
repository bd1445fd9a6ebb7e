"""image_list: the images that a cluster needs, one a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from buildsys.actions.image_list import ImageList as MergeImages
from buildsys.adapters.versions import parse_version
from buildsys.kubernetes.releases import images, release
from buildsys.sdk import Artifact, Context, DefaultInfo, LayerEntry, LayerInfo, Provider, Rule, attr


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageList(Rule):
    """The images of kubeadm, in kubeadm's order, then those of the lists in `srcs`; none stands twice."""

    NAME: ClassVar[str] = "image_list"

    kubernetes: str = attr('The Kubernetes version; "" for a list without the images of kubeadm.', "{kubernetes}")
    srcs: tuple[Artifact, ...] = attr(
        "Further lists: one image a line; blank lines, comments and quotes are allowed.", ()
    )
    out: str = attr("The name of the list.", "imageList")
    paths: tuple[str, ...] = attr("Where it stands in a rootfs.", ("imageList", "manifests/imageList"))

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """One ImageList action, one file out, at every path."""
        known: tuple[str, ...] = ()
        if self.kubernetes:
            known = images(ctx.tables, release(ctx.tables, parse_version(self.kubernetes), ctx.at("kubernetes")))
        out = ctx.declare(self.out)
        shown = tuple(ctx.shown(src) for src in self.srcs)
        ctx.register(MergeImages(images=known, lists=self.srcs, shown=shown), [out], f"List images {out.path}")
        entries = tuple(LayerEntry(path, out, ctx.label, ctx.at("paths")) for path in self.paths)
        return DefaultInfo((out,)), LayerInfo(entries)
