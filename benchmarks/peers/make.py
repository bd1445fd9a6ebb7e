"""GNU make: a rule a file, by modification time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from benchmarks.peers.peer import SED, TAR, ZSTD, Peer, fetch, sed_node

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.workloads import Graph, Rootfs


class Make(Peer):
    """One Makefile; the version is a variable of its command line, and each version has a tree of its own."""

    name = "make"
    remark = "trusts modification times; verifies nothing"
    programs: ClassVar[tuple[str, ...]] = ("make", "curl", "tar", "zstd", "sed")
    outputs: ClassVar[tuple[str, ...]] = ("tree-*", "*.tar.zst", "out")

    def describe_rootfs(self, rootfs: Rootfs) -> None:
        lines = [
            "VERSION ?= 0",
            "tree := tree-$(VERSION)",
            "folders := downloads $(tree)/bin $(tree)/etc $(tree)/images",
        ]
        for version, blobs in enumerate(rootfs.versions):
            lines += [f"file-{version}-{blob.name} := {blob.file}" for blob in blobs]
        places = " ".join(f"$(tree)/{place}" for place in [*(blob.place for blob in rootfs.blobs), *rootfs.rendered()])
        lines += [
            f"image-$(VERSION).tar.zst: {places}",
            f"\t{TAR} -C $(tree) -cf - . | {ZSTD} -f -o $@",
            "downloads/%: | $(folders)",
            f"\t{fetch('$@', f'{rootfs.url}/$*')}",
            "$(tree)/etc/%: context/rootfs/etc/%.in | $(folders)",
            f"\t{SED} $< >$@",
            "$(folders):",
            "\tmkdir -p $@",
            ".PRECIOUS: downloads/%",
        ]
        for blob in rootfs.blobs:
            lines += [
                f"$(tree)/{blob.place}: downloads/$(file-$(VERSION)-{blob.name}) | $(folders)",
                f"\tcp $< $@ && chmod {755 if blob.executable else 644} $@",
            ]
        (self.work / "Makefile").write_text("\n".join(lines) + "\n")

    def describe_graph(self, graph: Graph) -> None:
        lines = []
        for package, names in graph.packages():
            lines += [
                f"{package} := " + " ".join(f"out/{package}/{name}" for name in names),
                f"all: $({package})",
                f"$({package}): out/%: context/%.in context/%.a context/%.b | out/{package}",
                f"\t{sed_node('context/$*')} >$@",
                f"out/{package}:",
                "\tmkdir -p $@",
            ]
        (self.work / "Makefile").write_text("\n".join(lines) + "\n")

    def command(self, version: int = 0) -> list[str]:
        return ["make", "-rs", f"-j{os.cpu_count()}", *([f"VERSION={version}"] if version else [])]

    def tarball(self, version: int = 0) -> Path:
        return self.work / f"image-{version}.tar.zst"
