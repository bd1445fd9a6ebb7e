"""oci_load: `run` loads an image into podman or docker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NoReturn

from buildsys.oci.reference import Reference, ReferenceFault
from buildsys.rules.oci_push import layout_of
from buildsys.sdk import ConfiguredTarget, Context, DefaultInfo, Provider, Rule, RunInfo, attr


@dataclass(frozen=True, slots=True, kw_only=True)
class OciLoad(Rule):
    """`buildsys run LABEL` builds an image and loads it into podman or docker, whichever is there.

    `-- docker` and `-- podman` say which. Of an index, the image for this machine is loaded, or with `-- --arch=arm64`
    that for another one.
    """

    NAME: ClassVar[str] = "oci_load"

    image: ConfiguredTarget = attr("The image: an `oci_index` or an `oci_image`.")
    tags: tuple[str, ...] = attr(
        "What the image is called there; by default `localhost/PACKAGE/NAME:REF`, of the target `image` and its `ref`.",
        (),
    )

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """No action; `build` makes the image."""
        info, label = layout_of(ctx, self.image), self.image.label
        path = "/".join(part for part in ("localhost", label.package, label.name) if part)
        tags = []
        for tag in self.tags or (f"{path}:{info.ref}",):
            try:
                reference = Reference.parse(tag)
            except ReferenceFault as fault:
                self._refuse(ctx, tag, f"nothing to call an image: {fault}")
            if reference.digest:
                self._refuse(ctx, tag, f"nothing to call an image: '{tag}' has a digest")
            tags.append(str(reference))
        return DefaultInfo(self.image.files), RunInfo("load", info.layout, tuple(tags))

    def _refuse(self, ctx: Context, tag: str, message: str) -> NoReturn:
        hint = "write it like `tags: [localhost/clusters/containerd:v1]`"
        where = ("tags", tag) if self.tags else ("image", "")
        ctx.fail("B235", message, attribute=where[0], item=where[1], hint=hint)
