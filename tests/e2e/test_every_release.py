"""Every Kubernetes release in the tables makes a rootfs that agrees with itself, for both runtimes and architectures.

Each of the releases is analysed for all four products, and the files that depend on the release are rendered. The first
and the last release of every minor are built as a whole, into tarballs, on one store. What is expected is read from
data/releases.tsv by the test itself. One test for each minor, so that a parallel run shares the work.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml
import zstandard

from buildsys import session
from buildsys.archive.elf import elf_machine
from buildsys.execution.outcome import Options
from buildsys.loading.place import locate
from buildsys.model.action import Value
from buildsys.model.events import NoEvents
from tests.actions.fake_io import FakeIO
from tests.e2e.packages import ELF_MACHINES
from tests.e2e.spec_tree import foreign_files, spec_files
from tests.e2e.workspace import ARCHES, PRODUCTS, REPOSITORY, RUNTIMES, copy_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from buildsys.analysis.configuration import Configuration
    from buildsys.model.action import Artifact
    from buildsys.model.graph import ActionGraph
    from buildsys.model.label import Label
    from buildsys.model.provider import ConfiguredTarget
    from buildsys.opened import Analysed, Session

DOMAIN = "sea.hub:5000"
IDIOM = '{{or .RegistryURL "sea.hub:5000"}}'
LVSCARE = "docker.io/sealerio/lvscare:v1.1.3-beta.8"
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
NAMES = ("etc/kubeadm.yml", "etc/kubeadm.yml.tmpl", "imageList", "etc/rootfs.env", "Kubefile")
"""Files that differ by release; a runtime adds one of its own."""


class Release(NamedTuple):
    """A line of data/releases.tsv."""

    version: str
    pause: str
    etcd: str
    coredns: str
    repository: str

    @property
    def number(self) -> tuple[int, ...]:
        return tuple(map(int, self.version.split(".")))

    @property
    def minor(self) -> str:
        return self.version.rpartition(".")[0]

    @property
    def images(self) -> set[str]:
        """Return what `kubeadm config images list` prints."""
        core = {f"{self.repository}/{name}:v{self.version}" for name in COMPONENTS}
        others = (f"pause:{self.pause}", f"etcd:{self.etcd}", self.coredns)
        return core | {f"{self.repository}/{name}" for name in others}


def releases() -> list[Release]:
    path = REPOSITORY / "buildsys" / "kubernetes" / "data" / "releases.tsv"
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith(("#", "release"))]
    return [Release(*line.split("\t")[:5]) for line in lines]


RELEASES = releases()
MINORS = list(dict.fromkeys(release.minor for release in RELEASES))


@dataclass(slots=True)
class Bench:
    """One opened workspace with one store, which all releases share."""

    session: Session
    labels: list[Label]

    def analyse(self, version: str) -> tuple[Analysed, Configuration]:
        config = session.configuration(self.session, {"kubernetes": version, "source": "sample"})
        return session.analyse(self.session, self.labels, config), config


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    workspace = copy_workspace(tmp_path_factory.mktemp("releases") / "work")
    opened = session.open_workspace(locate(str(workspace.root)))
    session.prepare(opened.place)
    return Bench(opened, session.resolve(opened, ["//rootfs:all"]))


class Evaluator:
    """Files of an action graph, made in memory: the operations are the real ones, the store is left out."""

    def __init__(self, graph: ActionGraph, packages: Path) -> None:
        self._graph = graph
        self._packages = packages
        self._made: dict[Artifact, bytes] = {}

    def content(self, artifact: Artifact) -> bytes:
        if artifact not in self._made:
            self._make(artifact)
        return self._made[artifact]

    def files(self, target: ConfiguredTarget, names: tuple[str, ...]) -> dict[str, str]:
        """Return the files of a product that have the given names."""
        found = {}
        for action in self._graph.closure(target.files):
            for output in action.outputs:
                if output.name in names and output.package in {"rootfs", *RUNTIMES}:
                    assert output.name not in found, f"{target.label} has {output.name} twice"
                    found[output.name] = self.content(output).decode()
        return found

    def _make(self, artifact: Artifact) -> None:
        action = self._graph.producer(artifact)
        if action is None:
            self._made[artifact] = (self._packages / artifact.path).read_bytes()
            return
        seam = FakeIO()
        for needed in action.inputs:
            data = self.content(needed)
            seam.inputs[needed] = Value(seam.put_blob(data), len(data))
        execute: Callable[[Any], None] = action.operation.execute
        execute(seam)
        for number, output in enumerate(action.outputs):
            self._made[output] = seam.outputs[number][0]


def check_texts(release: Release, cri: str, files: dict[str, str]) -> None:
    """Check that what the files of one rootfs say of the release, the images and the socket is one story."""
    images = files["imageList"].splitlines()
    assert len(set(images)) == len(images)
    assert release.images <= set(images)
    assert LVSCARE in images
    assert [image for image in images if "/registry:" in image]
    assert {image for image in images if "/pause:" in image} == {f"{release.repository}/pause:{release.pause}"}

    documents = {document["kind"]: document for document in yaml.safe_load_all(files["etc/kubeadm.yml"]) if document}
    cluster, init = documents["ClusterConfiguration"], documents["InitConfiguration"]
    assert cluster["kubernetesVersion"] == f"v{release.version}"
    assert cluster["imageRepository"] == DOMAIN
    assert cluster["apiVersion"] == init["apiVersion"] == f"kubeadm.k8s.io/{api(release)}"
    nested = release.coredns.count("/") == 1  # design note 4
    assert cluster["dns"]["imageRepository"] == (f"{DOMAIN}/coredns" if nested else DOMAIN)
    socket = init["nodeRegistration"]["criSocket"]
    assert socket == expected_socket(release, cri)
    assert f"CRI_SOCKET={socket}\n" in files["etc/rootfs.env"]
    template = files["etc/kubeadm.yml.tmpl"]
    assert IDIOM in template
    assert template.replace(IDIOM, DOMAIN) == files["etc/kubeadm.yml"]

    pause = f"{DOMAIN}/pause:{release.pause}"
    if cri == "containerd":
        config = tomllib.loads(files["etc/dump-config.toml"])
        assert list(find(config, {"sandbox_image", "sandbox"})) == [pause]  # design note 5
        assert list(find(config, {"config_path"})) == ["/etc/containerd/certs.d"]
        assert list(find(config, {"SystemdCgroup"})) == [True]
    elif release.number >= (1, 24):
        assert f"--pod-infra-container-image={pause}\n" in files["etc/cri-docker.service"]
    assert f'"cluster.alpha.sealer.io/container-runtime-type"="{cri}"' in files["Kubefile"]
    assert f'"cluster.alpha.sealer.io/cluster-runtime-version"="v{release.version}"' in files["Kubefile"]


def api(release: Release) -> str:
    if release.number >= (1, 37):
        return "v1beta4"  # kubeadm 1.37 has no older one
    return "v1beta3" if release.number >= (1, 23) else "v1beta2"  # design note 1


def expected_socket(release: Release, cri: str) -> str:
    scheme = "unix://" if release.number >= (1, 24) else ""
    if cri == "containerd":
        return f"{scheme}/run/containerd/containerd.sock"
    return "unix:///var/run/cri-dockerd.sock" if scheme else "/var/run/dockershim.sock"  # design note 2


def find(value: object, names: set[str]) -> Iterator[object]:
    """Yield the values of all keys called so, at any depth."""
    if isinstance(value, dict):
        for key, below in value.items():
            if key in names:
                yield below
            else:
                yield from find(below, names)


def names_of(release: Release, cri: str) -> tuple[str, ...]:
    if cri == "containerd":
        return (*NAMES, "etc/dump-config.toml")
    return (*NAMES, "etc/cri-docker.service") if release.number >= (1, 24) else NAMES


@pytest.mark.parametrize("minor", MINORS)
def test_every_release_of_a_minor_agrees_with_itself(bench: Bench, minor: str) -> None:
    packages = REPOSITORY / "context"
    for release in [release for release in RELEASES if release.minor == minor]:
        analysed, _ = bench.analyse(release.version)
        targets = {wanted.label.name: target for wanted, target in analysed.targets.items()}
        assert sorted(targets) == sorted(PRODUCTS)
        evaluator = Evaluator(analysed.analyser.graph, packages)
        for cri in RUNTIMES:
            wanted = names_of(release, cri)
            by_arch = [evaluator.files(targets[f"{cri}-{arch}"], wanted) for arch in ARCHES]
            assert by_arch[0] == by_arch[1]
            assert sorted(by_arch[0]) == sorted(wanted)
            check_texts(release, cri, by_arch[0])


@pytest.mark.parametrize("minor", MINORS)
def test_the_first_and_the_last_release_of_a_minor_are_built_whole(bench: Bench, minor: str) -> None:
    of_minor = [release for release in RELEASES if release.minor == minor]
    for release in {of_minor[0], of_minor[-1]}:
        analysed, config = bench.analyse(release.version)
        built = session.build(bench.session, analysed, config, Options(jobs=2), NoEvents(), "test")
        assert built.errors == []
        root = Path(bench.session.place.root)
        for (label, _), (path,) in built.outputs.items():
            assert path.endswith(f"/rootfs/{label.name}.tar.zst")
            cri, _, arch = label.name.partition("-")
            tree = unpacked(root / path)
            check_tree(release, cri, arch, tree)
            (root / path).unlink()  # keeps the folder small


def unpacked(tarball: Path) -> dict[str, bytes]:
    """Return the files of a tarball; folders are empty files whose names end with a slash."""
    with (
        tarball.open("rb") as stream,
        zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True) as raw,
    ):
        data = raw.read()
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            content = archive.extractfile(member)
            found[member.name if content else f"{member.name}/"] = content.read() if content else b""
    return found


def check_tree(release: Release, cri: str, arch: str, tree: dict[str, bytes]) -> None:
    """Check that a rootfs is complete, of one architecture, and that its registry has every image of its list."""
    assert [name for name in spec_files(cri) if name not in tree and f"{name}/" not in tree] == []
    assert [name for name in foreign_files(cri) if name in tree] == []
    assert ("etc/cri-docker.service" in tree) == (cri == "docker" and release.number >= (1, 24))
    check_texts(release, cri, {name: tree[name].decode() for name in names_of(release, cri)})
    assert tree["imageList"] == tree["manifests/imageList"]
    programs = [data for name, data in tree.items() if name.startswith("bin/") and not name.endswith("/")]
    assert {elf_machine(data) for data in programs} == {ELF_MACHINES[arch]}
    assert f"kubelet {release.version} (buildsys sample for {arch}".encode() in tree["bin/kubelet"]

    top = "registry/docker/registry/v2"
    for image in tree["imageList"].decode().split():
        name, _, tag = image.partition("/")[2].rpartition(":")
        link = tree[f"{top}/repositories/{name}/_manifests/tags/{tag}/current/link"].decode()
        digest = link.removeprefix("sha256:")
        blob = tree[f"{top}/blobs/sha256/{digest[:2]}/{digest}/data"]
        assert hashlib.sha256(blob).hexdigest() == digest
