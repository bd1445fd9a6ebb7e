"""Trees: one form for one directory, and nothing that leads out of it."""

from __future__ import annotations

import errno
import json
import os
import posixpath
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildsys.errors import InternalError
from buildsys.model.digest import digest_bytes
from buildsys.model.tree import DIRECTORY, FILE, SYMLINK, Entry, PathFault, Tree, link_fault, path_fault

ONE, TWO = digest_bytes(b"1"), digest_bytes(b"2")
parts = st.sampled_from(["a", "b", "..", ".", "", "c d", "é", "..a", "...", "\n", "\0"])
any_paths = st.lists(parts, max_size=5).map("/".join)
link_parts = st.sampled_from(["a", "b", "c", "..", "."])
link_targets = st.lists(link_parts, min_size=1, max_size=5).map("/".join)
link_paths = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join)


def file(path: str, digest: str = ONE, mode: int = 0o644) -> Entry:
    return Entry(path, FILE, mode, digest, 1)


def test_entries_are_in_path_order_and_parents_are_added() -> None:
    tree = Tree.of([file("b/c/d"), Entry("a", SYMLINK, target="b"), file("b.x")])
    assert [(entry.path, entry.kind) for entry in tree.entries] == [
        ("a", SYMLINK),
        ("b", DIRECTORY),
        ("b.x", FILE),
        ("b/c", DIRECTORY),
        ("b/c/d", FILE),
    ]
    assert {entry.mode for entry in tree.entries if entry.kind == DIRECTORY} == {0o755}


def test_a_directory_that_is_given_keeps_its_mode() -> None:
    tree = Tree.of([file("a/b"), Entry("a", DIRECTORY, 0o700)])
    assert tree.entries[0] == Entry("a", DIRECTORY, 0o700)


def test_the_order_of_the_entries_given_is_of_no_consequence() -> None:
    entries = [file(f"{n % 7}/{n}") for n in range(50)]
    expected = Tree.of(entries).digest
    random.Random(1).shuffle(entries)
    assert Tree.of(entries).digest == expected


@pytest.mark.parametrize(
    "change",
    [
        file("a/x", TWO),
        file("a/x", mode=0o755),
        file("a/y"),
        Entry("a/x", SYMLINK, target="y"),
        Entry("a/x", DIRECTORY, 0o755),
        Entry("a", DIRECTORY, 0o711),
    ],
)
def test_whatever_differs_makes_another_identity(change: Entry) -> None:
    kept = [] if change.path == "a/x" else [file("a/x")]
    assert Tree.of([change, *kept]).digest != Tree.of([file("a/x")]).digest


def test_equal_entries_may_stand_twice() -> None:
    assert Tree.of([file("a"), file("a")]) == Tree.of([file("a")])


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([file("a"), file("a", TWO)], "'a' stands twice"),
        ([file("a"), file("a/b")], "'a/b' is below 'a', which is no directory"),
        ([Entry("a", SYMLINK, target="b"), file("a/b/c")], "'a/b/c' is below 'a', which is no directory"),
        ([file("../a")], "leaves its root"),
        ([file("a/../../b")], "leaves its root"),
        ([file("/a")], "is absolute"),
        ([file("")], "is empty"),
        ([file("a//b")], "empty or '.' segment"),
        ([file("a/")], "empty or '.' segment"),
        ([file("a\nb")], "control character"),
        ([file("a\0b")], "control character"),
        ([Entry("a", SYMLINK, target="")], "target is empty"),
        ([Entry("a", SYMLINK, target="/etc")], "absolute"),
        ([Entry("a", SYMLINK, target="..")], "out of its root"),
        ([Entry("a/b", SYMLINK, target="../..")], "out of its root"),
        ([Entry("a/b", SYMLINK, target="c/../../../d")], "out of its root"),
        ([Entry("p/l", SYMLINK, target=".."), Entry("z", SYMLINK, target="p/l/..")], "by way of other links"),
        (
            [
                Entry("p/q/l", SYMLINK, target="../.."),
                Entry("m", SYMLINK, target="p/q/l"),
                Entry("y/z", SYMLINK, target="../m/./p/../../etc"),
            ],
            "'y/z' links out of its root by way of other links",
        ),
    ],
)
def test_what_cannot_be_is_said(entries: list[Entry], reason: str) -> None:
    with pytest.raises(PathFault) as caught:
        Tree.of(entries)
    assert reason in str(caught.value)


