"""A plain shell script: download what is not there, verify all of it with sha256sum, copy, render, `tar | zstd`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from benchmarks.peers.peer import SED, TAR, ZSTD, Peer, fetch

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.workloads import Rootfs


class Shell(Peer):
    """All of it, every time."""

    name = "shell"
    remark = "a script; verifies every download in every build"
    programs: ClassVar[tuple[str, ...]] = ("sh", "sha256sum", "curl", "tar", "zstd", "sed")
    outputs: ClassVar[tuple[str, ...]] = ("tree", "*.tar.zst")

    @classmethod
    def version(cls) -> str:
        return ""

    def describe_rootfs(self, rootfs: Rootfs) -> None:
        lines = [
            "set -eu",
            "version=$1",
            "rm -rf tree",
            "mkdir -p downloads tree/bin tree/etc tree/images",
            "while read -r sum file; do",
            f"  [ -f downloads/$file ] || {fetch('downloads/$file', f'{rootfs.url}/$file')}",
            "done <SHA256SUMS-$version",
            "(cd downloads && sha256sum --quiet -c ../SHA256SUMS-$version)",
            "while read -r file place mode; do",
            "  cp downloads/$file tree/$place && chmod $mode tree/$place",
            "done <places-$version",
            f'for f in context/rootfs/etc/*.in; do n=${{f##*/}}; {SED} "$f" >tree/etc/"${{n%.in}}"; done',
            f"{TAR} -C tree -cf - . | {ZSTD} -f -o image-$version.tar.zst",
        ]
        (self.work / "build.sh").write_text("\n".join(lines) + "\n")
        for version, blobs in enumerate(rootfs.versions):
            sums = "".join(f"{blob.sha256}  {blob.file}\n" for blob in blobs)
            (self.work / f"SHA256SUMS-{version}").write_text(sums)
            places = "".join(f"{blob.file} {blob.place} {755 if blob.executable else 644}\n" for blob in blobs)
            (self.work / f"places-{version}").write_text(places)

    def command(self, version: int = 0) -> list[str]:
        return ["sh", "build.sh", str(version)]

    def tarball(self, version: int = 0) -> Path:
        return self.work / f"image-{version}.tar.zst"
