"""Recommended versions: pinned for both architectures and fit for their release; containerd as it reads its file."""

import tomllib
from pathlib import Path

import pytest

from buildsys.adapters.versions import parse_version
from buildsys.errors import UserError
from buildsys.kubernetes import pins
from buildsys.kubernetes.combinations import Combination, advise, check
from buildsys.kubernetes.releases import all_versions
from buildsys.kubernetes.runtimes import containerd_config, recommended
from buildsys.kubernetes.tables import Tables

LOCK = Path(__file__).parents[2] / "buildsys.lock"
PINNED = {
    "containerd": "containerd",
    "docker": "docker",
    "cri_dockerd": "cri-dockerd",
    "runc": "runc",
    "crictl": "crictl",
    "nerdctl": "nerdctl",
    "cni_plugins": "cni-plugins",
    "libseccomp": "libseccomp-src",
}


@pytest.mark.parametrize("component", sorted(PINNED))
@pytest.mark.parametrize("arch", ["amd64", "arm64"])
def test_what_is_recommended_is_pinned(tables: Tables, component: str, arch: str) -> None:
    locked = pins.parse(LOCK.read_text(encoding="utf-8"), "buildsys.lock")
    for kubernetes in all_versions(tables):
        if component == "cri_dockerd" and kubernetes < parse_version("1.24"):
            continue
        version = recommended(tables, component, kubernetes).version
        assert locked.find(PINNED[component], version, arch), f"{component} {version} {arch}"


def test_what_is_recommended_works(tables: Tables) -> None:
    for kubernetes in all_versions(tables):
        for arch in ("amd64", "arm64"):
            shim = kubernetes >= parse_version("1.24")
            docker = Combination(
                kubernetes,
                "docker",
                arch,
                docker=parse_version(recommended(tables, "docker", kubernetes).version),
                cri_dockerd=parse_version(recommended(tables, "cri_dockerd", kubernetes).version) if shim else None,
            )
            containerd = Combination(
                kubernetes,
                "containerd",
                arch,
                containerd=parse_version(recommended(tables, "containerd", kubernetes).version),
            )
            assert check(tables, docker) == check(tables, containerd) == []
            assert not [note for note in advise(tables, containerd) if "recommended" in note]


@pytest.mark.parametrize(
    ("component", "kubernetes", "version"),
    [
        ("containerd", "1.15.0", "1.6.39"),
        ("containerd", "1.23.17", "1.6.39"),
        ("containerd", "1.24.0", "1.7.34"),
        ("containerd", "1.35.8", "2.2.7"),
        ("containerd", "1.36.0", "2.3.4"),
        ("docker", "1.16.15", "18.09.9"),
        ("docker", "1.20.15", "19.03.15"),
        ("docker", "1.23.17", "20.10.23"),
        ("crictl", "1.24.17", "1.24.2"),
        ("crictl", "1.37.0", "1.36.0"),
        ("runc", "1.23.17", "1.3.6"),
        ("runc", "1.36.4", "1.4.3"),
        ("nerdctl", "1.28.15", "1.7.7"),
        ("registry", "1.28.15", "2.7.1"),
        ("tigera_operator", "1.31.0", "v1.38.13"),
    ],
)
def test_recommended(tables: Tables, component: str, kubernetes: str, version: str) -> None:
    found = recommended(tables, component, parse_version(kubernetes))
    assert found.version == version
    assert found.component == component
    assert found.certainty
    assert found.source


def test_a_companion_decides(tables: Tables) -> None:
    kubernetes = parse_version("1.28.15")
    assert recommended(tables, "runc", kubernetes, companion=parse_version("2.0.11")).version == "1.2.9"
    assert recommended(tables, "tigera_operator", kubernetes, companion=parse_version("3.29.1")).version == "v1.36.2"


@pytest.mark.parametrize(
    ("component", "kubernetes"), [("calico", "1.15.0"), ("tigera_operator", "1.15.0"), ("cri_dockerd", "1.23.17")]
)
def test_nothing_is_made_up(tables: Tables, component: str, kubernetes: str) -> None:
    with pytest.raises(UserError) as caught:
        recommended(tables, component, parse_version(kubernetes))
    assert caught.value.code == "B606"


@pytest.mark.parametrize(
    ("containerd", "format_"), [("1.6.39", "2"), ("1.7.34", "2"), ("2.0.0-rc.1", "3"), ("2.2.7", "3"), ("2.3.0", "4")]
)
def test_containerd_config_is_toml_of_that_format(tables: Tables, containerd: str, format_: str) -> None:
    config = containerd_config(tables, parse_version(containerd))
    assert config.config_version == format_
    text = "\n".join(
        [
            f"version = {config.config_version}",
            f"[{config.pause_table}]",
            f'{config.pause_key} = "sea.hub:5000/pause:3.9"',
            f"[{config.registry_table}]",
            'config_path = "/etc/containerd/certs.d"',
            f"[{config.runtime_table}]",
            'runtime_type = "io.containerd.runc.v2"',
            f"[{config.cgroup_table}]",
            "SystemdCgroup = true",
        ]
    )
    plugins = tomllib.loads(text)["plugins"]
    if format_ == "2":
        cri = plugins["io.containerd.grpc.v1.cri"]
        assert cri["sandbox_image"] == "sea.hub:5000/pause:3.9"
        runtime = cri["containerd"]["runtimes"]["runc"]
        registry = cri["registry"]
    else:
        assert plugins["io.containerd.cri.v1.images"]["pinned_images"]["sandbox"] == "sea.hub:5000/pause:3.9"
        runtime = plugins["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"]["runc"]
        registry = plugins["io.containerd.cri.v1.images"]["registry"]
    assert registry == {"config_path": "/etc/containerd/certs.d"}
    assert runtime["options"] == {"SystemdCgroup": True}
