"""oci_push: `run` pushes an image to a registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from buildsys.sdk import ConfiguredTarget, Context, DefaultInfo, LayoutInfo, Provider, Rule, RunInfo, attr


@dataclass(frozen=True, slots=True, kw_only=True)
class OciPush(Rule):
    """`buildsys run LABEL -- REGISTRY/NAME:TAG` builds an image and pushes it there, or to each of several places.

    What the registry has is not uploaded again; what this workspace has pushed to another of its repositories is taken
    from there. The tag comes last. The answer is the image by its digest: `REGISTRY/NAME@sha256:...`.
    """

    NAME: ClassVar[str] = "oci_push"

    image: ConfiguredTarget = attr("The image: an `oci_index` or an `oci_image`.")

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """No action; `build` makes the image."""
        info = layout_of(ctx, self.image)
        return DefaultInfo(self.image.files), RunInfo("push", info.layout)


def layout_of(ctx: Context, image: ConfiguredTarget) -> LayoutInfo:
    """Return the layout of the attribute `image`, and report what is no image."""
    info = image.get(LayoutInfo)
    if info is None:
        hint = "name a target of oci_index or oci_image"
        ctx.fail("B230", f"'{image.label}' is no image", attribute="image", hint=hint)
    return info
