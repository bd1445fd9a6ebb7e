"""The shipped rootfs with all of its images from a real registry, for both architectures and both runtimes.

The images are stand-ins under the names that the shipped tables and files give: upstream's cannot be had here. So are
no programs: the binaries are left out. What is proved is that every image that any file names can be pulled.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from buildsys.oci.reference import Reference
from tests.e2e.test_closure import ANYTHING_TAGGED, texts
from tests.e2e.test_images import child, copied
from tests.e2e.test_oci_images import run
from tests.e2e.workspace import ARCHES, RUNTIMES, Workspace, copy_workspace
from tests.images import Sample, oci_image
from tests.registries import registry
from tests.registry_clients import client, push

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "1.28.15"
CLUSTER = "sea.hub:5000"


class Site(NamedTuple):
    """The workspace, the images that stand at the registry upstream, by path and tag, and the emitted products."""

    workspace: Workspace
    samples: dict[tuple[str, str], Sample]
    products: dict[tuple[str, str], Path]
    lock_said: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    top = tmp_path_factory.mktemp("site")
    workspace = copy_workspace(top / "work")
    workspace.edit(
        "context/rootfs/BUILD.yaml",
        'layers: [":files", ":binaries", ":metadata", ":registry"]',
        'layers: [":files", //oss:registry-image, ":metadata", ":registry"]',
    )
    with registry(top / "upstream") as upstream, client(upstream.host) as target:
        samples = {}
        for cri in RUNTIMES:
            (listed,) = workspace.build("//rootfs:image-list", *chosen(cri, "amd64")).outputs
            for line in (workspace.root / listed).read_text().splitlines():
                reference = Reference.parse(line)
                samples[reference.path, reference.tag] = oci_image(reference.path, reference.tag)
        for sample in samples.values():
            push(target, upstream.host, sample)
        hosts = ("docker.io", "registry.k8s.io", "quay.io")
        with (workspace.root / ".buildsysrc").open("a") as rc:
            rc.writelines(f"build --registry_mirror={host}=http://{upstream.host}\n" for host in hosts)
        said = workspace.run("lock", "//rootfs:all", f"--param=kubernetes={VERSION}").passed().stderr
        products = {}
        for cri in RUNTIMES:
            for arch in ARCHES:
                (path,) = workspace.build(f"//rootfs:{cri}-{arch}", *chosen(cri, arch)).outputs
                products[cri, arch] = workspace.root / path
        yield Site(workspace, samples, products, said)


def chosen(cri: str, arch: str) -> list[str]:
    return [f"--param=kubernetes={VERSION}", f"--param=cri={cri}", f"--param=arch={arch}"]


def unpacked(tarball: Path, to: Path) -> Path:
    to.mkdir(parents=True)
    subprocess.run(["tar", "--zstd", "-xf", str(tarball), "-C", str(to)], check=True)
    return to


def named(tarball: Path) -> set[tuple[str, str]]:
    """Return path and tag of every image that another scan finds in the files of a rootfs, as the node asks for it."""
    found = set()
    for text in texts(tarball).values():
        for line in text.splitlines():
            for match in ANYTHING_TAGGED.finditer(line):
                reference = Reference.parse(match[0])
                found.add((reference.path, reference.tag))
    return found


def test_locking_asks_for_each_image_once_and_for_all_architectures(site: Site) -> None:
    assert f"Resolved {len(site.samples)} images; 0 were locked already." in site.lock_said
    lines = [line for line in (site.workspace.root / "buildsys.lock").read_text().splitlines() if line[:6] == "image "]
    assert len(lines) == 3 * len(site.samples)


@pytest.mark.parametrize("cri", RUNTIMES)
@pytest.mark.parametrize("tree", [*ARCHES, "union"])
def test_every_image_that_a_file_names_is_served_to_nodes_of_its_architecture(
    site: Site, tmp_path: Path, cri: str, tree: str
) -> None:
    arches = ARCHES if tree == "union" else (tree,)
    data = tmp_path / "data"
    for arch in arches:
        rootfs = unpacked(site.products[cri, arch], tmp_path / arch)
        shutil.copytree(rootfs / "registry", data, dirs_exist_ok=True)
    asked = named(site.products[cri, arches[0]])
    assert len(asked) >= 15
    with registry(tmp_path / "r", data=data, readonly=True) as running, client(running.host) as reader:
        for path, tag in sorted(asked):
            sample = site.samples[path, tag]
            assert reader.manifest(running.host, path, tag).data == sample.top.data
            assert reader.manifest(running.host, path, sample.top.digest).data == sample.top.data
            for arch in arches:
                assert reader.manifest(running.host, path, child(sample, arch)).digest == child(sample, arch)
        for number, (path, tag) in enumerate(sorted(asked)[:2]):
            for arch in arches:
                to = tmp_path / f"copy-{number}-{arch}"
                assert copied(running.host, f"{path}:{tag}", arch, to) == child(site.samples[path, tag], arch)


@pytest.mark.parametrize("arch", ARCHES)
def test_the_archive_of_the_registry_is_read_by_skopeo_and_is_of_its_architecture(
    site: Site, tmp_path: Path, arch: str
) -> None:
    archive = unpacked(site.products["docker", arch], tmp_path / "rootfs") / "images/registry.tar"
    said = subprocess.run(
        ["skopeo", "inspect", "--config", f"docker-archive:{archive}:docker.io/library/registry:2.7.1"],
        check=True,
        capture_output=True,
    ).stdout
    assert json.loads(said)["architecture"] == arch
    listed = subprocess.run(["tar", "-tf", str(archive)], check=True, capture_output=True, text=True).stdout
    assert re.fullmatch(r"(?:[0-9a-f]{64}\.(?:tar|json)\n|manifest\.json\n)+", listed)


@pytest.mark.parametrize("arch", ARCHES)
def test_podman_loads_the_archive_of_the_registry_under_its_tag(
    site: Site, tmp_path: Path, arch: str, podman: dict[str, str]
) -> None:
    archive = unpacked(site.products["containerd", arch], tmp_path / "rootfs") / "images/registry.tar"
    run("podman", "load", "-q", "-i", str(archive), **podman)
    (loaded,) = json.loads(run("podman", "images", "--format", "json", **podman))
    assert loaded["Names"] == ["localhost/registry:2.7.1"], "podman's reading of the short name that docker stores"
    (found,) = json.loads(run("podman", "image", "inspect", loaded["Id"], **podman))
    assert found["Architecture"] == arch
    mounted = run("podman", "image", "mount", loaded["Id"], **podman).strip()
    try:
        assert f"library/registry on {arch}" in (Path(mounted) / "hello").read_text()
    finally:
        run("podman", "image", "unmount", loaded["Id"], **podman)


def test_an_image_that_is_missing_is_not_built(site: Site) -> None:
    workspace = Workspace(site.workspace.root)
    workspace.edit("context/rootfs/extra-images.txt", "# The private", "docker.io/library/other:9\n\n# The private")
    done = workspace.run("build", "//rootfs:docker-arm64", *chosen("docker", "arm64"))
    assert done.code != 0
    assert "ERROR: context/rootfs/extra-images.txt:" in done.stderr
    assert "the image docker.io/library/other:9 is not locked for arm64 [B446]" in done.stderr
