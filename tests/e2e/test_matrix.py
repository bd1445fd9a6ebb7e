"""One command for many releases: the outputs of separate builds, for the price of what they do not share."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_incremental import settle
from tests.e2e.workspace import PRODUCTS, SAMPLE, Workspace, copy_workspace, sha256

if TYPE_CHECKING:
    from pathlib import Path

ALL = "//rootfs:all"
MINOR = ("1.36.0", "1.36.1", "1.36.2", "1.36.3", "1.36.4")
RANGE = "--param=kubernetes=>=1.36,<1.37"
BUT_ONE = f"{RANGE},!=1.36.2"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a whole minor but one release."""
    workspace = copy_workspace(tmp_path_factory.mktemp("matrix") / "work")
    result = workspace.build(SAMPLE, ALL, BUT_ONE)
    assert "INFO: kubernetes=>=1.36,<1.37,!=1.36.2: 4 versions, 1.36.0 to 1.36.4\n" in result.stderr
    assert "INFO: Found 16 targets...\n" in result.stderr
    assert result.outputs == sorted(result.outputs, key=lambda path: path.split("/")[1])
    assert sorted(result.outputs) == sorted(
        paths(version, name) for version in MINOR if version != "1.36.2" for name in PRODUCTS
    )
    return workspace


def paths(version: str, name: str) -> str:
    return f"buildsys-bin/kubernetes={version}/rootfs/{name}.tar.zst"


def test_a_release_is_what_a_build_of_its_own_makes(built: Workspace, tmp_path: Path) -> None:
    alone = copy_workspace(tmp_path / "alone")
    alone.build(SAMPLE, ALL, "--param=kubernetes=1.36.3")
    for name in PRODUCTS:
        path = paths("1.36.3", name)
        assert sha256(built.root / path) == sha256(alone.root / path)


def test_what_releases_share_is_made_once(built: Workspace) -> None:
    ran = [action.key for action in built.journal()]
    assert len(ran) == len(set(ran))
    by_name = Counter(action.name.partition(" [")[0] for action in built.journal())
    assert by_name["//docker:daemon-json Render etc/daemon.json"] == 1
    assert by_name["//kubernetes:crictl-archive Sample kubernetes/crictl-archive"] == 0
    assert by_name["//kubernetes:kubeadm SampleFile bin/kubeadm"] == 4 * 2
    assert by_name["//rootfs:tree Merge tree"] == 4 * 4


def test_adding_a_release_makes_what_is_its_own(built: Workspace) -> None:
    """The second range is another request, so nothing of it is answered by a snapshot."""
    before = {path: (built.root / path).stat().st_ino for path in (paths("1.36.3", name) for name in PRODUCTS)}
    built.build(SAMPLE, ALL, RANGE)
    ran = built.journal()
    assert {name for action in ran if "kubernetes=1.36.2" not in (name := action.name)} == set()
    assert sum(action.name.startswith("//rootfs:tree Merge tree") for action in ran) == 4
    assert {path: (built.root / path).stat().st_ino for path in before} == before

    settle(built, SAMPLE, ALL, RANGE)
    null = built.build(SAMPLE, ALL, RANGE)
    assert (null.is_from_snapshot, null.actions) == (True, 0)
    assert "20 targets" in null.stderr
    assert "INFO: kubernetes=>=1.36,<1.37: 5 versions, 1.36.0 to 1.36.4 (not locked: " not in null.stderr

    built.edit("context/rootfs/README.md.j2", "# ", "# An edited ")
    built.build(SAMPLE, ALL, RANGE)
    assert Counter(action.name.split()[1] for action in built.journal()) == {
        "Render": 10,
        "Merge": 20,
        "CheckClosure": 20,
        "Tarball": 20,
    }
    built.edit("context/rootfs/README.md.j2", "# An edited ", "# ")


def test_a_list_is_built_in_its_order(built: Workspace) -> None:
    result = built.build(SAMPLE, "//rootfs:docker-amd64", "--param=kubernetes=1.36.3,v1.36.0")
    assert result.outputs == [paths("1.36.3", "docker-amd64"), paths("1.36.0", "docker-amd64")]
    assert {action.name.split()[1] for action in built.journal()} <= {"Tarball"}  # after an edit and back


def test_many_targets_are_counted(built: Workspace) -> None:
    result = built.build(SAMPLE, ALL, BUT_ONE, "--show_result=15")
    assert result.outputs == []
    assert "\n16 targets up-to-date (--show_result=16 lists them)\n" in result.stderr


def test_questions_take_ranges_too(built: Workspace) -> None:
    files = built.run("cquery", SAMPLE, RANGE, "//rootfs:docker-arm64", "--output=files").passed()
    assert files.stdout.splitlines() == [paths(version, "docker-arm64") for version in MINOR]
    summary = built.run("aquery", SAMPLE, RANGE, "mnemonic('Tarball', //rootfs:all)", "--output=summary").passed()
    assert summary.stdout.startswith("20 total actions.")


def test_one_file_in_common_is_one_result(built: Workspace) -> None:
    """What does not depend on the release stands at one place, however many are asked for."""
    result = built.build(SAMPLE, "//docker:daemon-json", RANGE)
    assert result.outputs == ["buildsys-bin/docker/etc/daemon.json"]


def test_explain_tells_the_releases_apart(built: Workspace) -> None:
    built.edit("context/rootfs/README.md.j2", "# ", "# Another ")
    built.build(SAMPLE, "//rootfs:docker-amd64", "--param=kubernetes=1.36.0,1.36.1")
    told = built.run("explain", "//rootfs:readme").passed().stdout
    for version in ("1.36.0", "1.36.1"):
        assert f"kubernetes={version},source=sample]: changed" in told
    built.edit("context/rootfs/README.md.j2", "# Another ", "# ")
