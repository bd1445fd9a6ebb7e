from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildsys.errors import Location, QueryError, UsageError
from buildsys.model.label import Label
from buildsys.model.target import Package, Target
from buildsys.query.evaluation import evaluate
from buildsys.query.functions import FUNCTIONS
from buildsys.query.order import inner_edges, ranks, topological
from buildsys.query.outputs import answer
from buildsys.query.parser import parse
from buildsys.query.universe import Node
from buildsys.sdk.rule import Attribute

SIGNATURES = {name: function.signature for name, function in FUNCTIONS.items()}
DIAMOND = {"a": "bc", "b": "d", "c": "d", "d": "e", "e": "", "x": "c"}


class FakeUniverse:
    """Targets of one package by the letters that they depend on; `e` is a source file."""

    def __init__(self, edges: Mapping[str, Iterable[str]]) -> None:
        at = Location("pkg/BUILD.yaml", 1)
        self._edges = {name: list(dict.fromkeys(edges[name])) for name in edges}
        targets = {
            name: Target(
                label=_label(name),
                rule="layer" if len(self._edges[name]) > 1 else "filegroup",
                at=at,
                attributes={},
                refs=tuple(self._edges[name]),
                tags=(f"tag-{name}",),
            )
            for name in edges
            if name != "e"
        }
        self._package = Package(name="pkg", folder="pkg", build_file="pkg/BUILD.yaml", targets=targets)

    def matching(self, pattern: str) -> Sequence[Node]:
        return [_node(name) for name in (self._edges if pattern == "all" else pattern.split("/"))]

    def everything(self) -> Sequence[Node]:
        return self.matching("all")

    def successors(self, node: Node) -> Sequence[Node]:
        return [_node(name) for name in self._edges[node.label.name]]

    def nodes(self, label: Label) -> Sequence[Node]:
        return [Node(label)]

    def target(self, label: Label) -> Target | None:
        return self._package.targets.get(label.name)

    def package(self, name: str) -> Package:
        return self._package

    def schema(self, rule: str) -> Mapping[str, Attribute]:
        return {}


def _label(name: str) -> Label:
    return Label("pkg", name)


def _node(name: str) -> Node:
    return Node(_label(name))


def _names(text: str, edges: Mapping[str, Iterable[str]] = DIAMOND) -> str:
    found = evaluate(parse(text, SIGNATURES), FakeUniverse(edges), FUNCTIONS)
    return "".join(node.label.name for node in found)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a", "a"),
        ("a/b + b/c", "abc"),
        ("a/b - b/c", "a"),
        ("a/b ^ b/c", "b"),
        ("a + b - a", "b"),
        ("a - (b - a)", "a"),
        ("set(a c a)", "ac"),
        ("let v = a/b in $v - b + $v", "ab"),
        ("let v = a in let v = b in $v", "b"),
        ("deps(a)", "abcde"),
        ("deps(a, 0)", "a"),
        ("deps(a, 1)", "abc"),
        ("deps(b/c, 1)", "bcd"),
        ("rdeps(all, d)", "dbcax"),
        ("rdeps(a, d)", "dbca"),
        ("allrdeps(d)", "dbcax"),
        ("allrdeps(d, 1)", "dbc"),
        ("rdeps(a, d, 1)", "dbc"),
        ("rdeps(b, a)", ""),
        ("allpaths(a, d)", "dbca"),
        ("allpaths(b, c)", ""),
        ("somepath(a, e)", "abde"),
        ("somepath(x, e)", "xcde"),
        ("somepath(e, a)", ""),
        ("somepath(a, a)", "a"),
        ("kind('source file', all)", "e"),
        ("kind(layer, all)", "a"),
        ("kind('^rule', all)", ""),
        ("filter('pkg:[ab]$', all)", "ab"),
        ("attr(name, b, all)", "b"),
        ("attr(tags, '\\[tag-d\\]', all)", "d"),
        ("attr(nothing, x, all)", ""),
        ("buildfiles(a/b)", "BUILD.yaml"),
        ("siblings(a)", "abcdxe"),
        ("some(b/c)", "b"),
        ("some(b/c/d, 2)", "bc"),
        ("tests(all)", ""),
        ("same_pkg_direct_rdeps(c)", "ax"),
    ],
)
def test_functions(text: str, names: str) -> None:
    assert _names(text) == names


