"""Where a workspace is, and where its results go."""

from __future__ import annotations

import os
from typing import NamedTuple

from buildsys.errors import UsageError
from buildsys.loading.workspace import find_root
from buildsys.snapshot import OUTPUT_BASE


class Place(NamedTuple):
    """Where a workspace is and where its results go; `here` is the package that relative patterns are seen from."""

    root: str
    output_base: str
    store: str
    here: str


def locate(start: str, *, output_base: str = "", store: str = "") -> Place:
    """Find the workspace around `start`. Raises `UsageError` B002 when there is none."""
    root = find_root(start)
    if root is None:
        raise UsageError(
            "B002",
            "this command is only supported from within a workspace (below a folder with a BUILD.yaml that has a"
            " `workspace:` line)",
            hint="change into a workspace, or begin one with a BUILD.yaml that holds `workspace: NAME`",
        )
    base = os.path.abspath(output_base) if output_base else os.path.join(root, OUTPUT_BASE)
    folder = store or os.environ.get("BUILDSYS_CACHE", "") or os.path.join(root, "cache")
    return Place(root, base, os.path.abspath(folder), os.path.relpath(os.path.abspath(start), root))
