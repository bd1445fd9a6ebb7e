"""Cluster images in registries and engines: pushed, pulled, loaded and served, and the rootfs is found in them."""

from __future__ import annotations

import json
import re
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.e2e.packages import host_arch
from tests.e2e.test_oci_images import REF, TEMPLATE, entries, layout, run, unpacked_tarball
from tests.e2e.test_serve import serving
from tests.e2e.workspace import ARCHES, RUNTIMES, SAMPLE, Result, Workspace, copy_workspace
from tests.engines import podman
from tests.registries import registry
from tests.registry_clients import client
from tests.scripted_http import Reply, Request, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.registries import Registry


class Site(NamedTuple):
    """A workspace, its rootfs as lines (`entries`), a registry, and what pushing there has said, by runtime."""

    workspace: Workspace
    rootfs: dict[str, list[str]]
    registry: Registry
    pushed: dict[str, Result]

    def name(self, cri: str) -> str:
        return f"{self.registry.host}/clusters/{cri}:{REF}"


def push(workspace: Workspace, cri: str, *names: str) -> Result:
    insecure = {f"--registry_insecure={name.partition('/')[0]}" for name in names}
    return workspace.run("run", SAMPLE, *insecure, f"//images:{cri}.push", "--", *names).passed()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    workspace = copy_workspace(folder / "work")
    with registry(folder / "registry") as running:
        made = Site(workspace, {}, running, {})
        for cri in RUNTIMES:
            made.pushed[cri] = push(workspace, cri, made.name(cri))
            assert not layout(workspace, cri).exists(), "no copy beside the store"
        workspace.build(SAMPLE, "//rootfs:all")
        for name in (f"{cri}-{arch}" for cri in RUNTIMES for arch in ARCHES):
            made.rootfs[name] = unpacked_tarball(workspace, name, folder / name)
        yield made


def unpacked(image: str, arch: str, folder: Path) -> list[str]:
    """Pull an image by skopeo and unpack it by umoci; return a line for each entry."""
    folder.mkdir()
    source = ("--src-tls-verify=false", f"--override-arch={arch}", f"docker://{image}")
    run("skopeo", "copy", "-q", *source, f"oci:{folder}/pulled:x")
    run("umoci", "unpack", "--rootless", "--image", f"{folder}/pulled:x", f"{folder}/unpacked")
    return entries(folder / "unpacked" / "rootfs")


@pytest.mark.parametrize("cri", RUNTIMES)
@pytest.mark.parametrize("arch", ARCHES)
def test_skopeo_pulls_the_rootfs_by_tag_and_by_digest(site: Site, cri: str, arch: str, tmp_path: Path) -> None:
    rootfs = site.rootfs[f"{cri}-{arch}"]
    assert len(rootfs) > 100
    digest = site.pushed[cri].stdout.strip()
    assert re.fullmatch(rf"{site.registry.host}/clusters/{cri}@sha256:[0-9a-f]{{64}}", digest)
    for number, name in enumerate((site.name(cri), digest)):
        assert unpacked(name, arch, tmp_path / str(number)) == rootfs


@pytest.mark.parametrize("arch", ARCHES)
def test_podman_pulls_the_rootfs_for_both_platforms(site: Site, arch: str, tmp_path: Path) -> None:
    with podman(tmp_path) as engine:
        engine.run("pull", "-q", "--tls-verify=false", f"--arch={arch}", site.name("containerd"))
        assert engine.inspect(site.name("containerd"))["Architecture"] == arch
        with engine.mounted(site.name("containerd")) as root:
            assert entries(Path(root)) == site.rootfs[f"containerd-{arch}"]


def test_what_is_said_of_a_push(site: Site) -> None:
    for cri in RUNTIMES:
        said = site.pushed[cri].stderr
        assert re.search(rf"INFO: Uploaded \d+ blobs \(\d+ bytes\) and 3 manifests to {site.registry.host}/", said)
        assert "This is a sample" in said
        digest = site.pushed[cri].stdout.strip().partition("@")[2]
        assert f"INFO: {site.name(cri)} is {digest} now.\n" in said


def test_another_workspace_builds_and_pushes_the_same_bytes(site: Site, tmp_path: Path) -> None:
    other = push(copy_workspace(tmp_path / "other"), "containerd", site.name("containerd"))
    assert other.stdout == site.pushed["containerd"].stdout
    assert "INFO: Uploaded 0 blobs (0 bytes) and 0 manifests to " in other.stderr
    assert " as before.\n" in other.stderr


