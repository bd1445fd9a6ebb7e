"""Where links lead, by name alone."""

from __future__ import annotations

import pytest

from buildsys.archive.links import LinkFault, resolve

LINKS = {
    "a": "b/c",
    "b/d": "../e",
    "up": "b/..",
    "dot": "./e/.",
    "chain": "a",
    "dir": "b",
    "x": "y",
    "y": "x",
    "abs": "/etc",
}


@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("e", "e"),
        ("a", "b/c"),
        ("b/d", "e"),
        ("chain/f", "b/c/f"),
        ("dir/d", "e"),
        ("up/e", "e"),
        ("dot", "e"),
        ("up", ""),
        ("no/../such", "such"),
    ],
)
def test_a_path_ends_where_the_kernel_would_go(path: str, end: str) -> None:
    assert resolve(path, LINKS) == end


@pytest.mark.parametrize(
    ("path", "reason"), [("x", "loop"), ("abs", "out of its root"), ("up/../z", "out of its root"), ("..", "out of")]
)
def test_a_path_that_cannot_be_followed(path: str, reason: str) -> None:
    with pytest.raises(LinkFault, match=reason):
        resolve(path, LINKS)


def test_links_through_links_leave_the_root_though_each_looks_harmless() -> None:
    links = {"a/b/c": "../..", "x": "a/b/c/.."}
    with pytest.raises(LinkFault, match="out of its root"):
        resolve("x", links)
