"""ninja: as make, with restat where it pays; a version is a description file of its own, as generators write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from benchmarks.peers.peer import SED, TAR, ZSTD, Peer, fetch, sed_node

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.workloads import Graph, Rootfs

_HEAD = "ninja_required_version = 1.8\n"


class Ninja(Peer):
    """One ninja file a version; what is rendered again as it was is not packed again."""

    name = "ninja"
    remark = "trusts modification times; verifies nothing"
    programs: ClassVar[tuple[str, ...]] = ("ninja", "curl", "tar", "zstd", "sed")
    caches: ClassVar[tuple[str, ...]] = ("downloads", ".ninja_*")
    outputs: ClassVar[tuple[str, ...]] = ("tree-*", "*.tar.zst", "out")

    def describe_rootfs(self, rootfs: Rootfs) -> None:
        render = f"{SED} $in >$out.new && if cmp -s $out.new $out; then rm $out.new; else mv $out.new $out; fi"
        rules = [
            _HEAD,
            f"rule fetch\n  command = {fetch('$out', f'{rootfs.url}/$file')}",
            "rule copy\n  command = cp $in $out && chmod $mode $out",
            f"rule render\n  command = {render}\n  restat = 1",
            f"rule pack\n  command = {TAR} -C $tree -cf - . | {ZSTD} -f -o $out",
        ]
        for version, blobs in enumerate(rootfs.versions):
            tree = f"tree-{version}"
            lines = list(rules)
            for blob in blobs:
                mode = 755 if blob.executable else 644
                lines += [
                    f"build downloads/{blob.file}: fetch\n  file = {blob.file}",
                    f"build {tree}/{blob.place}: copy downloads/{blob.file}\n  mode = {mode}",
                ]
            lines += [f"build {tree}/{place}: render context/rootfs/{place}.in" for place in rootfs.rendered()]
            places = " ".join(f"{tree}/{place}" for place in [*(blob.place for blob in blobs), *rootfs.rendered()])
            lines.append(f"build image-{version}.tar.zst: pack {places}\n  tree = {tree}")
            (self.work / f"build-{version}.ninja").write_text("\n".join(lines) + "\n")

    def describe_graph(self, graph: Graph) -> None:
        lines = [_HEAD, f"rule render\n  command = {sed_node('$stem')} >$out"]
        for path in graph.paths():
            stem = f"context/{path}"
            lines.append(f"build out/{path}: render {stem}.in {stem}.a {stem}.b\n  stem = {stem}")
        (self.work / "build-0.ninja").write_text("\n".join(lines) + "\n")

    def command(self, version: int = 0) -> list[str]:
        return ["ninja", "--quiet", "-f", f"build-{version}.ninja"]

    def tarball(self, version: int = 0) -> Path:
        return self.work / f"image-{version}.tar.zst"
