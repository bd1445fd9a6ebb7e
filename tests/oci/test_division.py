"""Layers of an image: put on top of each other they are the tree, and each stands for itself."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildsys.model.tree import DIRECTORY, Entry, Tree
from buildsys.oci import division
from buildsys.oci.division import WhiteoutFault, divide, layer_names
from tests.archive.trees import Blobs, directory, link, trees

LARGE = b"x" * division.LARGE_FILE


def paths(tree: Tree) -> list[str]:
    return [entry.path for entry in tree.entries]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees(), st.sets(st.integers(0, 11)), st.booleans())
def test_the_layers_are_the_tree(made: tuple[Tree, Blobs], alike: set[int], with_folder: bool) -> None:
    tree = made[0]
    shared = Tree.of(entry for number, entry in enumerate(tree.entries) if number in alike)
    folders = [entry.path for entry in tree.entries if entry.kind == DIRECTORY][:1] if with_folder else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(division, "LARGE_FILE", 100_000)
        layers = divide(tree, folders, shared)
    assert len(layers) == len(layer_names(folders, shared=True))
    union: dict[str, Entry] = {}
    for layer in layers:
        assert layer == Tree.of(layer.entries), "each states its folders, as they are in the tree"
        for entry in layer.entries:
            assert union.setdefault(entry.path, entry) == entry
    assert tuple(sorted(union.values())) == tuple(sorted(tree.entries))
    leaves = [entry.path for layer in layers for entry in layer.entries if entry.kind != DIRECTORY]
    assert len(leaves) == len(set(leaves)), "nothing stands in two layers"


def test_each_kind_has_its_layer() -> None:
    blobs = Blobs()
    neutral = [blobs.file("etc/a.yaml", b"a"), blobs.file("etc/big.yaml", LARGE), link("etc/l", "a.yaml")]
    own = [
        blobs.file("bin/kubelet", LARGE, 0o755),
        blobs.file("bin/small", b"s", 0o755),
        blobs.file("registry/docker/blob", LARGE),
        blobs.file("registry/docker/link", b"l"),
        directory("etc", 0o750),
        directory("empty"),
        directory("neutral", 0o700),
    ]
    shared = Tree.of([*neutral, directory("neutral", 0o700), directory("registry")])
    large, registry, alike, rest = divide(Tree.of([*neutral, *own]), ["registry"], shared)
    assert paths(large) == ["bin", "bin/kubelet"]
    assert paths(registry) == ["registry", "registry/docker", "registry/docker/blob", "registry/docker/link"]
    assert paths(alike) == ["etc", "etc/a.yaml", "etc/big.yaml", "etc/l", "neutral"]
    assert paths(rest) == ["bin", "bin/small", "empty"]
    assert alike.entries[0].mode == 0o750, "as it is in the tree"


def test_what_differs_is_not_shared() -> None:
    blobs = Blobs()
    shared = Tree.of([blobs.file("a", b"1"), blobs.file("b", b"1"), blobs.file("c", b"1")])
    tree = Tree.of([blobs.file("a", b"1"), blobs.file("b", b"2"), blobs.file("c", b"1", 0o755)])
    _, alike, rest = divide(tree, [], shared)
    assert paths(alike) == ["a"]
    assert paths(rest) == ["b", "c"]


def test_two_architectures_share_a_layer() -> None:
    blobs = Blobs()
    neutral = [blobs.file("etc/a", b"a"), blobs.file("scripts/init.sh", b"i", 0o755)]
    shared = Tree.of(neutral)
    amd64, arm64 = (
        divide(Tree.of([*neutral, blobs.file("bin/k", arch.encode()), blobs.file(f"lib/{arch}", b"")]), [], shared)
        for arch in ("amd64", "arm64")
    )
    assert amd64[1] == arm64[1]
    assert amd64[2] != arm64[2]


def test_without_a_shared_tree_there_is_no_such_layer() -> None:
    tree = Tree.of([Blobs().file("a", b"a")])
    assert layer_names(["registry"], shared=False) == ("large", "registry/", "rest")
    assert [paths(layer) for layer in divide(tree, ["registry"])] == [[], [], ["a"]]


@pytest.mark.parametrize("path", [".wh.x", "etc/.wh.passwd", "etc/.wh..wh..opq"])
def test_a_name_that_removes_something_is_refused(path: str) -> None:
    with pytest.raises(WhiteoutFault, match=path.replace(".", r"\.")):
        divide(Tree.of([Blobs().file(path, b"")]))


def test_a_whiteout_may_stand_within_a_name() -> None:
    assert divide(Tree.of([Blobs().file("a.wh.b", b"")]))[-1].entries
