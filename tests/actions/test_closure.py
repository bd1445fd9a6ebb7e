"""The closure: what is asked for is there, else an error for each place. Messages are goldens, in tests/errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from buildsys.actions import closure
from buildsys.actions.closure import Allowed, Closure
from buildsys.actions.sample import SampleRegistry
from buildsys.archive.elf import printing_elf
from buildsys.errors import BuildError, BuildErrors, Location
from buildsys.kubernetes.asked import Kubeadm
from buildsys.model.action import Artifact
from buildsys.model.tree import Tree
from buildsys.oci import mentions
from buildsys.oci.mention import Found
from tests.actions.fake_io import FakeIO

KUBEADM = Kubeadm(
    "1.28.15", ("kube-proxy", "pause", "etcd", "coredns"), "3.9", "3.5.15-0", "v1.10.1", "registry.k8s.io"
)
HOST = "sea.hub:5000"


class Rootfs:
    """A rootfs with a registry, and the closure over it."""

    def __init__(self, images: str, files: dict[str, str | bytes], arch: str = "amd64") -> None:
        self.io = FakeIO()
        SampleRegistry(images=self.io.add("list", images.encode()), arch=arch).execute(self.io)
        registry = self.io.trees.pop(0)
        entries = [entry._replace(path=f"registry/{entry.path}") for entry in registry.entries]
        for path, text in files.items():
            entries.append(self.io.file(path, text.encode() if isinstance(text, str) else text))
        self.tree = Tree.of(entries)
        self.input = self.io.add_tree(self.tree)
        self.arch = arch

    def check(self, **fields: Any) -> list[dict[str, Any]]:
        """Return the report."""
        self.io.outputs.clear()
        self.io.trees.clear()
        operation = Closure(**{"tree": self.input, "arch": self.arch, "registry": HOST, "kubeadm": KUBEADM} | fields)
        operation.execute(self.io)
        assert self.io.trees[0] == self.tree, "the tree is passed on as it is"
        return [json.loads(line) for line in self.io.outputs[1][0].splitlines()]

    def errors(self, **fields: Any) -> list[BuildError]:
        """Return what is wrong."""
        with pytest.raises(BuildErrors) as caught:
            self.check(**fields)
        assert not self.io.trees
        assert not self.io.outputs
        return list(caught.value.errors)


def asked(report: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(line["at"], line["asked"]) for line in report if "link" in line]


KUBEADM_YML = """\
apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
kubernetesVersion: v1.28.15
imageRepository: {{or .RegistryURL "sea.hub:5000"}}
dns:
  imageRepository: sea.hub:5000/coredns
