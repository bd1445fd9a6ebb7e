"""What all contestants have in common: a folder of their own, and the questions that the harness asks them."""

from __future__ import annotations

import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from benchmarks.measure import Sample, run
from benchmarks.workloads import RELEASE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from benchmarks.workloads import Graph, Rootfs, Source

TAR = "tar --sort=name --mtime=@315532800 --owner=0 --group=0 --numeric-owner --format=ustar"
ZSTD = "zstd -q -T2 -3"
SED = f"sed 's/@version@/{RELEASE}/'"


def sed_node(stem: str) -> str:
    """Return the command that renders the node whose files are `stem` and an ending."""
    return f"sed -e 's/@version@/{RELEASE}/' -e '/@a@/{{r {stem}.a' -e 'd}}' -e '/@b@/{{r {stem}.b' -e 'd}}' {stem}.in"


def fetch(to: str, url: str) -> str:
    """Return the command that downloads one file."""
    return f"curl -sf -o {to} {url}"


class Peer(ABC):
    """One way to build, in a folder of its own: `work` is what the user has, beside it is what the tool keeps."""

    name: ClassVar[str]
    remark: ClassVar[str] = ""
    """What has to be known beside its figures."""
    programs: ClassVar[tuple[str, ...]] = ()
    """What must be installed."""
    most_nodes: ClassVar[int | None] = None
    """The largest graph that it is asked for."""
    outputs: ClassVar[tuple[str, ...]] = ()
    """Files and folders of `work` that building makes."""
    caches: ClassVar[tuple[str, ...]] = ("downloads",)
    """The same of what it keeps to build faster the next time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(folder)}

    @classmethod
    def missing(cls) -> str:
        """Say what keeps this peer from taking part, or return the empty string."""
        absent = [program for program in cls.programs if shutil.which(program) is None]
        return f"not installed: {', '.join(absent)}" if absent else ""

    @classmethod
    def version(cls) -> str:
        """Return what the tool calls itself."""
        said = subprocess.run([cls.programs[0], "--version"], capture_output=True, text=True, check=False).stdout
        return said.partition("\n")[0].strip()

    @abstractmethod
    def describe_rootfs(self, rootfs: Rootfs) -> None:
        """Write the build description of a rootfs."""

    def describe_graph(self, graph: Graph) -> None:
        """Write the build description of a graph."""
        raise NotImplementedError

    @abstractmethod
    def command(self, version: int = 0) -> list[str]:
        """Return the command that builds a version."""

    @abstractmethod
    def tarball(self, version: int = 0) -> Path:
        """Return where the tarball of a version is."""

    def node(self, path: str) -> Path:
        """Return where a node of a graph is."""
        return self.work / "out" / path

    def write(self, source: Source) -> None:
        """Write a file of the user."""
        path = self.work / source.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text(source.text))

    def text(self, template: str) -> str:
        """Return a template in the language of this tool."""
        return template

    def build(self, version: int = 0) -> Sample:
        """Build, and say what it cost."""
        return run(self.command(version), self.work, self.environment, self.folder / "log", self.daemons())

    def daemons(self) -> list[int]:
        """Return the process ids of what earlier builds have left running."""
        return []

    def ready(self) -> None:  # noqa: B027 - most have nothing to do
        """Bring everything but the files into the state that a measured build begins in."""

    def clean(self) -> None:
        """Remove what building has made, but not what has been cached."""
        self._remove(self.outputs)

    def forget(self) -> None:
        """Remove all that building has left, so that the next build is cold."""
        self.clean()
        self._remove(self.caches)

    def stop(self) -> None:  # noqa: B027 - most have nothing to do
        """End what is left running."""

    def _remove(self, patterns: Iterable[str]) -> None:
        for pattern in patterns:
            for path in self.work.glob(pattern):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
