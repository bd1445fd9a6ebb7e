"""buildsys itself, from this checkout."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import buildsys
from benchmarks.peers.peer import Peer
from benchmarks.workloads import RELEASE

if TYPE_CHECKING:
    from benchmarks.workloads import Graph, Rootfs

START = "from buildsys.cli.main import main; main()"
_VARS = f'vars: {{version: "{RELEASE}"}}'
WORKSPACE = """\
workspace: benchmark
packages: context
parameters:
  release: {type: string, default: "0"}
"""


class Buildsys(Peer):
    """Started as ./buildsysw starts it."""

    name = "buildsys"
    remark = "keys on content; verifies what it downloads and what it reads back"
    caches: ClassVar[tuple[str, ...]] = ("cache",)
    outputs: ClassVar[tuple[str, ...]] = ("buildsys-out", "buildsys-bin")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.environment["PYTHONPATH"] = str(Path(buildsys.__file__).parents[1])
        self._target = ""

    @classmethod
    def version(cls) -> str:
        return f"buildsys, Python {sys.version.partition(' ')[0]}"

    def text(self, template: str) -> str:
        for name in ("a", "b"):
            template = template.replace(f"@{name}@\n", f"{{{{ {name} }}}}")
        return template.replace("@version@", "{{ version }}")

    def describe_rootfs(self, rootfs: Rootfs) -> None:
        self._target = "//rootfs:image"
        lines = ["targets:\n"]
        pins = set()
        for blobs in zip(*rootfs.versions, strict=True):
            blob = blobs[0]
            varies = len({other.file for other in blobs}) > 1  # then its files are named by their version
            version, file = ("{release}", f"{blob.name}-{{release}}") if varies else ("0", blob.file)
            lines.append(
                f"  - {{rule: http_file, name: {blob.name}, version: {quoted(version)}, arch: any,"
                f" urls: [{quoted(f'{rootfs.url}/{file}')}], downloaded_file_path: {blob.place},"
                f" executable: {str(blob.executable).lower()}}}\n"
            )
            for number, other in enumerate(blobs):
                pins.add(f"file {blob.name} {number if varies else 0} any sha256:{other.sha256} mirror\n")
        lines += [
            f"  - {{rule: template, name: {place.rpartition('/')[2]}, src: {place}.in, out: {place}, {_VARS}}}\n"
            for place in rootfs.rendered()
        ]
        names = [blob.name for blob in rootfs.blobs] + [place.rpartition("/")[2] for place in rootfs.rendered()]
        layers = ", ".join(f'":{name}"' for name in names)
        lines.append(f"  - {{rule: rootfs, name: tree, layers: [{layers}]}}\n")
        lines.append('  - {rule: tarball, name: image, tree: ":tree"}\n')
        (self.work / "BUILD.yaml").write_text(WORKSPACE)
        (self.work / "context/rootfs/BUILD.yaml").write_text("".join(lines))
        (self.work / "buildsys.lock").write_text("".join(sorted(pins)))

    def describe_graph(self, graph: Graph) -> None:
        self._target = "//..."
        (self.work / "BUILD.yaml").write_text(WORKSPACE)
        for package, names in graph.packages():
            lines = ["targets:\n"]
            lines += [
                f"  - {{rule: template, name: {name}, src: {name}.in, out: {name}, {_VARS},"
                f" texts: {{a: {name}.a, b: {name}.b}}}}\n"
                for name in names
            ]
            (self.work / f"context/{package}/BUILD.yaml").write_text("".join(lines))

    def command(self, version: int = 0) -> list[str]:
        chosen = [f"--param=release={version}"] if version else []
        return [sys.executable, "-c", START, "build", *chosen, self._target]

    def tarball(self, version: int = 0) -> Path:
        folder = f"release={version}/rootfs" if version else "rootfs"
        return self.work / f"buildsys-bin/{folder}/image.tar.zst"

    def node(self, path: str) -> Path:
        return self.work / "buildsys-bin" / path


def quoted(text: str) -> str:
    """Return a text that needs no escapes as YAML."""
    return f'"{text}"'
