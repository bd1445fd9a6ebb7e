from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildsys.report.explain import Change, compare

A, B = "a" * 64, "b" * 64


def descriptor(
    inputs: list[str], params: dict[str, Any] | None = None, tools: dict[str, str] | None = None, version: int = 1
) -> str:
    rest = {"mnemonic": "Render", "params": params or {}, "tools": tools or {}, "version": version}
    return json.dumps({"inputs": inputs, **rest}, separators=(",", ":"))


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (descriptor([A]), descriptor([B]), Change("input", "x", A, B)),
        (descriptor([A]), descriptor([A + "+x"]), Change("input", "x", A, A + "+x")),
        (descriptor([A], version=1), descriptor([A], version=2), Change("implementation", "Render", "1", "2")),
        (descriptor([A]), descriptor([A], tools={"zlib": "1"}), Change("tool", "zlib", None, "1")),
        (descriptor([A], {"mode": 420}), descriptor([A], {"mode": 493}), Change("parameter", "mode", "420", "493")),
        (descriptor([A], {"mode": 420}), descriptor([A]), Change("parameter", "mode", "420", None)),
        (
            descriptor([A], {"vars": [["cri", "docker"], ["v", "1"]]}),
            descriptor([A], {"vars": [["cri", "containerd"], ["v", "1"]]}),
            Change("parameter", "vars.cri", "docker", "containerd"),
        ),
        (
            descriptor([A], {"vars": [["cri", "docker"]]}),
            descriptor([A], {"vars": [["arch", "arm64"], ["cri", "docker"]]}),
            Change("parameter", "vars.arch", None, "arm64"),
        ),
        (
            descriptor([A], {"links": [["b", "1"], ["a", "1"]]}),
            descriptor([A], {"links": [["a", "1"], ["b", "1"]]}),
            None,
        ),
    ],
)
def test_one_change(before: str, after: str, change: Change | None) -> None:
    found = compare(before, after, ["x"], ["x"])
    assert found == [change] if change else len(found) > 0


def test_an_input_that_is_added_changes_no_other() -> None:
    before = descriptor([B], {"file": {"$input": 0}})
    after = descriptor([A, B], {"file": {"$input": 1}})
    assert compare(before, after, ["kept"], ["new", "kept"]) == [Change("input", "new", None, A)]


def test_inputs_of_one_name_are_told_apart() -> None:
    before, after = descriptor([A, A]), descriptor([A, B])
    assert compare(before, after, ["x", "x"], ["x", "x"]) == [Change("input", "x (2)", A, B)]


def test_inputs_without_names() -> None:
    assert compare(descriptor([A]), descriptor([B]), [], []) == [Change("input", "input 1", A, B)]


def test_another_order_is_a_change() -> None:
    before, after = descriptor([A, B]), descriptor([B, A])
    assert compare(before, after, ["x", "y"], ["y", "x"]) == [Change("order of inputs", "", "x, y", "y, x")]


_TOKENS = st.lists(st.sampled_from([A, B, f"tree:{A}", f"{A}+x"]), max_size=3)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "[]", "1", "null", "a\nb"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
) | st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("12")).map(list), max_size=2)
_DESCRIPTORS = st.builds(
    descriptor,
    _TOKENS,
    st.dictionaries(st.sampled_from(["p", "q", "p.a"]), _VALUES, max_size=2),
    st.dictionaries(st.just("zlib"), st.sampled_from("12")),
    st.integers(1, 2),
)


@given(
    _DESCRIPTORS, _DESCRIPTORS, st.lists(st.sampled_from("xy"), max_size=3), st.lists(st.sampled_from("xy"), max_size=3)
)
def test_there_is_a_change_iff_the_descriptors_differ(
    before: str, after: str, before_names: list[str], after_names: list[str]
) -> None:
    assert bool(compare(before, after, before_names, after_names)) == (before != after)
