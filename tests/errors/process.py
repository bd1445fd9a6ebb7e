"""buildsys as a process of its own: for signals, mounts and limits."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATIENCE = 30.0


def environment() -> dict[str, str]:
    """Return an environment in which this checkout is the one that runs."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
    return {**kept, "PYTHONPATH": TOP, "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}


def start(root: str, *argv: str) -> subprocess.Popen[str]:
    """Start buildsys in a workspace."""
    return subprocess.Popen(
        [sys.executable, "-m", "buildsys", *argv], cwd=root, env=environment(), stderr=subprocess.PIPE, text=True
    )


def run(root: str, *argv: str) -> tuple[int, str]:
    """Run buildsys in a workspace; return its exit code and its stderr."""
    with start(root, *argv) as process:
        _, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, errors


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until something has happened."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.01)


def files(folder: str) -> list[str]:
    """Return the files below a folder, relative to it."""
    return sorted(
        os.path.relpath(os.path.join(where, name), folder) for where, _, names in os.walk(folder) for name in names
    )
