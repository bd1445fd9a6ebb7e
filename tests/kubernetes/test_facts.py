"""Facts: what they say, that they agree with each other, and what happens when they cannot be told."""

import pytest

from buildsys.adapters.versions import parse_version
from buildsys.errors import BuildError, Location, UserError
from buildsys.kubernetes.facts import FACTS, fact
from buildsys.kubernetes.releases import all_versions, images_at, release
from buildsys.kubernetes.tables import Tables

PARAMETERS = {"kubernetes": "v1.23.17", "cri": "containerd", "arch": "arm64", "image_repository": "sea.hub:5000"}


def value(tables: Tables, name: str, **parameters: str) -> str:
    given = {**PARAMETERS, **parameters}
    return fact(name).compute(tables, lambda parameter: given.get(parameter, ""))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("release.minor", "1.23"),
        ("release.pause", "3.6"),
        ("release.etcd", "3.5.6-0"),
        ("release.coredns", "v1.8.6"),
        ("release.default_repository", "registry.k8s.io"),
        ("kubeadm.api_version", "v1beta3"),
        ("kubeadm.dns_image_repository", "sea.hub:5000/coredns"),
        ("kubelet.extra_args", ""),
        ("pause.image", "sea.hub:5000/pause:3.6"),
        ("cri.socket", "/run/containerd/containerd.sock"),
        ("cri.certs_dir", "/etc/containerd/certs.d"),
        ("containerd.config_version", "2"),
        ("containerd.pause_key", "sandbox_image"),
        ("containerd.pause_table", 'plugins."io.containerd.grpc.v1.cri"'),
        ("recommended.containerd", "1.6.39"),
        ("recommended.docker", "20.10.23"),
        ("recommended.runc", "1.3.6"),
        ("recommended.libseccomp", "2.5.4"),
        ("recommended.calico", "3.25.2"),
        ("recommended.tigera_operator", "v1.29.6"),
        ("arch.alt", "aarch64"),
        ("arch.multiarch", "aarch64-linux-gnu"),
    ],
)
def test_facts(tables: Tables, name: str, expected: str) -> None:
    assert value(tables, name) == expected


def test_parameters_decide(tables: Tables) -> None:
    assert value(tables, "containerd.config_version", containerd="2.3.4") == "4"
    assert value(tables, "recommended.runc", containerd="2.0.11") == "1.2.9"
    assert value(tables, "recommended.tigera_operator", calico="3.31.3") == "v1.40.3"
    assert value(tables, "kubelet.extra_args", kubernetes="1.35.0", cri="docker") == "--fail-cgroupv1=false"
    assert value(tables, "docker.file_version", docker="18.06.3") == "18.06.3-ce"
    assert value(tables, "docker.file_version", docker="v19.03.15") == "19.03.15"
    assert value(tables, "docker.file_version") == "20.10.23"
    assert value(tables, "cri.socket", cri="docker") == "/var/run/dockershim.sock"
    assert value(tables, "cri.certs_dir", cri="docker") == "/etc/docker/certs.d"
    old = "--pod-infra-container-image=sea.hub:5000/pause:3.2"
    assert value(tables, "kubelet.extra_args", kubernetes="v1.20.15") == old
    assert value(tables, "kubelet.extra_args", kubernetes="v1.20.15", cri="docker") == ""
    assert value(tables, "arch.alt", arch="amd64") == "x86_64"


def test_every_fact_can_be_told_for_every_release(tables: Tables) -> None:
    silent = {"recommended.cri_dockerd", "recommended.calico", "recommended.tigera_operator", "kubelet.extra_args"}
    silent |= {"calico.images", "calico.registry"}
    for version in all_versions(tables):
        for name, known in FACTS.items():
            assert known.doc
            for cri in ("docker", "containerd"):
                unknown = ""
                try:
                    told = value(tables, name, kubernetes=str(version), cri=cri)
                except UserError as error:
                    told, unknown = "", error.code
                assert told or name in silent
                assert not unknown or (unknown, name in silent) == ("B606", True)


def test_the_pause_image_is_one_and_the_same(tables: Tables) -> None:
    """kubeadm's list, the runtime's configuration and the kubelet's arguments name one image."""
    for version in all_versions(tables):
        listed = [image for image in images_at(tables, release(tables, version), "sea.hub:5000") if "/pause:" in image]
        told = value(tables, "pause.image", kubernetes=str(version))
        assert listed == [told]
        arguments = value(tables, "kubelet.extra_args", kubernetes=str(version))
        named = [argument for argument in arguments.split() if "image" in argument]
        assert named == ([f"--pod-infra-container-image={told}"] if version < parse_version("1.21") else [])


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("release.puase", "did you mean 'release.pause'?"),
        ("containerd.zzzzzzzz", "the facts are containerd.config_version"),
        ("q", "the facts are release.minor"),
    ],
)
def test_there_is_no_such_fact(name: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        fact(name, Location("BUILD.yaml", 2, 9))
    assert caught.value.code == "B602"
    assert caught.value.hint.startswith(hint)
    assert caught.value.at == Location("BUILD.yaml", 2, 9)


@pytest.mark.parametrize(
    ("name", "parameters", "code"),
    [
        ("release.pause", {"kubernetes": ""}, "B608"),
        ("release.pause", {"kubernetes": "latest"}, "B600"),
        ("release.pause", {"kubernetes": "1.23.99"}, "B601"),
        ("pause.image", {"image_repository": ""}, "B608"),
        ("cri.socket", {"cri": "podman"}, "B609"),
        ("arch.alt", {"arch": "s390x"}, "B608"),
    ],
)
def test_a_fact_that_cannot_be_told(tables: Tables, name: str, parameters: dict[str, str], code: str) -> None:
    with pytest.raises(BuildError) as caught:
        value(tables, name, **parameters)
    assert caught.value.code == code
