"""The canonical form of a tree is cut at newlines alone."""

from __future__ import annotations

import pytest

from buildsys.model.tree import FILE, Entry, Tree


@pytest.mark.parametrize("name", ["a\u2028b", "a\u2029b", "a\x85b", "a\rb", "a\x0bb", "a\x1cb", "é"])
def test_names_with_what_python_takes_for_line_ends_come_back(name: str) -> None:
    tree = Tree.of([Entry(name, FILE, 0o644, "0" * 64, 1), Entry("z", FILE, 0o644, "0" * 64, 1)])
    assert Tree.from_bytes(tree.to_bytes()) == tree


def test_an_empty_tree_comes_back() -> None:
    assert Tree.from_bytes(Tree.of([]).to_bytes()) == Tree.of([])
