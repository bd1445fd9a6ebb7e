"""A change costs what it is worth, and no accident costs more than time: incremental builds of the shipped sample.

All builds are runs of the program; which actions ran is read from its journal.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.workspace import PRODUCTS, SAMPLE, Workspace, copy_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

ALL = "//rootfs:all"
CONTEXT = "//rootfs:build-context"
BIG = "context/rootfs/scripts/big.sh"
"""A file added to the sample, so that the store has blobs that are files of their own."""


def prepare(root: Path, store: Path | None = None) -> Workspace:
    workspace = copy_workspace(root, store)
    noise = random.Random(5).randbytes(200_000).hex()
    (workspace.root / BIG).write_text("".join(f"# {noise[at : at + 100]}\n" for at in range(0, len(noise), 100)))
    return workspace


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace that has been built once; tests work on copies of it."""
    workspace = prepare(tmp_path_factory.mktemp("pristine") / "work")
    workspace.build(SAMPLE, ALL, CONTEXT)
    return workspace


@pytest.fixture(scope="module")
def right(pristine: Workspace) -> dict[str, str]:
    return pristine.digests()


@pytest.fixture
def copied(pristine: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the built workspace as it is after a move: nothing of it has been looked at yet."""
    shutil.copytree(pristine.root, tmp_path / "work", symlinks=True)
    return Workspace(tmp_path / "work")


@pytest.fixture
def workspace(copied: Workspace) -> Workspace:
    """A copy that has been built where it is."""
    copied.build(SAMPLE, ALL, CONTEXT)
    return copied


def settle(workspace: Workspace, *request: str) -> None:
    """Build until the snapshot answers: files that have just been written are not trusted at first."""
    deadline = time.monotonic() + 10
    while not (result := workspace.build(*request)).is_from_snapshot:
        assert result.actions == 0
        assert time.monotonic() < deadline, "no snapshot answers"
        time.sleep(0.2)
    assert result.actions == 0


def products_of(cri: str) -> set[str]:
    return {
        line
        for arch in ("amd64", "arm64")
        for line in (
            f"//rootfs:tree Merge tree [arch={arch},cri={cri}]",
            f"//rootfs:checked CheckClosure checked [arch={arch},cri={cri}]",
            f"//rootfs:{cri}-{arch} Tarball {cri}-{arch}.tar.zst [arch={arch},cri={cri}]",
        )
    }


def stamps(workspace: Workspace) -> dict[str, tuple[int, int, int]]:
    """Return what tells whether a product was written again."""
    found = {name: workspace.output(name).stat() for name in PRODUCTS}
    return {name: (seen.st_ino, seen.st_mtime_ns, seen.st_ctime_ns) for name, seen in found.items()}


def names(workspace: Workspace) -> set[str]:
    """Return the actions that ran, with the parameters that set them apart."""
    return {
        action.name.replace(",source=sample", "").replace("[source=sample]", "").strip()
        for action in workspace.journal()
    }


# --- edits ------------------------------------------------------------------------------------------------------------


def test_a_null_build_runs_nothing_and_loads_nothing(workspace: Workspace, right: dict[str, str]) -> None:
    settle(workspace, SAMPLE, ALL, CONTEXT)
    assert workspace.digests() == right


def test_an_edited_template_runs_what_it_reaches_and_no_more(workspace: Workspace, right: dict[str, str]) -> None:
    settle(workspace, SAMPLE, ALL)
    workspace.edit("context/docker/etc/daemon.json.j2", "{", "{\n ")
    workspace.build(SAMPLE, ALL)
    assert names(workspace) == {"//docker:daemon-json Render etc/daemon.json", *products_of("docker")}
    edited = workspace.digests()
    assert {name for name in PRODUCTS if edited[name] != right[name]} == {"docker-amd64", "docker-arm64"}

    # The old text again: the tarballs of before were kept, and are put back.
    workspace.edit("context/docker/etc/daemon.json.j2", "{\n ", "{")
    result = workspace.build(SAMPLE, ALL)
    assert (result.actions, result.is_from_snapshot) == (0, True)
    assert workspace.digests() == right

    # Two texts later: every result is known, and the tarballs are put together from kept frames.
    for text in ("{\n  ", "{\n   "):
        workspace.edit("context/docker/etc/daemon.json.j2", "{", text)
        workspace.build(SAMPLE, ALL)
    workspace.edit("context/docker/etc/daemon.json.j2", "{\n   \n  ", "{")
    workspace.build(SAMPLE, ALL)
    assert names(workspace) == {name for name in products_of("docker") if " Tarball " in name}
    assert workspace.digests() == right


def test_a_template_of_all_products_reaches_them_all(workspace: Workspace) -> None:
    workspace.edit("context/rootfs/etc/registry.yml.j2", "\n", "\n\n")
    workspace.build(SAMPLE, ALL)
    expected = {"//rootfs:registry-login Render etc/registry.yml", *products_of("docker"), *products_of("containerd")}
    assert names(workspace) == expected


def test_a_comment_stops_where_the_bytes_are_the_same(workspace: Workspace, right: dict[str, str]) -> None:
    path = workspace.root / "context/rootfs/README.md.j2"
    path.write_text("{# Whoever reads this: it is not rendered. #}" + path.read_text())
    before = stamps(workspace)
    workspace.build(SAMPLE, ALL)
    assert {action.name.split()[1] for action in workspace.journal()} == {"Render"}
    assert workspace.ran() == {"//rootfs:readme Render README.md"}
    assert workspace.digests() == right
    assert stamps(workspace) == before


def test_a_touch_runs_nothing(workspace: Workspace, right: dict[str, str]) -> None:
    settle(workspace, SAMPLE, ALL)
    for path in (workspace.root / "context").rglob("*"):
        os.utime(path)
    result = workspace.build(SAMPLE, ALL)
    assert (result.actions, result.is_from_snapshot) == (0, True)
    assert workspace.digests() == right


def test_a_file_that_is_no_input_costs_nothing(workspace: Workspace) -> None:
    (workspace.root / "context/rootfs/etc/notes.txt").write_text("nobody asked")
    assert workspace.build(SAMPLE, ALL).actions == 0


def test_a_file_that_a_glob_finds_is_noticed_at_once(workspace: Workspace, right: dict[str, str]) -> None:
    settle(workspace, SAMPLE, ALL)
    (workspace.root / "context/docker/scripts/more.sh").write_text("#!/bin/sh\n")
    workspace.build(SAMPLE, ALL)
    assert names(workspace) == products_of("docker")
    (workspace.root / "context/docker/scripts/more.sh").unlink()
    assert workspace.build(SAMPLE, ALL).actions == 0
    assert names(workspace) == set()
    assert workspace.digests() == right


def test_another_release_has_its_own_place(workspace: Workspace, right: dict[str, str]) -> None:
    settle(workspace, SAMPLE, ALL)
    before = stamps(workspace)
    result = workspace.build(SAMPLE, ALL, "--param=kubernetes=v1.28.15")
    assert sorted(result.outputs) == sorted(
        f"buildsys-bin/kubernetes=1.28.15/rootfs/{name}.tar.zst" for name in PRODUCTS
    )
    assert stamps(workspace) == before
    assert workspace.build(SAMPLE, ALL).is_from_snapshot
    assert workspace.digests() == right


# --- outputs ----------------------------------------------------------------------------------------------------------


def tamper(path: Path) -> None:
    """Change a byte; leave the size and the time of modification as they were."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def retype(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "stranger").write_text("")


@pytest.mark.parametrize(
    "damage", [Path.unlink, tamper, lambda path: path.chmod(0o600), retype], ids=["gone", "tampered", "mode", "folder"]
)
def test_outputs_are_repaired(workspace: Workspace, right: dict[str, str], damage: Callable[[Path], object]) -> None:
    settle(workspace, SAMPLE, ALL, CONTEXT)
    tarball = workspace.output("containerd-arm64")
    inside = workspace.root / "buildsys-bin/rootfs/build-context/rootfs/etc/kubeadm.yml"
    before, mode = inside.read_bytes(), inside.stat().st_mode
    damage(tarball)
    damage(inside)
    assert not workspace.build(SAMPLE, ALL, CONTEXT).is_from_snapshot
    assert workspace.digests() == right
    assert (inside.read_bytes(), inside.stat().st_mode) == (before, mode)
    settle(workspace, SAMPLE, ALL, CONTEXT)


def test_strangers_in_a_tree_are_removed(workspace: Workspace) -> None:
    settle(workspace, SAMPLE, CONTEXT)
    stranger = workspace.root / "buildsys-bin/rootfs/build-context/rootfs/registry/stranger"
    stranger.write_text("")
    workspace.build(SAMPLE, CONTEXT)
    assert not stranger.exists()


# --- the store --------------------------------------------------------------------------------------------------------


def blobs(workspace: Workspace) -> list[Path]:
    found = sorted(path for path in (workspace.root / "cache/v1/cas").rglob("*") if path.is_file())
    assert len(found) >= 2, "the sample has lost its large blobs"
    return found


def lose_a_blob(workspace: Workspace, dice: random.Random) -> None:
    dice.choice(blobs(workspace)).unlink()


def flip_a_byte(workspace: Workspace, dice: random.Random) -> None:
    path = dice.choice(blobs(workspace))
    path.chmod(0o644)
    tamper(path)
    path.chmod(0o444)


def truncate_a_blob(workspace: Workspace, dice: random.Random) -> None:
    path = dice.choice(blobs(workspace))
    path.chmod(0o644)
    os.truncate(path, dice.randrange(path.stat().st_size))


def flip_small_blobs(workspace: Workspace, dice: random.Random) -> None:
    with closing(sqlite3.connect(workspace.root / "cache/v1/index.sqlite")) as index, index:
        rows = index.execute("SELECT digest, data FROM pack WHERE length(data) > 0").fetchall()
        for digest, data in dice.sample(rows, len(rows) // 4):
            changed = bytearray(data)
            changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
            index.execute("UPDATE pack SET data = ? WHERE digest = ?", (bytes(changed), digest))


def lose_small_blobs(workspace: Workspace, dice: random.Random) -> None:
    with closing(sqlite3.connect(workspace.root / "cache/v1/index.sqlite")) as index, index:
        rows = index.execute("SELECT digest FROM pack").fetchall()
        index.executemany("DELETE FROM pack WHERE digest = ?", dice.sample(rows, len(rows) // 2))


def lose_the_index(workspace: Workspace, dice: random.Random) -> None:
    for path in (workspace.root / "cache/v1").glob("index.sqlite*"):
        path.unlink()


def lose_the_store(workspace: Workspace, dice: random.Random) -> None:
    shutil.rmtree(workspace.root / "cache")


@pytest.mark.parametrize(
    ("damage", "seed"),
    [
        (lose_a_blob, 1),
        (lose_a_blob, 2),
        (flip_a_byte, 1),
        (flip_a_byte, 2),
        (truncate_a_blob, 1),
        (flip_small_blobs, 1),
        (flip_small_blobs, 4),
        (lose_small_blobs, 1),
        (lose_small_blobs, 4),
        (lose_the_index, 1),
        (lose_the_store, 1),
    ],
)
def test_a_damaged_store_heals(
    copied: Workspace, right: dict[str, str], damage: Callable[[Workspace, random.Random], None], seed: int
) -> None:
    damage(copied, random.Random(seed))
    # Every output has to be made again, from what the store still has.
    shutil.rmtree(copied.root / "buildsys-out" / "bin")
    copied.build(SAMPLE, ALL, CONTEXT)
    assert copied.digests() == right
    big = copied.root / "buildsys-bin/rootfs/build-context/rootfs/scripts/big.sh"
    assert big.read_bytes() == (copied.root / BIG).read_bytes()


def test_an_overwritten_index_is_set_aside(copied: Workspace, right: dict[str, str]) -> None:
    index = copied.root / "cache/v1/index.sqlite"
    index.write_bytes(random.Random(3).randbytes(index.stat().st_size))
    shutil.rmtree(copied.root / "buildsys-out" / "bin")
    copied.build(SAMPLE, ALL)
    assert copied.digests() == right
    assert (copied.root / "cache/v1/index.sqlite.damaged").exists()


# --- other processes --------------------------------------------------------------------------------------------------


def test_eight_workspaces_share_one_new_store(tmp_path: Path, right: dict[str, str]) -> None:
    workspaces = [prepare(tmp_path / f"work-{number}", tmp_path / "store") for number in range(8)]
    running = [workspace.start("build", SAMPLE, ALL) for workspace in workspaces]
    for process in running:
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
    assert [workspace.digests() for workspace in workspaces] == [right] * len(workspaces)


def test_eight_builds_in_one_workspace(tmp_path: Path, right: dict[str, str]) -> None:
    """The same targets four times, and four others, on one output folder and one new store."""
    workspace = prepare(tmp_path / "work")
    requests = [(SAMPLE, ALL)] * 4 + [(SAMPLE, CONTEXT)] * 2 + [(SAMPLE, ALL, "--param=kubernetes=1.28.15")] * 2
    running = [workspace.start("build", *request) for request in requests]
    for process in running:
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
    assert workspace.digests() == right
    assert workspace.build(SAMPLE, ALL).actions == 0
    assert workspace.digests() == right


@pytest.mark.parametrize("seed", range(4))
def test_a_kill_at_any_instant_costs_nothing_but_time(tmp_path: Path, right: dict[str, str], seed: int) -> None:
    """Three new workspaces, each killed twice; the next build is right, with no `clean`, and leaves no rubbish."""
    dice = random.Random(seed)
    began = time.monotonic()
    prepare(tmp_path / "measured").build(SAMPLE, ALL)
    whole = time.monotonic() - began
    for number in range(3):
        workspace = prepare(tmp_path / f"work-{number}")
        killed = 0
        while killed < 2:
            process = workspace.start("build", SAMPLE, ALL)
            time.sleep(dice.uniform(0.2, 1.0) * whole)
            if process.poll() is not None:  # it was done already: begin again, a little earlier, to be killed for sure
                process.communicate()
                shutil.rmtree(workspace.root / "cache")
                shutil.rmtree(workspace.root / "buildsys-out")
                whole *= 0.9
                continue
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += 1
        workspace.build(SAMPLE, ALL)
        assert workspace.digests() == right
        for folder in (workspace.root / "cache/v1/tmp", workspace.root / "buildsys-out/tmp"):
            assert not folder.exists() or list(folder.iterdir()) == []
