"""oci_image: a rootfs as a container image, in layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from buildsys.actions.oci_image import LayerFiles
from buildsys.actions.oci_image import OciImage as MakeImage
from buildsys.actions.oci_layer import OciLayer
from buildsys.actions.oci_split import OciSplit
from buildsys.actions.tarball import Tarball
from buildsys.adapters.versions import parse_version
from buildsys.archive import compressors
from buildsys.errors import BuildErrors
from buildsys.kubernetes.combinations import check_layers
from buildsys.model.tree import path_fault
from buildsys.oci.division import layer_names
from buildsys.oci.layer import compression
from buildsys.oci.layout import is_ref_name
from buildsys.sdk import (
    Artifact,
    ConfiguredTarget,
    Context,
    DefaultInfo,
    ImageInfo,
    LayoutInfo,
    Provider,
    Rule,
    TreeInfo,
    attr,
)

_CNI = "cluster.alpha.sealer.io/kube-cni-"
"""What sealer's labels of networks begin with (its `build/kubefile/command`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OciImage(Rule):
    """A tree as a container image, as an OCI image layout: a folder, or an archive of it.

    The image has a layer of large files (of a mebibyte or more), one for each folder in `separate`, one of what stands
    alike in the tree `shared`, and one of the rest; empty ones are left out. A layer is composed of compressed frames
    that are kept from build to build: a changed file costs its own compression, and is told from the others of its
    layer by the registry that it is pushed to.
    """

    NAME: ClassVar[str] = "oci_image"

    tree: ConfiguredTarget = attr("The tree: a rootfs.")
    shared: ConfiguredTarget | None = attr(
        "A tree whose files are the same for all architectures: what stands alike in both is a layer of its own, which"
        " the images of all architectures share.",
        None,
    )
    separate: tuple[str, ...] = attr("Folders that have a layer of their own.", ("registry",))
    arch: str = attr("The architecture.", "{arch}")
    layer_format: Literal["gzip", "zstd", "zstd:chunked"] = attr(
        "How layers are compressed. `zstd:chunked` is `zstd` with each file in frames of its own and a table of them,"
        " so that podman fetches only files that it does not have; layers of small files are several times as large.",
        "gzip",
    )
    level: int = attr("The level of compression; 0 for the default of the format.", 0)
    cri: str = attr('The container runtime that has to read the layers; "" for no check.', "{cri}")
    cri_version: str = attr("Its version.", "{cri.version}")
    labels: Mapping[str, str] = attr("The labels of the image.", {})
    cni: tuple[str, ...] = attr(
        "The networks of containers in it; each becomes a label `cluster.alpha.sealer.io/kube-cni-NAME`.", ()
    )
    annotations: Mapping[str, str] = attr("The annotations of its manifest.", {})
    images: Artifact | None = attr(
        "The list of the images in `registry/`, for the annotation `sealer.image.container.images`.", None
    )
    sealer_type: Literal["", "kube-installer", "app-installer"] = attr(
        "What sealer takes the image for: the annotation `sealer.image.extension`.", ""
    )
    ref: str = attr("The name of the image in its layout.", "latest")
    format: Literal["layout", "archive"] = attr("Whether the layout is a folder or an archive (.tar).", "layout")
    out: str = attr("The name of the folder or archive; by default the target's name (and .tar).", "")

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """One OciSplit action, an OciLayer for each layer, one OciImage; one layout out."""
        self._check(ctx)
        name = ctx.label.name
        shared = _tree(ctx, self.shared, "shared") if self.shared else None
        tree = _tree(ctx, self.tree, "tree")
        names = layer_names(self.separate, shared=shared is not None)
        trees = [ctx.declare(f"{name}.layers/{number}-{layer.rstrip('/')}") for number, layer in enumerate(names)]
        ctx.register(OciSplit(tree=tree, shared=shared, separate=self.separate), trees, f"Divide {tree.path}")
        layers = []
        for layer, part in zip(names, trees, strict=True):
            blob, description = ctx.declare(f"{part.name}.tar"), ctx.declare(f"{part.name}.json")
            operation = OciLayer(tree=part, format=self.layer_format, level=self.level)
            ctx.register(operation, [blob, description], f"Layer {part.path}")
            layers.append(LayerFiles(blob, description, layer))
        labels = {f"{_CNI}{network}": "true" for network in self.cni} | dict(self.labels)
        made = MakeImage(
            layers=tuple(layers),
            arch=self.arch,
            ref=self.ref,
            labels=tuple(sorted(labels.items())),
            annotations=tuple(sorted(self.annotations.items())),
            images=self.images,
            sealer_type=self.sealer_type,
            shown=ctx.shown(self.images) if self.images else "",
        )
        layout, files = declare_layout(ctx, self.format, self.out)
        ctx.register(made, [layout], f"Image {layout.path}")
        return DefaultInfo(files), TreeInfo(layout), LayoutInfo(layout, self.ref), ImageInfo(layout, self.arch)

    def _check(self, ctx: Context) -> None:
        check_ref(ctx, self.ref)
        for folder in self.separate:
            if fault := path_fault(folder):
                ctx.fail("B224", f"no folder of a tree: {fault}", attribute="separate", item=folder, hint="write `a/b`")
        try:
            compressors.compressor(compression(self.layer_format), self.level)
        except ValueError as error:
            ctx.fail("B224", str(error), attribute="level", hint="choose one of these, or leave it out")
        if self.cri:
            version = parse_version(self.cri_version, ctx.at("cri_version"))
            problems = check_layers(ctx.tables, self.cri, version, self.layer_format, ctx.at("layer_format"))
            if problems:
                raise BuildErrors(problems)


def check_ref(ctx: Context, ref: str) -> None:
    """Report a name that no image in a layout can have."""
    if not is_ref_name(ref):
        hint = "write letters and digits, with single `-._:@+/` between them, such as `v1.28.15`"
        ctx.fail("B224", f"'{ref}' cannot name an image in a layout", attribute="ref", hint=hint)


def declare_layout(ctx: Context, form: str, out: str) -> tuple[Artifact, tuple[Artifact, ...]]:
    """Name the layout of an image, and the files of its target: the layout itself, or an archive that is made of it."""
    name = ctx.label.name
    if form == "layout":
        layout = ctx.declare(out or name)
        return layout, (layout,)
    layout, archive = ctx.declare(f"{name}.layout"), ctx.declare(out or f"{name}.tar")
    ctx.register(Tarball(tree=layout, compression="none"), [archive], f"Archive {archive.path}")
    return layout, (archive,)


def _tree(ctx: Context, target: ConfiguredTarget, attribute: str) -> Artifact:
    info = target.get(TreeInfo)
    if info is None:
        ctx.fail("B227", f"'{target.label}' is no tree", attribute=attribute, hint="name a rootfs")
    return info.tree
