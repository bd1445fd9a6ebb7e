"""filegroup: source files, or files of other targets, under one name and placed in a rootfs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from buildsys.sdk import Artifact, Context, DefaultInfo, LayerEntry, LayerInfo, Provider, Rule, attr


@dataclass(frozen=True, slots=True, kw_only=True)
class Filegroup(Rule):
    """Files under one name.

    In a rootfs each file stands at its name relative to its package, without `strip_prefix` and below `prefix`.
    """

    NAME: ClassVar[str] = "filegroup"

    srcs: tuple[Artifact, ...] = attr("The files.", ())
    prefix: str = attr("A folder of the rootfs that the files are placed in.", "")
    strip_prefix: str = attr("A leading folder of the files' names that is dropped.", "")
    mode: str = attr("The mode of the files, such as `0755`; by default 0755 for executables and 0644 for others.", "")

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """Pass the files on, with their places."""
        mode = ctx.mode(self.mode)
        at = ctx.at("prefix" if self.prefix else "srcs")
        entries = []
        for artifact in self.srcs:
            path = artifact.name
            if self.strip_prefix:
                strip = self.strip_prefix.rstrip("/") + "/"
                if not path.startswith(strip):
                    ctx.fail(
                        "B224",
                        f"'{path}' does not start with '{strip}'",
                        attribute="strip_prefix",
                        hint="strip a folder that all files are in, or split the filegroup",
                    )
                path = path.removeprefix(strip)
            path = f"{self.prefix.rstrip('/')}/{path}" if self.prefix else path
            entries.append(LayerEntry(path, artifact, ctx.label, at, mode))
        return DefaultInfo(self.srcs), LayerInfo(tuple(entries))
