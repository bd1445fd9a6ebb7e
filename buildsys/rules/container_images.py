"""container_images: the storage tree of the cluster's registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from buildsys.actions.merge import Merge
from buildsys.actions.sample import SampleRegistry
from buildsys.sdk import Artifact, Context, DefaultInfo, LayerInfo, Provider, Rule, TreeEntry, TreeInfo, attr
from buildsys.sdk.sample import wants_sample


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerImages(Rule):
    """The `registry/` folder of a rootfs.

    With the parameter `source` set to `sample` it holds a one-layer stand-in of each image of the list. Otherwise it is
    the empty storage folder that `sealer build` fills from `manifests/imageList`: this version pulls no images.
    """

    NAME: ClassVar[str] = "container_images"

    images: Artifact = attr("The list of images, one a line.")
    arch: str = attr("The architecture.", "{arch}")
    path: str = attr("Where the tree stands in a rootfs.", "registry")

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """One action, one tree out."""
        out = ctx.declare(ctx.label.name)
        if wants_sample(ctx):
            ctx.register(
                SampleRegistry(images=self.images, arch=self.arch, shown=ctx.shown(self.images)),
                [out],
                f"Sample images {out.path}",
            )
        else:
            ctx.register(Merge(directories=(("docker/registry", 0o755),)), [out], f"Merge {out.path}")
        placed = TreeEntry(self.path, out, ctx.label, ctx.at())
        return DefaultInfo((out,)), TreeInfo(out), LayerInfo((), (placed,))
