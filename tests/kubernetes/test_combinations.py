"""Combinations that cannot work are refused with a reason and an alternative; those that can are not."""

import pytest

from buildsys.adapters.versions import Version, parse_version
from buildsys.errors import Location
from buildsys.kubernetes.combinations import Combination, advise, check, check_layers
from buildsys.kubernetes.tables import Tables


def wanted(
    kubernetes: str, cri: str = "containerd", arch: str = "amd64", api_version: str = "", **versions: str
) -> Combination:
    parsed: dict[str, Version] = {name: parse_version(text) for name, text in versions.items()}
    return Combination(
        parse_version(kubernetes),
        cri,
        arch,
        containerd=parsed.get("containerd"),
        docker=parsed.get("docker"),
        cri_dockerd=parsed.get("cri_dockerd"),
        api_version=api_version,
    )


@pytest.mark.parametrize(
    ("combination", "code", "says", "advises"),
    [
        (wanted("1.24.0", "docker", docker="24.0.9"), "B610", "without cri-dockerd", "add cri-dockerd 0.3.26"),
        (wanted("1.26.0", containerd="1.5.18"), "B611", "CRI v1 only", "for instance 1.7.34"),
        (wanted("1.36.0", containerd="1.7.34"), "B611", "no longer runs with containerd 1", "for instance 2.3.4"),
        (wanted("1.22.17", containerd="2.0.11"), "B611", "v1alpha2", "for instance 1.6.39"),
        (wanted("1.26.0", "docker", docker="24.0.9", cri_dockerd="0.2.6"), "B611", "CRI v1", "cri-dockerd >=0.3.0"),
        (wanted("1.20.15", arch="arm64", containerd="1.5.18"), "B612", "no build for arm64", "for instance 1.6.39"),
        (wanted("1.15.0", "docker", "arm64", docker="17.06.2"), "B612", "no build for arm64", "for instance 18.09.9"),
        (wanted("1.14.10", containerd="1.6.39"), "B613", "too old", "newer"),
        (wanted("1.37.0", containerd="2.3.4", api_version="v1beta3"), "B614", "does not read", "it reads v1beta4"),
        (wanted("1.20.15", "docker", docker="19.03.15", api_version="v1beta3"), "B614", "does not read", "v1beta2"),
    ],
)  # fmt: skip
def test_impossible(tables: Tables, combination: Combination, code: str, says: str, advises: str) -> None:
    (error,) = check(tables, combination)
    assert error.code == code
    assert says in error.message
    assert advises in error.hint


@pytest.mark.parametrize(
    "combination",
    [
        wanted("1.23.17", "docker", docker="20.10.23"),
        wanted("1.24.0", "docker", docker="20.10.23", cri_dockerd="0.2.6"),
        wanted("1.25.16", containerd="1.6.0"),
        wanted("1.23.0", containerd="2.0.0"),
        wanted("1.22.17", containerd="1.7.34"),
        wanted("1.35.0", containerd="1.7.28"),
        wanted("1.20.15", arch="amd64", containerd="1.5.18"),
        wanted("1.31.0", api_version="v1beta4"),
        wanted("1.28.0", "docker", cri_dockerd="0.3.26"),
        wanted("1.36.0", "docker", containerd="1.7.34", cri_dockerd="0.3.26"),
    ],
)
def test_possible(tables: Tables, combination: Combination) -> None:
    assert check(tables, combination) == []


def test_every_reason_is_told_at_its_place(tables: Tables) -> None:
    places = {"cri": Location("BUILD.yaml", 4, 8), "docker": Location("BUILD.yaml", 5, 8)}
    errors = check(tables, wanted("1.37.0", "docker", "arm64", "v1beta2", docker="17.03.0"), places)
    assert [(error.code, error.at) for error in errors] == [
        ("B614", None),
        ("B610", places["cri"]),
        ("B612", places["docker"]),
    ]


@pytest.mark.parametrize(
    ("combination", "notes"),
    [
        (wanted("1.24.0", containerd="1.6.3"), ["1.6.3 is not recommended"]),
        (wanted("1.24.0", containerd="1.6.4"), []),
        (wanted("1.34.0", containerd="2.1.2"), ["use >=1.6.39", "sealer"]),
        (wanted("1.36.0", containerd="2.1.0"), [">=2.2.0", "sealer"]),
        (wanted("1.24.17", "docker"), []),
        (wanted("1.18.11", "docker"), ["are inferred"]),
        (wanted("1.37.0", "docker"), ["are inferred", "needs a patch"]),
        (wanted("1.25.0", "docker"), ["needs a patch"]),
    ],
)
def test_advice(tables: Tables, combination: Combination, notes: list[str]) -> None:
    given = advise(tables, combination)
    assert len(given) == len(notes)
    assert all(part in note for part, note in zip(notes, given, strict=True))


@pytest.mark.parametrize(
    ("cri", "version", "layer_format", "readable"),
    [
        ("docker", "20.10.24", "gzip", True),
        ("docker", "20.10.24", "zstd", False),
        ("docker", "22.6.0", "zstd:chunked", False),
        ("docker", "23.0.0", "zstd", True),
        ("containerd", "1.4.13", "zstd", False),
        ("containerd", "1.5.0", "zstd", True),
        ("containerd", "1.6.39", "zstd:chunked", True),
    ],
)
def test_layers_that_a_runtime_reads(
    tables: Tables, cri: str, version: str, layer_format: str, *, readable: bool
) -> None:
    at = Location("BUILD.yaml", 3, 5)
    found = check_layers(tables, cri, parse_version(version), layer_format, at)
    assert [error.code for error in found] == ([] if readable else ["B618"])
    for error in found:
        assert error.at == at
        assert "layer_format: gzip" in error.hint
