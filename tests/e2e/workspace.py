"""What the end-to-end tests share: copies of the shipped workspace, the program as users run it, and its journal."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from buildsys.store.workspace_state import RanAction, WorkspaceState

REPOSITORY = Path(__file__).parents[2]
SHIPPED = ("BUILD.yaml", ".buildsysrc", "buildsys.lock", "context")
PROGRAM = (sys.executable, "-m", "buildsys")
SAMPLE = "--config=sample"
RUNTIMES = ("docker", "containerd")
ARCHES = ("amd64", "arm64")
PRODUCTS = tuple(f"{cri}-{arch}" for cri in RUNTIMES for arch in ARCHES)


@dataclass(frozen=True, slots=True)
class Result:
    """A finished run of the program."""

    code: int
    stdout: str
    stderr: str

    @property
    def outputs(self) -> list[str]:
        """Paths that the run says are up to date, relative to the workspace."""
        return re.findall(r"^  (buildsys-bin/\S+)$", self.stderr, re.MULTILINE)

    @property
    def actions(self) -> int:
        """How many actions ran."""
        found = re.search(r"Build completed successfully, (\d+) total action", self.stderr)
        assert found, self.stderr
        return int(found[1])

    @property
    def is_from_snapshot(self) -> bool:
        """Whether the answer came without loading anything."""
        return "(0 packages loaded" in self.stderr

    def passed(self) -> Result:
        """Assert that the run succeeded."""
        assert self.code == 0, self.stderr
        return self


@dataclass(slots=True)
class Workspace:
    """A workspace in a folder of its own, with its own store unless told otherwise."""

    root: Path
    store: Path | None = None
    env: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    """What the program is started by: `setpriv ...`."""

    def command(self, *args: str) -> list[str]:
        return [*self.prefix, *PROGRAM, *args]

    def environment(self) -> dict[str, str]:
        """Return an environment that shows nothing of the tests' own settings."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        found = {**kept, "HOME": str(self.root), "PYTHONPATH": str(REPOSITORY), **self.env}
        if self.store is not None:
            found["BUILDSYS_CACHE"] = str(self.store)
        return found

    def run(self, *args: str, umask: int = -1) -> Result:
        done = subprocess.run(
            self.command(*args),
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
            umask=umask,
            check=False,
            timeout=300,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*args),
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def build(self, *args: str) -> Result:
        return self.run("build", *args).passed()

    def journal(self) -> list[RanAction]:
        """Return the actions that ran in the last build that was no null build."""
        state = WorkspaceState(str(self.root / "buildsys-out" / "state.sqlite"))
        try:
            last = state.last_build()
        finally:
            state.close()
        assert last is not None
        return last[2]

    def ran(self) -> set[str]:
        """Return the names of the actions that ran, without their configuration: `//rootfs:tree Merge tree`."""
        return {action.name.partition(" [")[0] for action in self.journal()}

    def output(self, name: str) -> Path:
        return self.root / "buildsys-bin" / "rootfs" / f"{name}.tar.zst"

    def digests(self, names: tuple[str, ...] = PRODUCTS) -> dict[str, str]:
        return {name: sha256(self.output(name)) for name in names}

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.root / path
        text = file.read_text()
        assert old in text, (path, old)
        file.write_text(text.replace(old, new, 1))


def copy_workspace(root: Path, store: Path | None = None) -> Workspace:
    """Lay the shipped workspace into `root`."""
    root.mkdir(parents=True, exist_ok=True)
    for name in SHIPPED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, root / name)
        else:
            shutil.copyfile(source, root / name)
    return Workspace(root, store)


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
