"""image_archive: one image as a file that runtimes load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from buildsys.actions.archive_image import ArchiveImage
from buildsys.actions.image_list import ImageList
from buildsys.actions.sample import SampleImage
from buildsys.actions.select_images import Candidate, SelectImages
from buildsys.actions.tarball import Tarball
from buildsys.oci.reference import Reference, ReferenceFault
from buildsys.sdk import Artifact, Context, DefaultInfo, Provider, Rule, attr
from buildsys.sdk.sample import wants_sample


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageArchive(Rule):
    """An image as a docker-archive: an uncompressed tar that `docker load`, `podman load`, `ctr` and skopeo read.

    The image is the one that the lock file says; `buildsys lock` writes it there. With the parameter `source` set to
    `sample` it is a stand-in.
    """

    NAME: ClassVar[str] = "image_archive"

    image: str = attr("The image, such as docker.io/library/registry:2.7.1; it is loaded under this tag.")
    arch: str = attr("The architecture.", "{arch}")
    out: str = attr("The name of the file, and its place in a rootfs; by default the target's name and .tar.", "")

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """An ArchiveImage action, and a Tarball of what it makes."""
        try:
            reference = Reference.parse(self.image)
        except ReferenceFault as fault:
            ctx.fail("B235", f"no image: {fault}", attribute="image", hint="write it like registry:2.7.1")
        out = ctx.declare(self.out or f"{ctx.label.name}.tar")
        if wants_sample(ctx):
            ctx.register(SampleImage(reference=self.image, arch=self.arch), [out], f"Sample {out.path}")
        else:
            self._pull(ctx, reference, out)
        return (DefaultInfo((out,)),)

    def _pull(self, ctx: Context, reference: Reference, out: Artifact) -> None:
        key = (reference.name, reference.digest or reference.tag)
        locked = [i for i in ctx.images() if (i.name, i.version) == key and self.arch in i.children]
        name = f"{ctx.label.name}.image"
        listed, names = ctx.declare(f"{name}/list"), ctx.declare(f"{name}/names.json")
        tags, base, tree = ctx.declare(f"{name}/tags"), ctx.declare(f"{name}/base"), ctx.declare(f"{name}/tree")
        ctx.register(ImageList(images=(self.image,), origin=str(ctx.label)), [listed, names], f"List {self.image}")
        selected = SelectImages(
            images=names,
            candidates=tuple(Candidate(i.name, i.version, i.top or i.children[self.arch]) for i in locked),
            arch=self.arch,
            lockfile=ctx.lockfile,
            lock=f"buildsys lock {ctx.label}",
            at=ctx.at("image"),
        )
        outputs = [tags, base] if locked else [base]
        ctx.register(selected, outputs, f"Select {self.image}")
        archive = ArchiveImage(
            wanted=base,
            reference=str(reference),
            digest=locked[0].children[self.arch] if locked else "",
            at=ctx.at("image"),
        )
        ctx.register(archive, [tree], f"Archive {self.image} {self.arch}")
        ctx.register(Tarball(tree=tree, compression="none"), [out], f"Tarball {out.path}")
