"""The contestants of the images: buildsys with a lock file, and skopeo in the two ways that many images are pulled."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ClassVar

from benchmarks.peers.buildsys import START, Buildsys
from benchmarks.peers.peer import Peer
from benchmarks.registry import ARCH, OTHER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.registry import Image

PACKAGE = """\
targets:
  - {rule: image_list, name: list, kubernetes: "", srcs: [images.txt]}
  - {rule: container_images, name: registry, images: ":list", arch: amd64}
"""


class ImagesPeer(Peer):
    """One way to have the images of a version here."""

    def describe_rootfs(self, rootfs: object) -> None:
        raise NotImplementedError

    def tarball(self, version: int = 0) -> Path:
        raise NotImplementedError

    def describe_images(self, host: str, versions: Sequence[Sequence[Image]]) -> None:
        """Write what is the same whichever images are wanted."""

    def want(self, host: str, images: Sequence[Image]) -> None:
        """Write which images are wanted."""
        raise NotImplementedError

    def blobs(self) -> set[str]:
        """Return the digests of the blobs that are here."""
        raise NotImplementedError


class ImagesBuildsys(Buildsys):
    """The storage tree of the cluster's registry, delivered as a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._host = ""

    def describe_images(self, host: str, versions: Sequence[Sequence[Image]]) -> None:
        """Write the workspace, with all images of all versions locked."""
        self._host = host
        (self.work / "BUILD.yaml").write_text(
            "workspace: benchmark\npackages: context\nlockfile: buildsys.lock\n"
            f"platforms: [linux/{ARCH}, linux/{OTHER}]\n"
        )
        (self.work / "context/images").mkdir(parents=True, exist_ok=True)
        (self.work / "context/images/BUILD.yaml").write_text(PACKAGE)
        pins = set()
        for images in versions:
            for one in images:
                for arch, digest in (("index", one.top), (ARCH, one.manifest)):
                    pins.add(f"image {one.name} {one.tag} {arch} {digest} registry\n")
        (self.work / "buildsys.lock").write_text("".join(sorted(pins)))

    def want(self, host: str, images: Sequence[Image]) -> None:
        """Write which images are wanted."""
        (self.work / "context/images/images.txt").write_text("".join(f"{one.name}:{one.tag}\n" for one in images))

    def command(self, version: int = 0) -> list[str]:
        return [sys.executable, "-c", START, "build", f"--registry_insecure={self._host}", "//images:registry"]

    def blobs(self) -> set[str]:
        """Return the digests of the blobs that are here."""
        root = self.work / "buildsys-bin/images/registry/docker/registry/v2/blobs/sha256"
        return {path.parent.name for path in root.glob("*/*/data")}


class SkopeoCopy(ImagesPeer):
    """One layout for all, so that layers that images share are there once; a process for each image."""

    name = "skopeo-copy"
    remark = "one `skopeo copy` after the other into one OCI layout; resolves each tag"
    programs: ClassVar[tuple[str, ...]] = ("skopeo", "sh")
    outputs: ClassVar[tuple[str, ...]] = ("layout",)

    def want(self, host: str, images: Sequence[Image]) -> None:
        lines = [
            f"skopeo copy -q --override-arch={ARCH} --src-tls-verify=false docker://{one.name}:{one.tag}"
            f" oci:layout:{one.name.rpartition('/')[2]}-{one.tag}\n"
            for one in images
        ]
        (self.work / "pull.sh").write_text("set -eu\n" + "".join(lines))

    def command(self, version: int = 0) -> list[str]:
        return ["sh", "pull.sh"]

    def blobs(self) -> set[str]:
        return {path.name for path in (self.work / "layout/blobs/sha256").iterdir()}


class SkopeoSync(ImagesPeer):
    """One process for all images, and a folder for each."""

    name = "skopeo-sync"
    remark = "one `skopeo sync` into a folder for each image, all anew each time; resolves each tag"
    programs: ClassVar[tuple[str, ...]] = ("skopeo",)
    outputs: ClassVar[tuple[str, ...]] = ("synced",)

    def want(self, host: str, images: Sequence[Image]) -> None:
        lines = [f"{host}:\n  tls-verify: false\n  images:\n"]
        lines += [f"    {one.name.partition('/')[2]}: [{one.tag}]\n" for one in images]
        (self.work / "images.yaml").write_text("".join(lines))

    def command(self, version: int = 0) -> list[str]:
        sync = f"skopeo --override-arch={ARCH} sync --src=yaml --dest=dir images.yaml synced"
        return ["sh", "-c", f"rm -rf synced && {sync}"]  # it does not write into a folder that is there

    def blobs(self) -> set[str]:
        return {path.name for path in (self.work / "synced").glob("*/*") if len(path.name) == 64}


PEERS: dict[str, type[Peer]] = {
    "buildsys": ImagesBuildsys,
    "skopeo-copy": SkopeoCopy,
    "skopeo-sync": SkopeoSync,
}
