"""The output folder: trees have their own modes, and nothing else in them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildsys.execution.outputs import Outputs
from buildsys.model.action import Value
from buildsys.model.tree import DIRECTORY, FILE, Entry, Tree
from buildsys.store.local import LocalStore, open_store
from buildsys.store.workspace_state import WorkspaceState

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    opened = open_store(str(tmp_path / "store"))
    yield opened
    opened.close()


@pytest.fixture
def outputs(tmp_path: Path, store: LocalStore) -> Iterator[Outputs]:
    state = WorkspaceState(str(tmp_path / "out" / "state.sqlite"))
    yield Outputs(str(tmp_path / "out"), store.blobs, state)
    state.close()


def put(store: LocalStore, *entries: Entry) -> Value:
    data = Tree.of(entries).to_bytes()
    return Value(store.blobs.put(data), len(data), tree=True)


def file(store: LocalStore, path: str, data: bytes, mode: int = 0o644) -> Entry:
    return Entry(path, FILE, mode, store.blobs.put(data), len(data))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_modes_of_a_tree_do_not_depend_on_the_umask(
    tmp_path: Path, store: LocalStore, outputs: Outputs, umask: int
) -> None:
    value = put(
        store, file(store, "bin/tool", b"x", 0o755), file(store, "etc/conf", b"y"), Entry("e", DIRECTORY, 0o700)
    )
    before = os.umask(umask)
    try:
        outputs.write("tree", value)
    finally:
        os.umask(before)
    root = tmp_path / "out" / "bin" / "tree"
    modes = {str(path.relative_to(root)): stat.S_IMODE(path.stat().st_mode) for path in [root, *root.rglob("*")]}
    assert modes == {
        ".": 0o755, "bin": 0o755, "bin/tool": 0o755, "e": 0o700, "etc": 0o755, "etc/conf": 0o644,
    }  # fmt: skip


def test_strangers_in_a_tree_are_removed_and_noticed(tmp_path: Path, store: LocalStore, outputs: Outputs) -> None:
    value = put(store, file(store, "bin/tool", b"x", 0o755), Entry("empty", DIRECTORY, 0o755))
    outputs.write("tree", value)
    root = tmp_path / "out" / "bin" / "tree"
    # What the snapshot of a null build looks at: the folders, too, whose times tell of files that were added.
    assert set(outputs.written) == {str(root), f"{root}/bin", f"{root}/bin/tool", f"{root}/empty"}
    (root / "empty" / "stranger").write_text("z")
    (root / "bin" / "more").mkdir()
    (root / "bin" / "tool").unlink()
    (root / "bin" / "tool").symlink_to("/etc/passwd")
    outputs.write("tree", value)
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*")) == ["bin", "bin/tool", "empty"]
    assert (root / "bin" / "tool").read_bytes() == b"x"
