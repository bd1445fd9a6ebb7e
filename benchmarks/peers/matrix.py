"""The contestants of the matrix: buildsys with a range of versions, and a script that builds every rootfs in a loop.

For both a version is a number of what is built: every rootfs, the first one, or that of the other runtime.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ClassVar

from benchmarks.peers.buildsys import START, WORKSPACE, Buildsys, quoted
from benchmarks.peers.peer import TAR, ZSTD, fetch
from benchmarks.peers.shell import Shell
from benchmarks.releases import ARCHES, CRIS, OF_ARCH, OF_CRI, OF_RELEASE, place_of, release
from benchmarks.workloads import RELEASE

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.releases import Matrix, Product

ALL, ONE, OTHER = 0, 1, 2
REMARK = "verifies every download in every build"


class MatrixBuildsys(Buildsys):
    """One command, and a range of versions."""

    def describe_matrix(self, matrix: Matrix) -> None:
        """Write the workspace; where a release is added, only its lock file changes."""
        parameters = "".join(
            f"  {name}: {{type: choice, values: [{', '.join(values)}], default: {values[0]}}}\n"
            for name, values in (("cri", CRIS), ("arch", ARCHES))
        )
        (self.work / "BUILD.yaml").write_text(f"{WORKSPACE}  version: {{type: version, default: '0'}}\n{parameters}")
        pins = [
            f"file {part.blob.name} {part.release or part.cri or 1} {part.arch} sha256:{part.blob.sha256} mirror\n"
            for part in matrix.locked()
        ]
        (self.work / "buildsys.lock").write_text("".join(sorted(pins)))
        (self.work / "context/rootfs/BUILD.yaml").write_text("".join(_targets(matrix)))

    def command(self, version: int = ALL) -> list[str]:
        which = {
            ALL: [f"--param=version=>={release(0)}", "//rootfs:all"],
            ONE: [f"--param=version={release(0)}", f"//rootfs:{CRIS[0]}-{ARCHES[0]}"],
            OTHER: [f"--param=version={release(0)}", f"//rootfs:{CRIS[1]}-{ARCHES[0]}"],
        }
        return [sys.executable, "-c", START, "build", *which[version]]

    def made(self, product: Product) -> Path:
        """Return where the tarball of a rootfs is."""
        return self.work / f"buildsys-bin/version={product.release}/rootfs/{product.name}.tar.zst"


def _targets(matrix: Matrix) -> list[str]:
    lines = ["default_tags: [manual]\n", "targets:\n"]
    blobs = {part.blob.name: part.blob for part in matrix.parts}
    for kind, version, ending in (
        (OF_RELEASE, "{version}", "{version}-{arch}"),
        (OF_CRI, "{cri}", "{cri}-{arch}"),
        (OF_ARCH, "1", "{arch}"),
    ):
        for name, _ in kind:
            blob = blobs[name]
            lines.append(
                f"  - {{rule: http_file, name: {name}, version: {quoted(version)},"
                f" urls: [{quoted(f'{matrix.url}/{name}-{ending}')}], downloaded_file_path: {blob.place},"
                f" executable: {str(blob.executable).lower()}}}\n"
            )
    for source, of in matrix.templates():
        place = place_of(source)
        value = {"release": "{version}", "cri": "{cri}"}.get(of, RELEASE)
        lines.append(
            f"  - {{rule: template, name: {place.rpartition('/')[2]}, src: {place}.in, out: {place},"
            f" vars: {{version: {quoted(value)}}}}}\n"
        )
    names = [*blobs, *(place_of(source).rpartition("/")[2] for source, _ in matrix.templates())]
    layers = ", ".join(f'":{name}"' for name in names)
    lines.append(f"  - {{rule: rootfs, name: tree, layers: [{layers}]}}\n")
    choices = f"cri: [{', '.join(CRIS)}], arch: [{', '.join(ARCHES)}]"
    lines.append(f'  - {{rule: tarball, name: "{{cri}}-{{arch}}", matrix: {{{choices}}}, tree: ":tree", tags: []}}\n')
    return lines


class MatrixShell(Shell):
    """A loop over the script of one rootfs: each from nothing but its downloads."""

    remark = f"a script that builds each rootfs from nothing but its downloads; {REMARK}"
    outputs: ClassVar[tuple[str, ...]] = ("tree", "made")

    def describe_matrix(self, matrix: Matrix) -> None:
        """Write the script, its lists of files, and of each version the rootfs that it names."""
        renders = [
            f'sed "s/@version@/${of or "fixed"}/" {source.path} >tree/{place_of(source)}'
            for source, of in matrix.templates()
        ]
        lines = [
            "set -eu",
            f"fixed={RELEASE}",
            "mkdir -p downloads made",
            "while read -r release cri arch; do",
            "rm -rf tree",
            "mkdir -p tree/bin tree/etc tree/images",
            "name=$release-$cri-$arch",
            "while read -r sum file; do",
            f"  [ -f downloads/$file ] || {fetch('downloads/$file', f'{matrix.url}/$file')} </dev/null",
            "done <lists/$name.sums",
            "(cd downloads && sha256sum --quiet -c ../lists/$name.sums)",
            "while read -r file place mode; do",
            "  cp downloads/$file tree/$place && chmod $mode tree/$place",
            "done <lists/$name.places",
            *renders,
            f"{TAR} -C tree -cf - . | {ZSTD} -f -o made/$name.tar.zst",
            "done <lists/$1",
        ]
        lists = self.work / "lists"
        lists.mkdir(exist_ok=True)
        (self.work / "build.sh").write_text("\n".join(lines) + "\n")
        products = matrix.products()
        for product in products:
            blobs = matrix.blobs(product)
            sums = "".join(f"{blob.sha256}  {blob.file}\n" for blob in blobs)
            (lists / f"{'-'.join(product)}.sums").write_text(sums)
            places = "".join(f"{blob.file} {blob.place} {755 if blob.executable else 644}\n" for blob in blobs)
            (lists / f"{'-'.join(product)}.places").write_text(places)
        first = [p for p in products if p.release == release(0) and p.arch == ARCHES[0]]
        for version, wanted in ((ALL, products), (ONE, first[:1]), (OTHER, first[1:])):
            (lists / str(version)).write_text("".join(f"{' '.join(product)}\n" for product in wanted))

    def command(self, version: int = ALL) -> list[str]:
        return ["sh", "build.sh", str(version)]

    def made(self, product: Product) -> Path:
        """Return where the tarball of a rootfs is."""
        return self.work / f"made/{'-'.join(product)}.tar.zst"


MatrixPeer = MatrixBuildsys | MatrixShell
PEERS: dict[str, type[MatrixPeer]] = {"buildsys": MatrixBuildsys, "shell": MatrixShell}