@pytest.mark.parametrize("target", ["b", "../b", "../../b", "./b", "c/../../b", "../a//b", "d/../e"])
def test_links_that_stay_inside_are_fine(target: str) -> None:
    assert link_fault("x/a/l", target) == ""


@settings(deadline=None)
@given(any_paths)
def test_no_path_that_is_accepted_leaves_the_root(path: str) -> None:
    if path_fault(path):
        return
    joined = posixpath.normpath(posixpath.join("/root", path))
    assert joined == "/root/" + path


@settings(deadline=None)
@given(link_paths, any_paths)
def test_no_link_that_is_accepted_leads_out_of_the_root(path: str, target: str) -> None:
    if link_fault(path, target):
        return
    resolved = "/root/" + posixpath.dirname(path)
    for part in target.split("/"):
        resolved = posixpath.normpath(posixpath.join(resolved, part))
        assert resolved == "/root" or resolved.startswith("/root/")


@settings(deadline=None)
@given(st.dictionaries(link_paths, link_targets, min_size=1, max_size=5))
def test_no_chain_of_links_that_is_accepted_leads_out_of_the_root(links: dict[str, str]) -> None:
    """The file system itself is asked where the links lead."""
    try:
        tree = Tree.of(Entry(path, SYMLINK, target=target) for path, target in links.items())
    except PathFault:
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "root"
        root.mkdir()
        for entry in tree.entries:
            if entry.kind == DIRECTORY:
                (root / entry.path).mkdir()
            else:
                (root / entry.path).symlink_to(entry.target)
        for path in links:
            try:
                os.stat(root / path)
            except OSError as error:
                if error.errno == errno.ELOOP:
                    continue  # a circle leads nowhere
            end = Path(os.path.realpath(root / path))
            assert end == root or root in end.parents


def test_links_in_a_circle_are_accepted() -> None:
    assert Tree.of([Entry("a", SYMLINK, target="b/../b"), Entry("b", SYMLINK, target="a/../a")]).entries


entries = st.builds(
    lambda path, kind, mode, digest: {
        FILE: Entry(path, FILE, mode, digest, 1),
        DIRECTORY: Entry(path, DIRECTORY, mode),
        SYMLINK: Entry(path, SYMLINK, target="a"),
    }[kind],
    any_paths,
    st.sampled_from([FILE, DIRECTORY, SYMLINK]),
    st.sampled_from([0o644, 0o755]),
    st.sampled_from([ONE, TWO]),
)


@settings(deadline=None)
@given(st.lists(entries, max_size=8))
def test_a_tree_comes_back_and_is_sound(given_entries: list[Entry]) -> None:
    try:
        tree = Tree.of(given_entries)
    except PathFault:
        return
    written = [json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in tree.entries]
    assert tree.to_bytes().decode().split("\n") == [*written, ""]
    again = Tree.from_bytes(tree.to_bytes())
    assert again == tree
    assert hash(again) == hash(tree)
    assert again.digest == tree.digest == digest_bytes(tree.to_bytes())
    paths = [entry.path for entry in tree.entries]
    assert paths == sorted(set(paths))
    kinds = {entry.path: entry.kind for entry in tree.entries}
    assert all(kinds[p.rpartition("/")[0]] == DIRECTORY for p in paths if "/" in p)
    assert set(given_entries) <= set(tree.entries)


def test_the_canonical_form_is_a_line_of_json_an_entry() -> None:
    lines = Tree.of([file("a/é"), Entry("l", SYMLINK, target="a")]).to_bytes().decode().splitlines()
    assert [json.loads(line) for line in lines] == [
        ["a", "d", 0o755, "", 0, ""],
        ["a/é", "f", 0o644, ONE, 1, ""],
        ["l", "l", 0, "", 0, "a"],
    ]


@pytest.mark.parametrize("data", [b"{", b"[1]\n[", b'["a"]\nxx\n', b"\xff\n", b"7\n", b"[1,2,3,4,5,6,7,8]\n"])
def test_what_is_no_tree_is_our_own_fault(data: bytes) -> None:
    with pytest.raises(InternalError) as caught:
        Tree.from_bytes(data if data.endswith(b"\n") else data + b"\n")
    assert caught.value.code == "B901"


def test_each_blob_is_named_once() -> None:
    tree = Tree.of([file("a"), file("b"), file("c", TWO), Entry("d", DIRECTORY, 0o755)])
    assert [entry.path for entry in tree.blobs()] == ["a", "c"]
