"""Bazel as Debian has it (`bazel-bootstrap`): sandboxed genrules, http_file, a disk cache and a repository cache."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, ClassVar

from benchmarks.peers.peer import SED, TAR, ZSTD, Peer, sed_node

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.workloads import Graph, Rootfs

_WORKSPACE = """\
workspace(name = "benchmark")
load("@bazel_tools//tools/build_defs/repo:http.bzl", "http_file")
"""


class Bazel(Peer):
    """With a server that runs already; the version is a `--define`."""

    name = "Bazel, warm server"
    remark = "a daemon keeps its graph in memory and watches nothing: it looks at each file"
    programs: ClassVar[tuple[str, ...]] = ("bazel", "tar", "zstd", "sed")
    most_nodes: ClassVar[int | None] = 10_000

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._root = folder / "root"
        self._target = ""

    @classmethod
    def version(cls) -> str:
        said = subprocess.run(["dpkg-query", "-Wf", "${Version}", "bazel-bootstrap"], capture_output=True, check=False)
        return f"bazel-bootstrap {said.stdout.decode()}".strip()

    def describe_rootfs(self, rootfs: Rootfs) -> None:
        self._target = "//:image"
        repositories: dict[str, str] = {}
        aliases, links = [], []
        for blobs in zip(*rootfs.versions, strict=True):
            name, place = blobs[0].name, blobs[0].place
            for blob in blobs:
                repositories[_repository(blob.file)] = (
                    f'http_file(name = "{_repository(blob.file)}", urls = ["{rootfs.url}/{blob.file}"],'
                    f' sha256 = "{blob.sha256}", downloaded_file_path = "{name}", executable = {blob.executable})\n'
                )
            files = {number: f"@{_repository(blob.file)}//file" for number, blob in enumerate(blobs)}
            choices = "".join(f'":v{number}": "{label}", ' for number, label in files.items() if label != files[0])
            chosen = f'select({{{choices}"//conditions:default": "{files[0]}"}})' if choices else f'"{files[0]}"'
            aliases.append(f'alias(name = "{name}", actual = {chosen})\n')
            links.append(f"ln -s $$PWD/$(location :{name}) tree/{place}")
        settings = [
            f'config_setting(name = "v{number}", define_values = {{"version": "{number}"}})\n'
            for number in range(1, len(rootfs.versions))
        ]
        renders = []
        for place in rootfs.rendered():
            renders.append(
                f'genrule(name = "{place}-rendered", srcs = ["context/rootfs/{place}.in"], outs = ["{place}"],'
                f' cmd = "{SED} $< >$@")\n'
            )
            links.append(f"cp $(location {place}) tree/{place} && chmod 644 tree/{place}")  # outputs are all 0555
        sources = [f":{blob.name}" for blob in rootfs.blobs] + rootfs.rendered()
        pack = " && ".join(
            ["mkdir -p tree/bin tree/etc tree/images", *links, f"{TAR} -C tree -chf - . | {ZSTD} -f -o $@"]
        )
        image = f'genrule(name = "image", srcs = {sources!r}, outs = ["image.tar.zst"], cmd = "{pack}")\n'
        (self.work / "WORKSPACE").write_text(_WORKSPACE + "".join(repositories.values()))
        (self.work / "BUILD").write_text("".join([*settings, *aliases, *renders, image]))

    def describe_graph(self, graph: Graph) -> None:
        self._target = "//..."
        (self.work / "WORKSPACE").write_text('workspace(name = "benchmark")\n')
        for package, names in graph.packages():
            command = sed_node(f"context/{package}/NODE")
            lines = [
                "[genrule(",
                '    name = name + "-rendered",',
                '    srcs = [name + ".in", name + ".a", name + ".b"],',
                "    outs = [name],",
                f'    cmd = "{command} >$@".replace("NODE", name),',
                f") for name in {names!r}]",
            ]
            (self.work / f"context/{package}/BUILD").write_text("\n".join(lines) + "\n")

    def command(self, version: int = 0) -> list[str]:
        chosen = [f"--define=version={version}"] if version else []
        options = [
            "--spawn_strategy=sandboxed",
            "--nosandbox_debug",  # Debian's rc file has it on, and it keeps every sandbox
            "--noshow_progress",
            f"--disk_cache={self.folder}/disk-cache",
            f"--repository_cache={self.folder}/repository-cache",
        ]
        return [*self._start(), "build", *options, *chosen, self._target]

    def tarball(self, version: int = 0) -> Path:
        return self.work / "bazel-bin/image.tar.zst"

    def node(self, path: str) -> Path:
        return self.work / "bazel-bin/context" / path

    def daemons(self) -> list[int]:
        found = [int(path.read_text()) for path in self._root.glob("*/server/server.pid.txt")]
        return [pid for pid in found if os.path.exists(f"/proc/{pid}")]

    def ready(self) -> None:
        self._run("info", "server_pid")

    def clean(self) -> None:
        self._run("clean")

    def forget(self) -> None:
        self.stop()
        for name in ("root", "disk-cache", "repository-cache"):
            subprocess.run(["chmod", "-R", "u+w", self.folder / name], capture_output=True, check=False)
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def stop(self) -> None:
        if self.daemons():
            self._run("shutdown")

    def _start(self) -> list[str]:
        return ["bazel", f"--output_user_root={self._root}", "--nohome_rc"]

    def _run(self, *words: str) -> None:
        subprocess.run([*self._start(), *words], cwd=self.work, env=self.environment, capture_output=True, check=True)


class BazelCold(Bazel):
    """With a server that has to be started first, as in a job of continuous integration."""

    name = "Bazel, cold server"
    remark = "the same, its server ended before each build"

    def ready(self) -> None:
        self.stop()


def _repository(file: str) -> str:
    return file.replace("-", "_").replace(".", "_")
