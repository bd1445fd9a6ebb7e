"""container_images: the storage tree of the cluster's registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from buildsys.actions.image_list import ImageList
from buildsys.actions.merge import Merge, MergedTree
from buildsys.actions.pull_image import PullImage
from buildsys.actions.sample import SampleRegistry
from buildsys.actions.select_images import ROOT, Candidate, SelectImages
from buildsys.oci.reference import Reference
from buildsys.sdk import (
    Artifact,
    ConfiguredTarget,
    Context,
    DefaultInfo,
    ImageListInfo,
    LayerInfo,
    Provider,
    Rule,
    TreeEntry,
    TreeInfo,
    attr,
)
from buildsys.sdk.layers import single_file
from buildsys.sdk.sample import wants_sample

if TYPE_CHECKING:
    from buildsys.kubernetes.pins import LockedImage


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerImages(Rule):
    """The `registry/` folder of a rootfs: what the cluster's registry serves, as the registry itself would write it.

    It holds the images of the list for one architecture, by the digests in the lock file: nothing else is asked for,
    and tags are never looked at. `buildsys lock` writes what is missing there. With the parameter `source` set to
    `sample` it holds a one-layer stand-in of each image instead.
    """

    NAME: ClassVar[str] = "container_images"

    images: ConfiguredTarget = attr("The list of images: an `image_list`, or a file with one a line.")
    arch: str = attr("The architecture.", "{arch}")
    layout: Literal["sparse", "single", "full", "none"] = attr(
        "What stands under a tag: the index of the image, of whose architectures the wanted one alone is there"
        " (`sparse`: the trees of several architectures unite); that architecture's manifest (`single`); or the index"
        " and all architectures that are locked (`full`). The digest of an index leads to that with each of these."
        " With `none` the folder is empty, for a tool that fills it.",
        "sparse",
    )
    path: str = attr("Where the tree stands in a rootfs.", "registry")

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """One PullImage action for each locked image, and one tree of all."""
        out = ctx.declare(ctx.label.name)
        if wants_sample(ctx):
            images = single_file(ctx, self.images, "images", "", "list images")
            operation = SampleRegistry(images=images, arch=self.arch, shown=ctx.shown(images))
            ctx.register(operation, [out], f"Sample images {out.path}")
        elif self.layout == "none":
            ctx.register(Merge(directories=((ROOT, 0o755),)), [out], f"Merge {out.path}")
        else:
            self._pull(ctx, out)
        placed = TreeEntry(self.path, out, ctx.label, ctx.at())
        return DefaultInfo((out,)), TreeInfo(out), LayerInfo((), (placed,))

    def _pull(self, ctx: Context, out: Artifact) -> None:
        locked = [image for image in ctx.images() if self.arch in image.children]
        folder = f"{ctx.label.name}.images"
        wanted = [ctx.declare(f"{folder}/{_place(image)}.tags") for image in locked]
        trees = [ctx.declare(f"{folder}/{_place(image)}") for image in locked]
        selected = SelectImages(
            images=self._names(ctx),
            candidates=tuple(Candidate(i.name, i.version, i.top or i.children[self.arch]) for i in locked),
            arch=self.arch,
            lockfile=ctx.lockfile,
            lock=f"buildsys lock {ctx.label}",
            at=ctx.at("images"),
        )
        base = ctx.declare(f"{folder}.base")
        ctx.register(selected, [*wanted, base], f"Select images {out.path}")
        for image, tags, tree in zip(locked, wanted, trees, strict=True):
            ctx.register(self._one(ctx, image, tags), [tree], f"Pull {image.name}:{image.version} {self.arch}")
        parts = tuple(MergedTree("", tree) for tree in (base, *trees))
        ctx.register(Merge(trees=parts), [out], f"Merge {out.path}")

    def _names(self, ctx: Context) -> Artifact:
        """Return who names which image: made of the lines of a plain list where nothing else tells it."""
        info = self.images.get(ImageListInfo)
        if info is not None:
            return info.images
        images = single_file(ctx, self.images, "images", "", "list images")
        listed, names = ctx.declare(f"{ctx.label.name}.list"), ctx.declare(f"{ctx.label.name}.list.names.json")
        operation = ImageList(lists=(images,), shown=(ctx.shown(images),))
        ctx.register(operation, [listed, names], f"List images {listed.path}")
        return names

    def _one(self, ctx: Context, image: LockedImage, tags: Artifact) -> PullImage:
        reference = Reference.parse(image.name)
        chosen = image.children if self.layout == "full" and image.top else (self.arch,)
        children = tuple(dict.fromkeys(image.children[arch] for arch in chosen))
        by_digest = ":" in image.version  # then nodes will ask for just that
        index = "" if self.layout == "single" and not by_digest else image.top
        return PullImage(
            wanted=tags,
            repository=reference.path,
            index=index,
            children=children,
            host=reference.host,
            image=f"{image.name}{'@' if ':' in image.version else ':'}{image.version}",
            at=ctx.at("images"),
        )


def _place(image: LockedImage) -> str:
    """Return where the tree of an image stands among those of the others."""
    return f"{image.name.replace(':', '+')}/{image.version.replace(':', '+')}"
