"""image_list: the images that a cluster needs, one a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from buildsys.actions.image_list import ImageList as MergeImages
from buildsys.adapters.versions import parse_version
from buildsys.kubernetes.releases import images, release
from buildsys.oci.reference import Reference, ReferenceFault
from buildsys.sdk import Artifact, Context, DefaultInfo, ImageListInfo, LayerEntry, LayerInfo, Provider, Rule, attr


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageList(Rule):
    """The images of kubeadm, in kubeadm's order, then `images`, those of `srcs`, and those that `manifests` name.

    None stands twice.
    """

    NAME: ClassVar[str] = "image_list"

    kubernetes: str = attr('The Kubernetes version; "" for a list without the images of kubeadm.', "{kubernetes}")
    images: tuple[str, ...] = attr("Further images.", ())
    srcs: tuple[Artifact, ...] = attr(
        "Further lists: one image a line; blank lines, comments and quotes are allowed.", ()
    )
    manifests: tuple[Artifact, ...] = attr(
        "Files that name images: YAML of any depth, units, scripts; sources or rendered ones.", ()
    )
    registry: str = attr(
        "The cluster's own registry: what `manifests` take from there is not listed, since no other registry has it.",
        "",
    )
    out: str = attr("The name of the list.", "imageList")
    paths: tuple[str, ...] = attr("Where it stands in a rootfs.", ("imageList", "manifests/imageList"))

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """One ImageList action; the list, at every path, and who names what."""
        known: tuple[str, ...] = ()
        if self.kubernetes:
            known = images(ctx.tables, release(ctx.tables, parse_version(self.kubernetes), ctx.at("kubernetes")))
        for image in self.images:
            try:
                Reference.parse(image)
            except ReferenceFault as fault:
                ctx.fail("B235", f"no image: {fault}", attribute="images", item=image, hint="write it like nginx:1.25")
        out, names = ctx.declare(self.out), ctx.declare(f"{self.out}.names.json")
        operation = MergeImages(
            images=(*known, *self.images),
            lists=self.srcs,
            manifests=self.manifests,
            registry=self.registry,
            shown=tuple(ctx.shown(src) for src in (*self.srcs, *self.manifests)),
            origin=f"{ctx.label}" + (f", for Kubernetes {self.kubernetes}" if self.kubernetes else ""),
        )
        ctx.register(operation, [out, names], f"List images {out.path}")
        entries = tuple(LayerEntry(path, out, ctx.label, ctx.at("paths")) for path in self.paths)
        return DefaultInfo((out,)), LayerInfo(entries), ImageListInfo(names)
