"""Upstream's files at upstream's paths, below a folder that a server or a file mirror can show.

What is real, and what is not:

    kubectl                     upstream's own bytes: the shipped pins hold
    conntrack, libseccomp2      Debian's packages as they are
    containerd, runc, docker    Debian's programs, packed as upstream packs its own: the archive is named after the
                                version that the tables choose, while the programs in it are of Debian's version;
                                `docker-init` is Debian's tini-static, as in Debian's docker.io
    everything else             stand-ins that print their name: kubeadm, kubelet, crictl, nerdctl with its two
                                scripts, cri-dockerd, seautil, and the image of the registry
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from buildsys.archive.elf import printing_elf
from tests.e2e import packages
from tests.e2e.workspace import ARCHES, sha256

OSS = "oss.test"
HOSTS = ("dl.k8s.io", "github.com", "download.docker.com", OSS)
"""The hosts that the shipped workspace downloads from, and the one of the OSS context, which is the user's own."""

EPOCH = 1_700_000_000
RECIPE = 1
"""Raise it when `_pack` makes other bytes: archives packed before are then made anew."""


class Versions(NamedTuple):
    """The versions that the tables choose for the Kubernetes release of the test, and Debian's of two libraries."""

    containerd: str
    runc: str
    docker: str
    cri_dockerd: str
    crictl: str
    nerdctl: str
    seautil: str
    registry: str
    conntrack: str
    libseccomp: str


class Member(NamedTuple):
    """A file of a packed archive: its name there, the Debian package it is from, and its name in that."""

    name: str
    package: str
    source: str


CONTAINERD = tuple(
    Member(f"bin/{name}", "containerd", f"usr/bin/{name}") for name in ("containerd", "containerd-shim-runc-v2", "ctr")
)
DOCKER = (
    Member("docker/docker", "docker.io", "usr/bin/docker"),
    Member("docker/dockerd", "docker.io", "usr/sbin/dockerd"),
    Member("docker/docker-proxy", "docker.io", "usr/sbin/docker-proxy"),
    Member("docker/docker-init", "tini", "usr/bin/tini-static"),
    Member("docker/containerd", "containerd", "usr/bin/containerd"),
    Member("docker/containerd-shim-runc-v2", "containerd", "usr/bin/containerd-shim-runc-v2"),
    Member("docker/ctr", "containerd", "usr/bin/ctr"),
    Member("docker/runc", "runc", "usr/sbin/runc"),
)
RUNC = Member("runc", "runc", "usr/sbin/runc")


@dataclass(slots=True)
class Upstream:
    """The folder, and the pin of each file in it that is not upstream's own: `file NAME VERSION ARCH` -> digest."""

    root: Path
    paths: dict[str, str] = field(default_factory=dict)
    """The path below the root -> the pin it is for."""
    pins: dict[str, str] = field(default_factory=dict)

    def lay(self, path: str, pin: str, content: bytes | Path, *, true: bool = False) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            target.symlink_to(content)
        else:
            target.write_bytes(content)
        self.paths[path] = pin
        if not true:
            self.pins[pin] = sha256(target)

    def requests(self, *, without: str = "\0", only: str = "") -> list[str]:
        """Return the paths whose pins hold the text `only` and not `without`, sorted as a log would be."""
        return sorted(f"/{path}" for path, pin in self.paths.items() if only in pin and without not in pin)

    def lock(self, shipped: str) -> str:
        """Return the shipped lock file with the pins of what is not upstream's own replaced or added."""
        lines = [line for line in shipped.splitlines() if line.rpartition(" sha256:")[0] not in self.pins]
        comments = [line for line in lines if line.startswith("#")]
        rest = [line for line in lines if not line.startswith("#")]
        rest += [f"{pin} sha256:{digest} TEST" for pin, digest in self.pins.items()]
        return "".join(f"{line}\n" for line in [*comments, *sorted(rest)])

    def distdir(self, folder: Path) -> None:
        """Lay the same files into one folder: named as in their paths or, where two have one name, by digest."""
        folder.mkdir()
        for path in sorted(self.paths):
            file = self.root / path
            name = file.name if not (folder / file.name).is_symlink() else sha256(file)
            (folder / name).symlink_to(file.resolve())


def lay_out(root: Path, releases: tuple[str, ...], versions: Versions) -> Upstream:
    """Lay out everything that the shipped workspace asks for, for both architectures and each Kubernetes release."""
    made = Upstream(root)
    for arch in ARCHES:
        for release in releases:
            _lay_release(made, release, arch)
        _lay_tools(made, versions, arch)
        _lay_oss(made, versions, arch)
    with ThreadPoolExecutor(len(ARCHES)) as pool:
        packed = pool.map(lambda arch: (arch, _pack(CONTAINERD, arch), _pack(DOCKER, arch)), ARCHES)
        for arch, containerd, docker in packed:
            _lay_runtimes(made, versions, arch, containerd, docker)
    return made


