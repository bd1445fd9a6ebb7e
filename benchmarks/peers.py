"""The contestants: each builds the same rootfs tarball from the same mirror, in the way its users would write it."""

from __future__ import annotations

import os
import shutil
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from benchmarks.measure import Sample, run

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.mirror import Blob

TEMPLATES = 24
"""Rendered files beside the blobs."""

TAR = "tar --sort=name --mtime=@315532800 --owner=0 --group=0 --numeric-owner --format=ustar"


def template_text(number: int) -> str:
    """Return the text of one template: a unit file's worth of lines and one variable."""
    lines = "".join(f"setting-{number}-{line} = value {line * 7919 % 1000}\n" for line in range(40))
    return f"version = @VERSION@\n{lines}"


class Peer(ABC):
    """One way to build the tarball, in a folder of its own."""

    name = ""

    def __init__(self, folder: Path, blobs: list[Blob]) -> None:
        self.folder = folder
        self.blobs = blobs
        self.environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(folder)}

    @property
    @abstractmethod
    def tarball(self) -> Path:
        """The tarball that `build` makes."""

    @abstractmethod
    def set_up(self) -> None:
        """Write the build description and the templates."""

    @abstractmethod
    def build(self) -> Sample:
        """Build, and say what it cost."""

    @abstractmethod
    def forget(self) -> None:
        """Remove everything that a build has left, so that the next one is cold."""

    def edit(self, marker: int) -> None:
        """Change one line of one template."""
        path = self.folder / self.template(0)
        path.write_text(template_text(0) + f"edited = {marker}\n")

    @abstractmethod
    def template(self, number: int) -> str:
        """Return the path of a template, relative to the folder."""


class Buildsys(Peer):
    """buildsys itself, from this checkout."""

    name = "buildsys"

    @property
    def tarball(self) -> Path:
        return self.folder / "buildsys-bin/rootfs/image.tar.zst"

    def template(self, number: int) -> str:
        return f"context/rootfs/etc/file-{number:02}.j2"

    def set_up(self) -> None:
        package = self.folder / "context/rootfs"
        (package / "etc").mkdir(parents=True)
        (self.folder / "BUILD.yaml").write_text("workspace: benchmark\npackages: context\n")
        lines = ["targets:\n"]
        names = []
        for blob in self.blobs:
            lines.append(
                f"  - {{rule: http_file, name: {blob.name}, arch: any, sha256: {blob.sha256}, executable: true,"
                f' urls: ["{blob.path.as_uri()}"], downloaded_file_path: bin/{blob.name}}}\n'
            )
            names.append(blob.name)
        for number in range(TEMPLATES):
            (self.folder / self.template(number)).write_text(
                template_text(number).replace("@VERSION@", "{{ version }}")
            )
            lines.append(
                f"  - {{rule: template, name: file-{number:02}, src: etc/file-{number:02}.j2,"
                f" out: etc/file-{number:02},"
                ' vars: {version: "1.23.17"}}\n'
            )
            names.append(f"file-{number:02}")
        layers = ", ".join(f'":{name}"' for name in names)
        lines.append(f"  - {{rule: rootfs, name: tree, layers: [{layers}]}}\n")
        lines.append('  - {rule: tarball, name: image, tree: ":tree"}\n')
        (package / "BUILD.yaml").write_text("".join(lines))

    def edit(self, marker: int) -> None:
        text = template_text(0).replace("@VERSION@", "{{ version }}") + f"edited = {marker}\n"
        (self.folder / self.template(0)).write_text(text)

    def build(self) -> Sample:
        start = "from buildsys.cli.main import main; main()"  # as ./buildsysw starts it
        return run([sys.executable, "-c", start, "build", "//rootfs:image"], self.folder, self.environment)

    def forget(self) -> None:
        for name in ("buildsys-out", "cache"):
            shutil.rmtree(self.folder / name, ignore_errors=True)


class TarPeer(Peer):
    """A peer that fills a folder `tree` and packs all of it with tar and zstd."""

    @property
    def tarball(self) -> Path:
        return self.folder / "image.tar.zst"

    def template(self, number: int) -> str:
        return f"etc/file-{number:02}.in"

    def set_up(self) -> None:
        (self.folder / "etc").mkdir(parents=True)
        for number in range(TEMPLATES):
            (self.folder / self.template(number)).write_text(template_text(number))
        self.describe()

    @abstractmethod
    def describe(self) -> None:
        """Write the build description."""

    def forget(self) -> None:
        shutil.rmtree(self.folder / "tree", ignore_errors=True)
        self.tarball.unlink(missing_ok=True)


class Shell(TarPeer):
    """A plain shell script: verify with sha256sum, copy, render with sed, `tar | zstd`; all of it every time."""

    name = "shell, tar to zstd"

    def describe(self) -> None:
        sums = "".join(f"{blob.sha256}  {blob.path}\n" for blob in self.blobs)
        (self.folder / "SHA256SUMS").write_text(sums)
        (self.folder / "build.sh").write_text(
            "set -eu\nrm -rf tree && mkdir -p tree/bin tree/etc\nsha256sum --quiet -c SHA256SUMS\n"
            f"cp {self.blobs[0].path.parent}/* tree/bin/\nchmod 755 tree/bin/*\n"
            'for f in etc/*.in; do sed "s/@VERSION@/1.23.17/" "$f" > "tree/${f%.in}"; done\n'
            f"{TAR} -C tree -cf - . | zstd -q -T2 -3 -f -o image.tar.zst\n"
        )

    def build(self) -> Sample:
        return run(["sh", "build.sh"], self.folder, self.environment)


class Make(TarPeer):
    """GNU make: a rule a file, by modification time; verifies nothing."""

    name = "make"

    def describe(self) -> None:
        mirror = self.blobs[0].path.parent
        rendered = " ".join(f"tree/etc/file-{number:02}" for number in range(TEMPLATES))
        copied = " ".join(f"tree/bin/{blob.name}" for blob in self.blobs)
        (self.folder / "Makefile").write_text(
            f"image.tar.zst: {rendered} {copied}\n\t{TAR} -C tree -cf - . | zstd -q -T2 -3 -f -o $@\n"
            f"tree/bin/%: {mirror}/%\n\t@mkdir -p tree/bin && cp $< $@ && chmod 755 $@\n"
            "tree/etc/%: etc/%.in\n\t@mkdir -p tree/etc && sed 's/@VERSION@/1.23.17/' $< > $@\n"
        )

    def build(self) -> Sample:
        return run(["make", "-s", "-j2"], self.folder, self.environment)
