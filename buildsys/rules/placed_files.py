"""placed_files: files of other targets at places of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from buildsys.sdk import ConfiguredTarget, Context, DefaultInfo, LayerEntry, LayerInfo, Provider, Rule, attr
from buildsys.sdk.layers import single_file


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedFiles(Rule):
    """Each file at the place that is written for it, which one file may have several of."""

    NAME: ClassVar[str] = "placed_files"

    files: Mapping[str, ConfiguredTarget] = attr(
        "Places in a rootfs, and the target (with one file) or source file of each."
    )
    mode: str = attr("The mode of the files, such as `0755`; by default 0755 for executables and 0644 for others.", "")

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """Pass the files on, with their places."""
        entries = []
        for path, target in self.files.items():
            artifact = single_file(ctx, target, "files", path, f"stand at '{path}'")
            entries.append(LayerEntry(path, artifact, ctx.label, ctx.at("files", path), ctx.mode(self.mode)))
        artifacts = dict.fromkeys(entry.artifact for entry in entries if entry.artifact is not None)
        return DefaultInfo(tuple(artifacts)), LayerInfo(tuple(entries))