def test_nothing_to_choose_from() -> None:
    with pytest.raises(QueryError) as caught:
        _names("some(a - a)")
    assert caught.value.message == "argument set is empty"


def test_a_pattern_that_is_none() -> None:
    with pytest.raises(UsageError) as caught:
        _names("kind('(', a)")
    assert caught.value.message.startswith("illegal 'kind' pattern regexp '(': ")


def test_a_variable_that_is_not_defined() -> None:
    with pytest.raises(QueryError) as caught:
        _names("let value = a in $valeu")
    assert (caught.value.message, caught.value.hint) == ("undefined variable 'valeu'", "did you mean 'value'?")


def test_variables_end_with_their_let() -> None:
    with pytest.raises(QueryError):
        _names("(let v = a in $v) + $v")


_GRAPHS = st.dictionaries(st.sampled_from("abcdfg"), st.sets(st.sampled_from("abcdfg"))).map(
    lambda found: {name: [dep for dep in sorted(found.get(name, ())) if dep > name] for name in "abcdfg"}
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_GRAPHS)
def test_all_paths_are_those_of_the_definition(edges: dict[str, list[str]]) -> None:
    every = evaluate(parse("allpaths(a, g)", SIGNATURES), FakeUniverse(edges), FUNCTIONS)
    down, up = _names("deps(a)", edges), _names("rdeps(all, g)", edges)
    assert {node.label.name for node in every} == set(down) & set(up)
    path = _names("somepath(a, g)", edges)
    assert bool(path) == bool(every)
    assert all(after in edges[before] for before, after in itertools.pairwise(path))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_GRAPHS, st.booleans())
def test_dependents_come_before_dependencies(edges: dict[str, list[str]], total: bool) -> None:
    universe = FakeUniverse(edges)
    inner = inner_edges(universe, universe.matching("all"))
    order = topological(inner, total=total)
    assert sorted(order) == sorted(inner)
    place = {node: number for number, node in enumerate(order)}
    assert all(place[node] < place[dep] for node in inner for dep in inner[node])


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_GRAPHS)
def test_ranks(edges: dict[str, list[str]]) -> None:
    universe = FakeUniverse(edges)
    inner = inner_edges(universe, universe.matching("all"))
    above = {node: [n for n in inner if node in inner[n]] for node in inner}
    for longest, choose in ((True, max), (False, min)):
        found = ranks(inner, longest=longest)
        for node in inner:
            assert found[node] == (choose(found[n] for n in above[node]) + 1 if above[node] else 0)


def test_graph() -> None:
    universe = FakeUniverse(DIAMOND)
    assert answer(universe, dict.fromkeys(universe.matching("a/b/d/x")), "graph", "auto") == [
        "digraph mygraph {",
        "  node [shape=box];",
        '  "//pkg:x"',
        '  "//pkg:a"',
        '  "//pkg:a" -> "//pkg:b"',
        '  "//pkg:b"',
        '  "//pkg:b" -> "//pkg:d"',
        '  "//pkg:d"',
        "}",
    ]


def test_orders() -> None:
    universe = FakeUniverse(DIAMOND)
    nodes = dict.fromkeys(universe.matching("d/b/a"))

    def ordered(order: str) -> str:
        return "".join(line[-1] for line in answer(universe, nodes, "label", order))

    assert [ordered(order) for order in ("auto", "no", "deps", "full")] == ["abd", "dba", "abd", "abd"]
