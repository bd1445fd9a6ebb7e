"""Releases and their image lists, against the lists that the real kubeadm printed."""

import hashlib
from pathlib import Path

import pytest

from buildsys.adapters.versions import parse_range, parse_version
from buildsys.errors import Location, UserError
from buildsys.kubernetes.kubeadm import dns_image_repository
from buildsys.kubernetes.releases import all_versions, images, images_at, in_range, release
from buildsys.kubernetes.tables import Tables

GOLDEN = Path(__file__).parent / "data" / "image-lists.sha256"


def test_all_334_image_lists_are_what_kubeadm_printed(tables: Tables) -> None:
    lines = [line.split() for line in GOLDEN.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert len(lines) == 334
    assert [version for version, _ in lines] == [str(version) for version in all_versions(tables)]
    for version, digest in lines:
        text = "".join(f"{image}\n" for image in images(tables, release(tables, parse_version(version))))
        assert hashlib.sha256(text.encode()).hexdigest() == digest, version


def test_a_list_in_full(tables: Tables) -> None:
    assert images(tables, release(tables, parse_version("v1.31.14"))) == (
        "registry.k8s.io/kube-apiserver:v1.31.14",
        "registry.k8s.io/kube-controller-manager:v1.31.14",
        "registry.k8s.io/kube-scheduler:v1.31.14",
        "registry.k8s.io/kube-proxy:v1.31.14",
        "registry.k8s.io/coredns/coredns:v1.11.3",
        "registry.k8s.io/pause:3.10",
        "registry.k8s.io/etcd:3.5.24-0",
    )


@pytest.mark.parametrize(
    ("version", "name"),
    [("1.20.15", "sea.hub:5000/coredns:1.7.0"), ("1.21.0", "sea.hub:5000/coredns/coredns:v1.8.0")],
)
def test_coredns_moves_at_1_21(tables: Tables, version: str, name: str) -> None:
    assert name in images_at(tables, release(tables, parse_version(version)), "sea.hub:5000")


def test_every_name_a_node_asks_for_is_upstreams_under_the_repository(tables: Tables) -> None:
    """The registry tree is keyed by the upstream path: what is asked for must stand there under the same path."""
    for version in all_versions(tables):
        of = release(tables, version)
        upstream = [name.removeprefix(f"{of.default_repository}/") for name in images(tables, of)]
        asked = images_at(tables, of, "sea.hub:5000")
        assert [name.removeprefix("sea.hub:5000/") for name in asked] == upstream
        coredns = next(name for name in asked if "coredns" in name)
        assert coredns == f"{dns_image_repository(tables, version, 'sea.hub:5000')}/coredns:{of.coredns}"


@pytest.mark.parametrize(
    ("version", "near"),
    [
        ("1.23.99", "1.23.15, 1.23.16, 1.23.17"),
        ("1.20.16", "1.20.13, 1.20.14, 1.20.15"),
        ("1.14.0", "1.15.11, 1.16.15, 1.17.17"),
        ("1.99.0", "1.35.8, 1.36.4, 1.37.0"),
        ("1.31.0-rc.0", "1.31.0, 1.31.1, 1.31.2"),
    ],
)
def test_an_unknown_release_names_the_nearest(tables: Tables, version: str, near: str) -> None:
    with pytest.raises(UserError) as caught:
        release(tables, parse_version(version), Location("BUILD.yaml", 1))
    assert caught.value.code == "B601"
    assert caught.value.at == Location("BUILD.yaml", 1)
    assert caught.value.hint == f"the nearest are {near}"


def test_ranges_over_the_known_releases(tables: Tables) -> None:
    assert [str(v) for v in in_range(tables, parse_range(">=1.36 <1.38"))] == [
        "1.36.0",
        "1.36.1",
        "1.36.2",
        "1.36.3",
        "1.36.4",
        "1.37.0",
    ]
    assert in_range(tables, parse_range(">=2")) == ()
    assert all_versions(tables) == tuple(sorted(all_versions(tables)))


def test_certainty_is_kept(tables: Tables) -> None:
    inferred = [version for version, of in tables.releases.items() if of.certainty == "inferred"]
    assert len(inferred) == 17
    assert {"1.18.11", "1.34.11", "1.35.8", "1.36.4", "1.37.0"} < set(inferred)