def stored(running: Registry) -> dict[str, int]:
    """Return the sizes of all blobs and manifests that a registry keeps, by digest."""
    blobs = running.data / "docker/registry/v2/blobs/sha256"
    return {path.parent.name: path.stat().st_size for path in blobs.glob("*/*/data")}


def test_after_an_edit_one_small_layer_is_pushed(site: Site, tmp_path: Path) -> None:
    workspace = copy_workspace(tmp_path / "work", site.workspace.root / "cache")
    with registry(tmp_path / "registry") as running:
        name = f"{running.host}/clusters/containerd:1"
        push(workspace, "containerd", name)
        before = stored(running)
        assert "Uploaded 0 blobs (0 bytes) and 0 manifests" in push(workspace, "containerd", name).stderr
        assert stored(running) == before
        workspace.edit(TEMPLATE, "#", "# one more line\n#")
        said = push(workspace, "containerd", name).stderr
        new = {digest: size for digest, size in stored(running).items() if digest not in before}
        kinds = {digest: kind_of(running, digest) for digest in new}
        assert sorted(kinds.values()) == ["config", "config", "index", "layer", "manifest", "manifest"]
        size = sum(size for digest, size in new.items() if kinds[digest] in {"config", "layer"})
        assert f"INFO: Uploaded 3 blobs ({size} bytes) and 3 manifests to " in said
        layers = [size for digest, size in before.items() if kind_of(running, digest) == "layer"]
        assert size < sum(layers)
        assert f"; 0 mounted, {len(layers) + 2 - 3} were there.\n" in said
        second = f"{running.host}/elsewhere/containerd:1"
        said = push(workspace, "containerd", second).stderr
        assert f"; {len(layers) + 2} mounted, 0 were there.\n" in said
        assert "Uploaded 0 blobs (0 bytes) and 3 manifests to " in said
        with client(running.host) as reader:
            tops = [reader.head_manifest(running.host, f"{path}/containerd", "1") for path in ("clusters", "elsewhere")]
        assert tops[0] == tops[1] is not None


def kind_of(running: Registry, digest: str) -> str:
    data = (running.data / f"docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data").read_bytes()
    if not data.startswith(b"{"):
        return "layer"
    content = json.loads(data)
    return "index" if "manifests" in content else "manifest" if "layers" in content else "config"


def test_podman_loads_the_rootfs_for_this_machine_and_for_another(site: Site, tmp_path: Path) -> None:
    with podman(tmp_path) as engine:
        workspace = replace(site.workspace, env=engine.env)
        for arch in (host_arch(), *ARCHES):
            words = [f"--arch={arch}"] if arch != host_arch() else []
            done = workspace.run("run", SAMPLE, "//images:docker.load", "--", "podman", *words).passed()
            tag = f"localhost/images/docker:{REF}"
            assert done.stdout == f"{tag}\n"
            assert f"INFO: Loaded the image for {arch} into podman.\n" in done.stderr
            assert engine.inspect(tag)["Architecture"] == arch
            with engine.mounted(tag) as root:
                assert entries(Path(root)) == site.rootfs[f"docker-{arch}"]


def test_what_is_served_is_pulled_as_what_is_pushed(site: Site, tmp_path: Path) -> None:
    with serving(site.workspace, "//images:containerd") as host:
        name = f"{host}/images/containerd:{REF}"
        for arch in ARCHES:
            assert unpacked(name, arch, tmp_path / arch) == site.rootfs[f"containerd-{arch}"]
        with client(host) as reader:
            top = reader.head_manifest(host, "images/containerd", REF)
        assert top is not None
        assert site.pushed["containerd"].stdout.strip().endswith(top.digest)


def test_a_push_that_hangs_can_be_interrupted(site: Site) -> None:
    """The registry takes what is sent, and never says so."""
    begun, ended = threading.Event(), threading.Event()

    def answer(request: Request) -> Reply:
        if request.method == "POST":
            return Reply(202, headers={"Location": "/v2/a/blobs/uploads/1"})
        if request.method == "PUT":
            begun.set()
            ended.wait(120)
        return Reply(404)

    with scripted(answer) as server:
        options = ("run", SAMPLE, f"--registry_insecure={server.host}", "//images:docker.push", "--")
        process = site.workspace.start(*options, f"{server.host}/a:1")
        try:
            assert begun.wait(60)
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=60)[1]
        finally:
            process.kill()
            ended.set()
    assert process.returncode == 8
    assert said.endswith("ERROR: interrupted [B801]\n  hint: run it again: what was finished is kept\n")
