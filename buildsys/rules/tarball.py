"""tarball: a tree as a .tar, .tar.gz or .tar.zst."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

from buildsys.actions.tarball import Tarball as WriteTarball
from buildsys.sdk import ConfiguredTarget, Context, DefaultInfo, Provider, Rule, TreeInfo, attr

_COMPRESSION = MappingProxyType({"tar": "none", "tar.gz": "gzip", "tar.zst": "zstd"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TarballRule(Rule):
    """A tree as an archive whose bytes depend on the tree and on these attributes alone.

    It is put together from frames that are kept from build to build: a changed file costs its own compression.
    """

    NAME: ClassVar[str] = "tarball"

    tree: ConfiguredTarget = attr("The tree: a rootfs or a build context.")
    format: Literal["tar", "tar.gz", "tar.zst"] = attr("The format of the archive.", "tar.zst")
    level: int = attr("The level of compression; 0 for the default of the format.", 0)
    single_stream: bool = attr(
        "Whether a .tar.gz or .tar.zst is one stream, for readers that stop after the first; it is then compressed anew"
        " each time.",
        False,
    )
    out: str = attr("The name of the archive; by default the target's name and the format.", "")

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """One Tarball action, one file out."""
        info = self.tree.get(TreeInfo)
        if info is None:
            ctx.fail(
                "B227", f"'{self.tree.label}' is no tree", attribute="tree", hint="name a rootfs or a build_context"
            )
        compression = _COMPRESSION[self.format]
        if self.single_stream and compression != "none":
            compression += "-single"
        out = ctx.declare(self.out or f"{ctx.label.name}.{self.format}")
        operation = WriteTarball(tree=info.tree, compression=compression, level=self.level)
        ctx.register(operation, [out], f"Tarball {out.path}")
        return (DefaultInfo((out,)),)
