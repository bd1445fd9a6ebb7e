"""Samples: that they run, load and are served, for both architectures."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from buildsys.actions.extract import Extract
from buildsys.actions.sample import SampleArchive, SampleFile, SampleImage, SampleRegistry
from buildsys.errors import ActionFailed
from buildsys.model.platform import ELF_MACHINES
from buildsys.model.tree import Tree
from tests.actions.fake_io import FakeIO
from tests.oci.registry import inspect, materialise, serve, skopeo

if TYPE_CHECKING:
    from pathlib import Path

    from buildsys.model.action import Operation

LIST = """\
# images of the sample
registry.k8s.io/pause:3.6
registry.k8s.io/coredns/coredns:v1.8.6   # with a path

docker.io/calico/node:v3.22.1
nginx:1.25@sha256:{digest}
registry.k8s.io/pause:3.6
""".format(digest="0" * 64)
NAMES = ["pause:3.6", "coredns/coredns:v1.8.6", "calico/node:v3.22.1", "library/nginx:1.25"]
EMULATORS = {"amd64": "qemu-x86_64-static", "arm64": "qemu-aarch64-static"}


def output(operation: Operation, fake: FakeIO | None = None) -> tuple[bytes, bool]:
    fake = fake or FakeIO()
    fake.outputs.clear()
    operation.execute(fake)
    return fake.outputs[0]


def failure(operation: Operation, fake: FakeIO | None = None) -> ActionFailed:
    with pytest.raises(ActionFailed) as caught:
        operation.execute(fake or FakeIO())
    return caught.value


def run(program: Path, arch: str) -> str:
    native = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
    prefix = [] if arch == native else [EMULATORS[arch]]
    return subprocess.run([*prefix, str(program), "--version"], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("arch", ELF_MACHINES)
@pytest.mark.parametrize("kind", ["elf", "script", "text"])
def test_a_file_says_what_it_is(tmp_path: Path, kind: str, arch: str) -> None:
    data, executable = output(SampleFile(kind, "it's kubectl", "v1.23.17", arch))
    line = f"it's kubectl v1.23.17 (buildsys sample for {arch}, not deployable)\n"
    assert executable == (kind != "text")
    if kind == "text":
        assert data.decode() == line
        return
    program = tmp_path / "program"
    program.write_bytes(data)
    program.chmod(0o755)
    assert run(program, arch if kind == "elf" else {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]) == line


def test_files_are_pinned() -> None:
    found = [
        hashlib.sha256(output(SampleFile("elf", "kubectl", "v1.23.17", arch))[0]).hexdigest()[:16]
        for arch in ELF_MACHINES
    ]
    assert found == ["c8c1f35ba65b1f07", "9745870a3c6c6b90"]


@pytest.mark.parametrize("form", ["tar", "tar.gz"])
def test_an_archive_has_its_members(form: str, tmp_path: Path) -> None:
    fake = FakeIO()
    members = (("cri-dockerd/cri-dockerd", "elf"), ("cri-dockerd/run.sh", "script"), ("LICENSE", "text"))
    data, _ = output(SampleArchive(form, members, "cri-dockerd", "0.3.4", "amd64"), fake)
    archive = fake.add("cri-dockerd." + form, data)
    fake.outputs.clear()
    Extract(archive, (("cri-dockerd/cri-dockerd",), ("LICENSE",), ("*/run.sh",))).execute(fake)
    assert [fake.outputs[n][1] for n in range(3)] == [True, False, True]
    assert fake.outputs[1][0] == b"LICENSE 0.3.4 of cri-dockerd (buildsys sample for amd64, not deployable)\n"
    path = tmp_path / "archive"
    path.write_bytes(data)
    listed = subprocess.run(["tar", "-taf", path], capture_output=True, text=True, check=True).stdout.split()
    assert listed == ["LICENSE", "cri-dockerd/", "cri-dockerd/cri-dockerd", "cri-dockerd/run.sh"]


def test_samples_do_not_depend_on_the_version_of_a_library() -> None:
    data, _ = output(SampleArchive("tar.gz", (("a", "text"),), "a", "1", "arm64"))
    assert hashlib.sha256(data).hexdigest()[:16] == "29763eea960e4b3a"


@pytest.mark.parametrize("arch", ELF_MACHINES)
def test_an_image_is_read_by_skopeo_and_runs(tmp_path: Path, arch: str) -> None:
    data, _ = output(SampleImage("registry:2.7.1", arch))
    path = tmp_path / "registry.tar"
    path.write_bytes(data)
    told = json.loads(skopeo("inspect", f"docker-archive:{path}"))
    assert (told["Architecture"], told["Os"], len(told["Layers"])) == (arch, "linux", 1)
    config = json.loads(skopeo("inspect", "--config", f"docker-archive:{path}:registry:2.7.1"))
    assert config["config"]["Entrypoint"] == ["/registry"]
    skopeo("copy", f"docker-archive:{path}:docker.io/library/registry:2.7.1", f"dir:{tmp_path / 'dir'}")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
        assert "manifest.json" in names
        assert names == sorted(names)
        (name,) = [name for name in names if name.endswith(".tar")]
        layer = archive.extractfile(name)
        assert layer is not None
        with tarfile.open(fileobj=layer) as inner:
            inner.extract("registry", tmp_path, filter="tar")
    assert run(tmp_path / "registry", arch) == f"library/registry 2.7.1 (buildsys sample for {arch}, not deployable)\n"


def registry(arch: str) -> tuple[Tree, FakeIO]:
    fake = FakeIO()
    SampleRegistry(fake.add("imageList", LIST.encode()), arch).execute(fake)
    return fake.trees[0], fake


@pytest.mark.parametrize("arch", ELF_MACHINES)
def test_a_registry_serves_the_tree_by_tag_and_digest(tmp_path: Path, arch: str) -> None:
    tree, fake = registry(arch)
    root = tmp_path / "root"
    materialise(tree, fake.open_blob, root)
    other = "arm64" if arch == "amd64" else "amd64"
    with serve(root, tmp_path) as host:
        for name in NAMES:
            told = inspect(f"{host}/{name}", arch)
            assert told["Architecture"] == arch
            path = name.rpartition(":")[0]
            assert inspect(f"{host}/{path}@{told['Digest']}", arch)["Digest"] == told["Digest"]
        index = json.loads(skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{host}/pause:3.6"))
        assert [child["platform"]["architecture"] for child in index["manifests"]] == list(ELF_MACHINES)
        (mine,) = [child["digest"] for child in index["manifests"] if child["platform"]["architecture"] == arch]
        assert inspect(f"{host}/pause@{mine}", arch)["Architecture"] == arch
        target = f"oci:{tmp_path / 'oci'}:pause"
        skopeo("copy", "--override-arch", arch, "--src-tls-verify=false", f"docker://{host}/pause:3.6", target)
        with pytest.raises(AssertionError, match="manifest unknown"):
            inspect(f"{host}/pause:3.6", other)


def test_the_trees_of_both_architectures_unite(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for arch in ELF_MACHINES:
        tree, fake = registry(arch)
        materialise(tree, fake.open_blob, root)
    with serve(root, tmp_path) as host:
        for arch in ELF_MACHINES:
            assert inspect(f"{host}/calico/node:v3.22.1", arch)["Architecture"] == arch
        skopeo("copy", "--all", "--src-tls-verify=false", f"docker://{host}/pause:3.6", f"oci:{tmp_path / 'oci'}:pause")


def test_every_blob_of_a_registry_is_there_and_true() -> None:
    tree, fake = registry("arm64")
    for entry in tree.blobs():
        assert entry.size == len(fake.blobs[entry.digest])
    assert {os.path.basename(entry.path) for entry in tree.entries if entry.kind == "f"} == {"data", "link"}


def test_an_empty_list_is_an_empty_registry() -> None:
    fake = FakeIO()
    SampleRegistry(fake.add("imageList", b"# none\n"), "amd64").execute(fake)
    assert fake.trees[0] == Tree.of([])


def test_the_host_of_a_sample_does_not_matter() -> None:
    fake = FakeIO()
    SampleRegistry(fake.add("imageList", b"quay.io/a/b:1\nregistry.k8s.io/a/b:1\n"), "amd64").execute(fake)
    assert any(entry.path.endswith("repositories/a/b") for entry in fake.trees[0].entries)


@pytest.mark.parametrize(
    ("line", "reason"),
    [("No Good", "bad image reference"), ("quay.io/a/b@sha256:" + "0" * 64, "named by digest alone")],
)
def test_a_bad_line_is_named_by_its_number(line: str, reason: str) -> None:
    fake = FakeIO()
    error = failure(SampleRegistry(fake.add("imageList", f"pause:1\n\n{line}\n".encode()), "amd64"), fake)
    assert (error.code, str(error.at)) == ("B707", "pkg/imageList:3:1")
    assert reason in error.message
    assert error.hint


@pytest.mark.parametrize(
    "operation",
    [
        SampleFile("pdf", "a", "1", "amd64"),
        SampleFile("elf", "a", "1", "riscv64"),
        SampleFile("text", "a", "1", "riscv64"),
        SampleArchive("zip", (("a", "elf"),), "a", "1", "amd64"),
        SampleImage("a:1", "riscv64"),
    ],
)
def test_what_there_is_no_sample_of(operation: Operation) -> None:
    error = failure(operation)
    assert error.code == "B708"
    assert "there is no sample of" in error.message
    assert error.hint.startswith("known: ")


def test_a_bad_reference_of_an_image() -> None:
    assert failure(SampleImage("Bad:Tag:x", "amd64")).code == "B707"
