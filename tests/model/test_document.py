"""Documents: what a select is, and how values are named in messages."""

from __future__ import annotations

import pytest

from buildsys.adapters.yaml import compose
from buildsys.model.document import Mapping, Scalar, described, select_branches


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("select: {a: 1, b: 2}", ["a", "b"]),
        ("{select: {a: 1}, no_match_error: sorry}", ["a"]),
        ("select: {}", []),
        ("select: [a]", None),
        ("select: text", None),
        ("{select: {a: 1}, other: x}", None),
        ("no_match_error: x", None),
        ("{glob: [a]}", None),
        ("[select]", None),
        ("select", None),
    ],
)
def test_a_select_is_a_mapping_with_nothing_beside_it(text: str, keys: list[str] | None) -> None:
    node = compose(text, "f")
    assert node is not None
    branches = select_branches(node)
    assert (None if branches is None else [key.text for key, _ in branches.items]) == keys


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{a: b}", "a mapping"),
        ("[a]", "a list"),
        ("~", "nothing"),
        ("text", "the string 'text'"),
        ('"1"', "the string '1'"),
        ("1.20", "the float 1.20"),
        ("12", "the integer 12"),
        ("yes", "the boolean yes"),
    ],
)
def test_a_value_is_described(text: str, words: str) -> None:
    node = compose(text, "f")
    assert node is not None
    assert described(node) == words


def test_a_value_is_found_by_its_key() -> None:
    node = compose("a: 1\nb: 2\n", "f")
    assert isinstance(node, Mapping)
    found = node.get("b")
    assert isinstance(found, Scalar)
    assert (found.text, found.at.line, found.at.column) == ("2", 2, 4)
    assert node.get("c") is None