etcd: {local: {imageTag: 3.5.9-0}}
"""


def test_all_that_is_asked_for_is_reported_with_its_place() -> None:
    images = "pause:3.9\nquay.io/kube-proxy:v1.28.15\nr/etcd:3.5.9-0\nr/coredns/coredns:v1.10.1\n"
    images = images.replace("pause", "q.io/pause").replace("r/", "q.io/")
    report = Rootfs(images, {"etc/kubeadm.yml.tmpl": KUBEADM_YML, "imageList": "'q.io/pause:3.9'\n"}).check()
    assert asked(report) == [
        ("etc/kubeadm.yml.tmpl:4:37", f"{HOST}/kube-proxy:v1.28.15"),
        ("etc/kubeadm.yml.tmpl:4:37", f"{HOST}/pause:3.9"),
        ("etc/kubeadm.yml.tmpl:7:26", f"{HOST}/etcd:3.5.9-0"),
        ("etc/kubeadm.yml.tmpl:6:20", f"{HOST}/coredns/coredns:v1.10.1"),
        ("imageList:1:2", f"{HOST}/pause:3.9"),
    ]
    assert {"file": "imageList", "is": "text", "searched": True} in report


def test_every_place_that_names_a_missing_image_is_an_error_of_its_own() -> None:
    files: dict[str, str | bytes] = {"a.yaml": "x: 1\nimage: nginx:1.25\n", "imageList": "\nnginx:1.24\nnginx:1.25\n"}
    errors = Rootfs("nginx:1.24\n", files).errors()
    assert [(error.code, str(error.at)) for error in errors] == [("B431", "a.yaml:2:8"), ("B431", "imageList:3:1")]
    assert all("the nearest that is there: library/nginx:1.24" in error.notes for error in errors)
    assert f"`{closure.LOCK.format(image='docker.io/library/nginx:1.25')}`" in errors[0].hint


def test_the_host_is_dropped_and_a_digest_decides() -> None:
    fake = Rootfs("quay.io/a/b:1\n", {})
    link = next(e.path for e in fake.tree.entries if "_manifests/revisions" in e.path and e.path.endswith("link"))
    digest = link.split("/")[-2]
    text = f"docker.io/a/b:1\na.example/a/b:nope@sha256:{digest}\n{HOST}/a/b:1\n"
    report = Rootfs("quay.io/a/b:1\n", {"imageList": text}).check()
    assert [name for _, name in asked(report)] == [f"{HOST}/a/b:1", f"{HOST}/a/b@sha256:{digest}", f"{HOST}/a/b:1"]
    (error,) = Rootfs("quay.io/a/b:1\n", {"imageList": f"a/b:1@sha256:{'0' * 64}\n"}).errors()
    assert error.code == "B431"


def test_the_command_names_what_to_lock_by_its_name_outside_of_the_cluster() -> None:
    files: dict[str, str | bytes] = {"imageList": f"{HOST}/pause:1\n{HOST}/a/b:2\n"}
    first, second = Rootfs("", files).errors()
    assert "--image=registry.k8s.io/pause:1`" in first.hint
    assert "--image=a/b:2`" in second.hint


def test_calico_is_asked_for_where_the_installation_says() -> None:
    installation = "apiVersion: operator.tigera.io/v1\nkind: Installation\nspec:\n  registry: sea.hub:5000\n"
    images = "quay.io/calico/node:v3\nquay.io/tigera/operator:v1\n"
    files: dict[str, str | bytes] = {"imageList": images, "m/i.yaml": installation}
    report = Rootfs(images, files).check()
    assert ("m/i.yaml:4:13", f"{HOST}/calico/node:v3") in asked(report)
    (error,) = Rootfs(images, files | {"m/i.yaml": installation + "  imagePath: x\n"}).errors()
    assert "the operator of Calico asks for sea.hub:5000/x/node:v3" in error.message


def test_what_is_allowed_may_be_missing() -> None:
    rootfs = Rootfs("", {"a.yaml": "image: nginx\n"})
    allowed = (Allowed("docker.io/library/nginx:latest", "a demo"), Allowed("redis", "none"))
    assert rootfs.check(allowed=allowed[:1])[-1] == {
        "at": "a.yaml:1:8",
        "image": "nginx",
        "asked": "library/nginx:latest",
        "allowed": "a demo",
    }
    places = (Location("BUILD.yaml", 1), Location("BUILD.yaml", 2))
    (error,) = rootfs.errors(allowed=allowed, places=places)
    assert (error.code, error.at) == ("B434", places[1])


def test_programs_are_of_the_architecture_and_other_files_are_told_apart() -> None:
    bpf = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x01\x00\xf7\x00" + bytes(40)
    files: dict[str, str | bytes] = {
        "bin/good": printing_elf("arm64", "x"),
        "bin/bpf.o": bpf,
        "bin/script": "#!/bin/sh\n",
        "cri/a.tar.gz": b"\x1f\x8b\x08image: nginx",
        "data": b"image: nginx\n\0",
        "README.md": "image: nginx\n",
        "empty": "",
    }
    report = Rootfs("", files, "arm64").check()
    assert {line["file"]: (line["is"], line["searched"]) for line in report} == {
        "bin/good": ("program for arm64", False),
        "bin/bpf.o": ("program for machine 247", False),
        "bin/script": ("text", True),
        "cri/a.tar.gz": ("gzip", False),
        "data": ("data", False),
        "README.md": ("text", False),
        "empty": ("text", True),
    }
    (error,) = Rootfs("", files | {"bin/seautil": printing_elf("amd64", "x")}, "arm64").errors(
        origins=(("bin/seautil", "//oss:seautil"),)
    )
    assert (error.code, error.at) == ("B433", Location("bin/seautil", 1))
    assert "put there by //oss:seautil" in error.notes


def test_a_large_text_is_searched_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closure, "_WHOLE", 10)
    (error,) = Rootfs("", {"a.json": "{\n" + " " * 20 + "\n image: nginx\n"}).errors()
    assert str(error.at) == "a.json:3:9"


def test_an_edit_costs_the_file_that_was_edited(monkeypatch: pytest.MonkeyPatch) -> None:
    files: dict[str, str | bytes] = {f"etc/{n}.yaml": f"a: {n}\nimage: q/w:1\n" for n in range(50)}
    first = Rootfs("q/w:1\n", files)
    before = first.check()
    edited = Rootfs("q/w:1\n", files | {"etc/7.yaml": "image: q/w:1\n"})
    edited.io.blobs |= first.io.blobs
    edited.io.remembered |= first.io.remembered
    scanned: list[str] = []
    scan = mentions.scan

    def watched(kind: str, text: str) -> Found:
        scanned.append(text)
        return scan(kind, text)

    monkeypatch.setattr(mentions, "scan", watched)
    report = edited.check()
    assert scanned == ["image: q/w:1\n"]
    assert len(asked(report)) == len(asked(before)) == 50


def test_one_text_is_read_as_what_its_path_says_each_time() -> None:
    rootfs = Rootfs("", {"README.md": "image: nginx\n", "a.yaml": "image: nginx\n"})
    assert [str(error.at) for error in rootfs.errors()] == ["a.yaml:1:8"]


def test_the_registry_itself_is_not_searched() -> None:
    rootfs = Rootfs("q/w:1\n", {"registry/image.yaml": "image: nginx\n"})
    assert rootfs.check() == []
    assert isinstance(rootfs.input, Artifact)