def _lay_release(made: Upstream, release: str, arch: str) -> None:
    folder = f"dl.k8s.io/release/v{release}/bin/linux/{arch}"
    made.lay(f"{folder}/kubectl", f"file kubectl {release} {arch}", packages.kubectl(release, arch), true=True)
    for name in ("kubeadm", "kubelet"):
        made.lay(f"{folder}/{name}", f"file {name} {release} {arch}", _program(name, release, arch))


def _lay_tools(made: Upstream, versions: Versions, arch: str) -> None:
    crictl, nerdctl, shim = versions.crictl, versions.nerdctl, versions.cri_dockerd
    made.lay(
        f"github.com/kubernetes-sigs/cri-tools/releases/download/v{crictl}/crictl-v{crictl}-linux-{arch}.tar.gz",
        f"file crictl {crictl} {arch}",
        _archive({"crictl": _program("crictl", crictl, arch)}),
    )
    scripts = {
        name: f"#!/bin/sh\necho '{name} {nerdctl} for {arch}: a stand-in'\n".encode()
        for name in ("containerd-rootless.sh", "containerd-rootless-setuptool.sh")
    }
    made.lay(
        f"github.com/containerd/nerdctl/releases/download/v{nerdctl}/nerdctl-{nerdctl}-linux-{arch}.tar.gz",
        f"file nerdctl {nerdctl} {arch}",
        _archive({"nerdctl": _program("nerdctl", nerdctl, arch), **scripts}),
    )
    made.lay(
        f"github.com/Mirantis/cri-dockerd/releases/download/v{shim}/cri-dockerd-{shim}.{arch}.tgz",
        f"file cri-dockerd {shim} {arch}",
        _archive({"cri-dockerd/cri-dockerd": _program("cri-dockerd", shim, arch)}),
    )


def _lay_oss(made: Upstream, versions: Versions, arch: str) -> None:
    made.lay(
        f"{OSS}/{arch}/bin/seautil",
        f"file seautil {versions.seautil} {arch}",
        _program("seautil", versions.seautil, arch),
    )
    made.lay(
        f"{OSS}/{arch}/conntrack.deb",
        f"file conntrack-deb {versions.conntrack} {arch}",
        packages.deb("conntrack", arch),
    )
    made.lay(
        f"{OSS}/{arch}/libseccomp2.deb",
        f"file libseccomp-deb {versions.libseccomp} {arch}",
        packages.deb("libseccomp2", arch),
    )
    made.lay(
        f"{OSS}/{arch}/images/registry.tar.gz",
        f"file registry-image {versions.registry} {arch}",
        _registry_image(versions.registry, arch),
    )


def _lay_runtimes(made: Upstream, versions: Versions, arch: str, containerd: Path, docker: Path) -> None:
    version = versions.containerd
    made.lay(
        f"github.com/containerd/containerd/releases/download/v{version}/containerd-{version}-linux-{arch}.tar.gz",
        f"file containerd {version} {arch}",
        containerd,
    )
    made.lay(
        f"github.com/opencontainers/runc/releases/download/v{versions.runc}/runc.{arch}",
        f"file runc {versions.runc} {arch}",
        packages.deb_member(packages.deb(RUNC.package, arch), RUNC.source),
    )
    made.lay(
        f"download.docker.com/linux/static/stable/{packages.MACHINES[arch]}/docker-{versions.docker}.tgz",
        f"file docker {versions.docker} {arch}",
        docker,
    )


def _program(name: str, version: str, arch: str) -> bytes:
    return printing_elf(arch, f"{name} {version} for {arch}: a stand-in")


def _archive(files: dict[str, bytes]) -> bytes:
    return gzip.compress(_tar(files), compresslevel=1, mtime=0)


def _tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(data), 0o755, EPOCH
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def _registry_image(version: str, arch: str) -> bytes:
    """Return a docker-archive of a one-layer image, as `docker save | gzip` makes it."""
    layer = _tar({"bin/registry": _program("registry", version, arch)})
    config = json.dumps(
        {
            "architecture": arch,
            "os": "linux",
            "config": {"Entrypoint": ["/bin/registry"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [f"registry:{version}"], "Layers": ["layer.tar"]}]
    return _archive({name: config, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()})


def _pack(members: tuple[Member, ...], arch: str) -> Path:
    """Return a .tar.gz of Debian's programs; the same packages give the same bytes, so it is made once."""
    debs = {member.package: packages.deb(member.package, arch) for member in members}
    inputs = [str(RECIPE), *(f"{member.name} {sha256(debs[member.package])} {member.source}" for member in members)]
    target = packages.cache() / "packed" / f"{hashlib.sha256(chr(10).join(inputs).encode()).hexdigest()}.tar.gz"
    with packages.locked(f"packed-{arch}.lock"):
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            files = {member.name: packages.deb_member(debs[member.package], member.source) for member in members}
            handle, part = tempfile.mkstemp(dir=target.parent)
            with open(handle, "wb") as out:
                subprocess.run([packages.tool("gzip"), "-1n"], input=_tar(files), stdout=out, check=True)
            os.replace(part, target)
    return target
