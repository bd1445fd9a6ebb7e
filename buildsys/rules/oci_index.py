"""oci_index: images of several architectures under one name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from buildsys.actions.oci_image import OciIndex as MakeIndex
from buildsys.rules.oci_image import check_ref, declare_layout
from buildsys.sdk import ConfiguredTarget, Context, DefaultInfo, ImageInfo, LayoutInfo, Provider, Rule, TreeInfo, attr


@dataclass(frozen=True, slots=True, kw_only=True)
class OciIndex(Rule):
    """The images of several architectures as one: an OCI image layout whose one name stands for an index of them."""

    NAME: ClassVar[str] = "oci_index"

    images: tuple[ConfiguredTarget, ...] = attr("The images, one for each architecture.")
    annotations: Mapping[str, str] = attr("The annotations of the index.", {})
    ref: str = attr("The name of the index in its layout.", "latest")
    format: Literal["layout", "archive"] = attr("Whether the layout is a folder or an archive (.tar).", "layout")
    out: str = attr("The name of the folder or archive; by default the target's name (and .tar).", "")

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """One OciIndex action, one layout out."""
        check_ref(ctx, self.ref)
        found: dict[str, ImageInfo] = {}
        for target in self.images:
            info = target.get(ImageInfo)
            if info is None:
                ctx.fail("B230", f"'{target.label}' is no image", attribute="images", hint="name targets of oci_image")
            if info.arch in found:
                hint = "name one image for each architecture"
                ctx.fail("B224", f"'{target.label}' is a second image for {info.arch}", attribute="images", hint=hint)
            found[info.arch] = info
        if not found:
            ctx.fail("B224", "an index of no images", attribute="images", hint="name at least one target of oci_image")
        layouts = tuple(info.layout for info in found.values())
        layout, files = declare_layout(ctx, self.format, self.out)
        operation = MakeIndex(layouts=layouts, ref=self.ref, annotations=tuple(sorted(self.annotations.items())))
        ctx.register(operation, [layout], f"Index {layout.path}")
        return DefaultInfo(files), TreeInfo(layout), LayoutInfo(layout, self.ref)
