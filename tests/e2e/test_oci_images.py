"""Cluster images as other programs see them: skopeo, umoci and podman read them, and find the rootfs in them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.packages import tool
from tests.e2e.workspace import ARCHES, RUNTIMES, SAMPLE, Workspace, copy_workspace, sha256

REF = "v1.23.17"
IMAGES = tuple(f"//images:{cri}" for cri in RUNTIMES)
TEMPLATE = "context/rootfs/etc/rootfs.env.j2"
FORMATS = ("gzip", "zstd", "zstd:chunked")


@pytest.fixture(scope="module", params=FORMATS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with the sample's images, in layers of a format."""
    workspace = prepared(tmp_path_factory.mktemp("images") / "work", request.param)
    workspace.build(SAMPLE, *IMAGES, "//rootfs:all")
    return workspace


def prepared(root: Path, layer_format: str) -> Workspace:
    workspace = copy_workspace(root)
    if layer_format != "gzip":  # docker of this release reads no other
        workspace.edit("context/images/BUILD.yaml", "    tree:", f"    layer_format: {layer_format}\n    tree:")
        workspace.edit("BUILD.yaml", 'default: "{recommended.docker}"', 'default: "24.0.9"')
    return workspace


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        [tool(command[0]), *command[1:]],
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def layout(workspace: Workspace, name: str) -> Path:
    return workspace.root / "buildsys-bin" / "images" / name


