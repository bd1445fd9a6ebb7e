"""Temporary files and whose they are: names that tell this process from others."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from functools import cache

ABANDONED_SECONDS = 24 * 3600
"""How long ago another container must have written to a temporary file for nobody to be writing it any more."""


def owner() -> str:
    """Return how the names of this process's temporary files begin: its id, and the space of ids that it counts in.

    Containers that share a store have the same ids, and cannot see each other's.
    """
    return f"{os.getpid()}-{_space()}-"


@cache
def _space() -> str:
    try:
        return os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return "0"


def remove_rubbish(root: str) -> None:
    """Remove what killed processes left in `tmp`: files of processes that are gone.

    Whether a process of another container is gone cannot be told; what it left is rubbish after ABANDONED_SECONDS.
    """
    folder, space = os.path.join(root, "tmp"), _space()
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        pid, _, rest = name.partition("-")
        if not pid.isdigit():
            continue
        path = os.path.join(folder, name)
        with suppress(OSError):
            is_own = rest.partition("-")[0] == space
            if os.path.exists(f"/proc/{pid}") if is_own else os.lstat(path).st_mtime > time.time() - ABANDONED_SECONDS:
                continue
            if os.path.isdir(path):
                import shutil

                shutil.rmtree(path)
            else:
                os.unlink(path)
