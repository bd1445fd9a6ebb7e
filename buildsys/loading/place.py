"""Where a workspace is, and where its results go."""

from __future__ import annotations

import os
from typing import NamedTuple

from buildsys.errors import UsageError
from buildsys.snapshot import OUTPUT_BASE

WORKSPACE_FILE = "BUILD.yaml"


class Place(NamedTuple):
    """Where a workspace is and where its results go; `here` is the package that relative patterns are seen from."""

    root: str
    output_base: str
    store: str
    here: str


def locate(start: str, *, command: str = "build", output_base: str = "", store: str = "") -> Place:
    """Find the workspace around `start`. Raises `UsageError` B002 when there is none."""
    root = find_root(start)
    if root is None:
        raise UsageError(
            "B002",
            f"The '{command}' command is only supported from within a workspace (below a folder whose BUILD.yaml has a"
            " `workspace:` line).",
            hint="change into a workspace, or begin one with a BUILD.yaml that holds `workspace: NAME`",
        )
    base = os.path.abspath(output_base) if output_base else os.path.join(root, OUTPUT_BASE)
    folder = store or os.environ.get("BUILDSYS_CACHE", "") or os.path.join(root, "cache")
    return Place(root, base, os.path.abspath(folder), os.path.relpath(os.path.abspath(start), root))


def find_root(start: str) -> str | None:
    """Return the nearest folder at or above `start` whose BUILD.yaml is a workspace file."""
    folder = os.path.abspath(start)
    while True:
        if _is_workspace_file(os.path.join(folder, WORKSPACE_FILE)):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def _is_workspace_file(path: str) -> bool:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return any(line.startswith("workspace:") for line in stream)
    except OSError:
        return False
