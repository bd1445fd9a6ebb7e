"""The output folder as a whole: made before a build with the link that leads to it, and removed by `clean`."""

from __future__ import annotations

import os

from buildsys.errors import UserError
from buildsys.execution import previous
from buildsys.snapshot import FOLDER, OUTPUT_LINK, PARSED
from buildsys.store.fault import store_fault


def make(root: str, base: str) -> None:
    """Make the folder for outputs below an output base, and let `buildsys-bin` in the workspace lead to it."""
    link, target = os.path.join(root, OUTPUT_LINK), os.path.join(base, "bin")
    wanted = os.path.relpath(target, root) if target.startswith(root + os.sep) else target
    try:
        os.makedirs(target, exist_ok=True)
        os.makedirs(os.path.join(base, FOLDER), exist_ok=True)
        if os.path.islink(link):
            if os.readlink(link) == wanted:
                return
            os.unlink(link)
        elif os.path.lexists(link):
            hint = "move it out of the way"
            raise UserError("B003", f"{link} is no link of buildsys, which puts one there", hint=hint)
        os.symlink(wanted, link)
    except OSError as error:
        raise store_fault(error, target, "--output_base=DIR") from error


def remove(root: str, base: str, *, expunge: bool) -> list[str]:
    """Remove what buildsys made below an output base and the link to it, and nothing else; return the paths removed.

    Outputs and snapshots go; with `expunge` also what the workspace remembers. The lock file stays: whoever waits for
    it has it open.
    """
    names = ["bin", FOLDER, PARSED, previous.FOLDER, "tmp"]
    if expunge:
        for name in ("state.sqlite", "state.sqlite.damaged"):
            names += [name, f"{name}-wal", f"{name}-shm"]
    removed: list[str] = []
    for name in names:
        path = os.path.join(base, name)
        if not os.path.lexists(path):
            continue
        if os.path.isdir(path) and not os.path.islink(path):
            for folder, folders, _ in os.walk(path):
                for inner in folders:  # a tree may hold folders that nobody can list, or write to
                    if not os.path.islink(os.path.join(folder, inner)):
                        os.chmod(os.path.join(folder, inner), 0o700)
            import shutil

            shutil.rmtree(path)
        else:
            os.unlink(path)
        removed.append(path)
    link = os.path.join(root, OUTPUT_LINK)
    if os.path.islink(link):
        os.unlink(link)
        removed.append(link)
    return removed
