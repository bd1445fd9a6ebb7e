"""archive: files out of a .tar(.gz, .xz, .zst, .bz2), .zip or .deb, each a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from buildsys.actions.extract import Extract
from buildsys.sdk import Artifact, Context, DefaultInfo, Provider, Rule, attr


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive(Rule):
    """Members of an archive, each a file of its own: only what is made of members that differ is made again."""

    NAME: ClassVar[str] = "archive"

    src: Artifact = attr("The archive; its format is told by its first bytes.")
    members: Mapping[str, str] = attr(
        "The name that each file gets (also its place in a rootfs), and the member that it is: a name, or a pattern"
        " with one `*`; several, separated by ` | `, are tried in order."
    )

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """One Extract action, a file out for each member."""
        if not self.members:
            ctx.fail("B224", "no members are named", attribute="members", hint="write `NAME: MEMBER` lines")
        outputs = [ctx.declare(name, "members", name) for name in self.members]
        wanted = tuple(tuple(part.strip() for part in member.split(" | ")) for member in self.members.values())
        ctx.register(Extract(archive=self.src, members=wanted), outputs, f"Extract {self.src.path}")
        return (DefaultInfo(tuple(outputs)),)
