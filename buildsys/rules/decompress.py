"""decompress: a .gz, .xz, .zst or .bz2 file as what was compressed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from buildsys.actions.decompress import Decompress
from buildsys.sdk import Artifact, Context, DefaultInfo, Provider, Rule, attr


@dataclass(frozen=True, slots=True, kw_only=True)
class DecompressRule(Rule):
    """What was compressed; a file that is not compressed is passed on as it is."""

    NAME: ClassVar[str] = "decompress"

    src: Artifact = attr("The compressed file; its format is told by its first bytes.")
    out: str = attr("The name of the result, and its place in a rootfs.")

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """One Decompress action, one file out."""
        out = ctx.declare(self.out)
        ctx.register(Decompress(src=self.src), [out], f"Decompress {out.path}")
        return (DefaultInfo((out,)),)
