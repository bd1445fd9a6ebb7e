"""Container engines for tests: podman with a store of its own, and programs that take their place."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Podman:
    """Podman over a store that nobody else has; `env` makes it the one that other programs start."""

    def __init__(self, folder: Path) -> None:
        config = folder / "storage.conf"
        config.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n')
        self.env = {"CONTAINERS_STORAGE_CONF": str(config)}

    def run(self, *command: str) -> str:
        """Run a command of podman's."""
        done = subprocess.run(
            ["podman", *command], capture_output=True, text=True, check=False, env={**os.environ, **self.env}
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        return done.stdout

    def inspect(self, name: str) -> Any:
        """Return what it says of an image."""
        (found,) = json.loads(self.run("image", "inspect", name))
        return found

    @contextmanager
    def mounted(self, name: str) -> Iterator[str]:
        """Mount an image; gives the folder of its files."""
        try:
            yield self.run("image", "mount", name).strip()
        finally:
            self.run("image", "unmount", name)


@contextmanager
def podman(folder: Path) -> Iterator[Podman]:
    """Return a podman whose store is in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    yield Podman(folder)
    subprocess.run(["chmod", "-R", "u+rwX", str(folder)], check=False)


def stand_in(folder: Path, name: str, script: str) -> None:
    """Write a shell script that is called as an engine is."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
