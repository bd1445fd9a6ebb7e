"""The shipped tables: complete, without contradictions, and every row says where it comes from."""

import ast
import re
from itertools import combinations
from pathlib import Path

import pytest

import buildsys.kubernetes
from buildsys.adapters.versions import parse_version
from buildsys.errors import InternalError, UserError
from buildsys.kubernetes.lookup import at_version
from buildsys.kubernetes.rows import Row, Table
from buildsys.kubernetes.tables import Tables

PACKAGE = Path(buildsys.kubernetes.__file__).parent
CERTAINTIES = {"certain", "inferred", "verified", "documented", "recalled"}
APIS = ["v1beta1", "v1beta2", "v1beta3", "v1beta4"]


def all_tables(tables: Tables) -> dict[str, Table]:
    return {**tables.kubeadm, **tables.runtimes, **{f"combinations.{k}": v for k, v in tables.combinations.items()}}


def test_every_row_names_its_source_and_its_certainty(tables: Tables) -> None:
    for name, table in all_tables(tables).items():
        assert table.doc, name
        for row in table.rows:
            assert row.source, name
            assert row.certainty in CERTAINTIES, name
    for setting in tables.settings:
        assert setting.source
    for release in tables.releases.values():
        assert release.certainty in CERTAINTIES


def test_no_version_is_in_two_rows(tables: Tables) -> None:
    probes = {
        "kubernetes": [release.version for release in tables.releases.values()],
        "containerd": [parse_version(f"{a}.{b}.{c}") for a in (1, 2) for b in range(8) for c in range(45)],
        "docker": [parse_version(f"{a}.{b:02}.{c}") for a in range(17, 29) for b in range(13) for c in range(24)],
        "calico": [parse_version(f"3.{b}.{c}") for b in range(35) for c in range(8)],
    }
    for name, table in all_tables(tables).items():
        if name in {"combinations.builds", "combinations.layers", "moved", "extra_args_form"}:
            continue
        for first, second in combinations(table.rows, 2):
            both = [v for v in probes[table.by] if first.range.contains(v) and second.range.contains(v)]
            assert not both, f"{name}: {first.range} and {second.range} hold {both[0]}"


@pytest.mark.parametrize(
    "name",
    ["api_version", "accepted_api_versions", "image_order", "dns_image_repository", "cri_socket", "kubelet_flags"],
)
def test_kubeadm_tables_speak_of_every_release(tables: Tables, name: str) -> None:
    for release in tables.releases.values():
        assert tables.kubeadm[name].find(release.version), release.version


@pytest.mark.parametrize("name", ["containerd", "docker", "crictl", "libseccomp", "registry", "cni_plugins", "lvscare"])
def test_runtime_tables_speak_of_every_release(tables: Tables, name: str) -> None:
    for release in tables.releases.values():
        assert tables.runtimes[name].find(release.version), release.version


def test_fields_of_every_type_are_listed(tables: Tables) -> None:
    for kind, types in tables.types.items():
        known = {name for _, names in tables.fields[kind] for name in names}
        assert set(types) <= known
        assert set(types.values()) <= set(tables.fields)


def test_what_is_set_is_set_once_per_release(tables: Tables) -> None:
    for release in tables.releases.values():
        paths = [
            (setting.kind, setting.path)
            for setting in tables.settings
            if setting.range is None or setting.range.contains(release.version)
        ]
        assert len(paths) == len(set(paths))


def test_a_version_no_row_speaks_of_is_an_error_that_says_what_to_do(tables: Tables) -> None:
    with pytest.raises(UserError) as caught:
        at_version(tables.runtimes, "calico", parse_version("1.15.0"))
    assert caught.value.code == "B606"
    assert "set the value yourself" in caught.value.hint


def test_a_damaged_table_is_our_fault(tables: Tables) -> None:
    row: Row = tables.kubeadm["api_version"].rows[0]
    with pytest.raises(InternalError):
        row.texts()
    with pytest.raises(InternalError):
        row.text("no such column")


def test_no_code_decides_by_version() -> None:
    """Knowledge is in the tables: no number of a Kubernetes or containerd version stands in the code."""
    for path in PACKAGE.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                assert not re.fullmatch(r"[<>=!~]*v?\d+\.\d+(\.\d+)?", node.value), f"{path.name}: {node.value}"


def test_imports_stay_below() -> None:
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("buildsys"):
                layer = [*node.module.split("."), ""][1]
                assert layer in {"errors", "model", "adapters", "kubernetes"}, f"{path.name} imports {node.module}"


def test_kubelet_flags_are_known_to_the_release_that_gets_them(tables: Tables) -> None:
    for release in tables.releases.values():
        row = tables.kubeadm["kubelet_flags"].find(release.version)
        assert row
        for flag in (*row.texts("docker"), *row.texts("containerd")):
            name = flag.partition("=")[0].removeprefix("--")
            assert tables.flags["kubelet"][name].range.contains(release.version), f"{name} {release.version}"