def blob(workspace: Workspace, name: str, digest: str) -> Any:
    return json.loads((layout(workspace, name) / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes())


def manifests(workspace: Workspace, cri: str) -> dict[str, Any]:
    """Return the manifest of each architecture."""
    (top,) = json.loads((layout(workspace, cri) / "index.json").read_bytes())["manifests"]
    index = blob(workspace, cri, top["digest"])
    return {one["platform"]["architecture"]: blob(workspace, cri, one["digest"]) for one in index["manifests"]}


def entries(root: Path) -> list[str]:
    """Return a line for each entry below a folder: kind, mode, time and content."""
    lines = []
    for path in sorted(root.rglob("*")):
        found = path.lstat()
        content = os.readlink(path) if path.is_symlink() else sha256(path) if path.is_file() else ""
        mode = "" if path.is_symlink() else f"{found.st_mode:o}"
        lines.append(f"{path.relative_to(root)} {mode} {int(found.st_mtime)} {content}")
    return lines


def unpacked_tarball(workspace: Workspace, name: str, folder: Path) -> list[str]:
    folder.mkdir()
    run("tar", "-xf", str(workspace.output(name)), "-C", str(folder))
    return entries(folder)


@pytest.mark.parametrize("cri", RUNTIMES)
@pytest.mark.parametrize("arch", ARCHES)
def test_umoci_unpacks_the_rootfs(built: Workspace, cri: str, arch: str, tmp_path: Path) -> None:
    plain, single = f"dir:{tmp_path}/plain", f"{tmp_path}/single:x"  # by way of plain layers: it reads no zstd
    source = f"oci:{layout(built, cri)}:{REF}"
    run("skopeo", "copy", "-q", "--override-arch", arch, "--dest-decompress", source, plain)
    run("skopeo", "copy", "-q", plain, f"oci:{single}")
    run("umoci", "unpack", "--rootless", "--image", single, f"{tmp_path}/unpacked")
    found = entries(tmp_path / "unpacked" / "rootfs")
    assert len(found) > 100
    assert found == unpacked_tarball(built, f"{cri}-{arch}", tmp_path / "tarball")


@pytest.mark.parametrize("cri", RUNTIMES)
@pytest.mark.parametrize("arch", ARCHES)
def test_skopeo_finds_the_labels_and_annotations_of_the_contract(built: Workspace, cri: str, arch: str) -> None:
    source = f"oci:{layout(built, cri)}:{REF}"
    config = json.loads(run("skopeo", "inspect", "--config", "--override-arch", arch, source))
    assert config["architecture"] == arch
    labels = config["config"]["Labels"]
    prefix = "cluster.alpha.sealer.io"
    assert labels[f"{prefix}/cluster-runtime-type"] == "kubernetes"
    assert labels[f"{prefix}/cluster-runtime-version"] == "v1.23.17"
    assert labels[f"{prefix}/container-runtime-type"] == cri
    assert labels[f"{prefix}/container-runtime-version"].count(".") == 2
    assert labels[f"{prefix}/kube-cni-calico"] == "true"
    times = [config["created"], *(one["created"] for one in config["history"])]
    assert set(times) == {"1980-01-01T00:00:00Z"}
    annotations = manifests(built, cri)[arch]["annotations"]
    assert json.loads(annotations["sealer.image.extension"])["type"] == "kube-installer"
    images = json.loads(annotations["sealer.image.container.images"])
    assert {"image": "registry.k8s.io/pause:3.6", "platform": {"architecture": arch, "os": "linux"}} in images


def test_both_architectures_share_what_is_the_same(built: Workspace) -> None:
    layers = {arch: [one["digest"] for one in made["layers"]] for arch, made in manifests(built, "docker").items()}
    assert len(set(layers["amd64"]) & set(layers["arm64"])) == 1
    for arch in ARCHES:
        assert len(layers[arch]) == 3, "this sample has no large file"


@pytest.mark.parametrize("arch", ARCHES)
def test_podman_reads_an_archive(built: Workspace, arch: str, tmp_path: Path, podman: dict[str, str]) -> None:
    workspace = copy_of(built, tmp_path / "work")
    workspace.edit("context/images/BUILD.yaml", "    sealer_type", "    format: archive\n    sealer_type")
    workspace.build(SAMPLE, f"//images:docker-{arch}")
    archive = layout(workspace, f"docker-{arch}.tar")
    assert archive.is_file()
    run("podman", "load", "-q", "-i", str(archive), **podman)
    (image,) = json.loads(run("podman", "images", "--format", "json", **podman))
    found = json.loads(run("podman", "image", "inspect", image["Id"], **podman))[0]
    assert found["Architecture"] == arch
    config = manifests(built, "docker")[arch]["config"]["digest"]
    assert f"sha256:{image['Id']}" == config
    mounted = run("podman", "image", "mount", image["Id"], **podman).strip()
    assert entries(Path(mounted)) == unpacked_tarball(built, f"docker-{arch}", tmp_path / "tarball")
    run("podman", "image", "unmount", image["Id"], **podman)


def copy_of(workspace: Workspace, root: Path) -> Workspace:
    """Return a workspace as another, with the same store."""
    other = copy_workspace(root, workspace.root / "cache")
    for name in ("context/images/BUILD.yaml", "BUILD.yaml"):
        (root / name).write_text((workspace.root / name).read_text())
    return other


def test_an_index_is_an_archive_too(built: Workspace, tmp_path: Path) -> None:
    workspace = copy_of(built, tmp_path / "work")
    workspace.edit(
        "context/images/BUILD.yaml", "    name: docker\n", "    name: docker\n    format: archive\n    out: d.tar\n"
    )
    workspace.build(SAMPLE, "//images:docker")
    archive = layout(workspace, "d.tar")
    listed = set(run("tar", "-tf", str(archive)).splitlines())
    folder = layout(built, "docker")
    assert listed == {f"{p.relative_to(folder)}{'/' * p.is_dir()}" for p in folder.rglob("*")}
    for arch in ARCHES:
        config = json.loads(run("skopeo", "inspect", "--config", "--override-arch", arch, f"oci-archive:{archive}"))
        assert config["architecture"] == arch


def test_an_edit_changes_one_small_blob_of_a_layer(built: Workspace, tmp_path: Path) -> None:
    workspace = copy_of(built, tmp_path / "work")
    workspace.build(SAMPLE, "//images:containerd")
    before = set(os.listdir(layout(workspace, "containerd") / "blobs/sha256"))
    workspace.edit(TEMPLATE, "#", "# one more line\n#")
    workspace.build(SAMPLE, "//images:containerd")
    after = manifests(workspace, "containerd")
    new = {one["digest"] for made in after.values() for one in made["layers"]} - {f"sha256:{b}" for b in before}
    assert len(new) == 1, "the layer of what both architectures share"
    ran = {name.partition(" ")[2].partition(" ")[0] for name in workspace.ran()}
    assert ran == {"Render", "Merge", "CheckClosure", "OciSplit", "OciLayer", "OciImage", "OciIndex"}
    layers = [action.name for action in workspace.journal() if "OciLayer" in action.name]
    assert len(layers) == 1, "made once, for both"
