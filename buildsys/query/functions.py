"""The functions of the query language, over any universe of nodes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from buildsys.errors import QueryError, UsageError
from buildsys.model.label import Label
from buildsys.query import attributes
from buildsys.query.expression import EXPRESSION, INTEGER, WORD, Signature
from buildsys.query.universe import NULL, Node, kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from buildsys.model.target import Target
    from buildsys.query.universe import Universe

Nodes: TypeAlias = dict[Node, None]
"""A set of nodes that keeps the order in which they were found."""

UNLIMITED = 1 << 30


class Function(NamedTuple):
    """A function: what it takes, what it does, and one line of help."""

    signature: Signature
    apply: Callable[..., Nodes]
    help: str


def closure(universe: Universe, start: Iterable[Node], depth: int = UNLIMITED) -> Nodes:
    """Return `start` and what it depends on, breadth first, at most `depth` steps away."""
    found: Nodes = dict.fromkeys(start)
    edge = list(found)
    while edge and depth > 0:
        depth -= 1
        following: Nodes = {}
        for node in edge:
            following.update(dict.fromkeys(n for n in universe.successors(node) if n not in found))
        found.update(following)
        edge = list(following)
    return found


def _deps(universe: Universe, of: Nodes, depth: int = UNLIMITED) -> Nodes:
    return closure(universe, of, depth)


def _rdeps(universe: Universe, within: Nodes, of: Nodes, depth: int = UNLIMITED) -> Nodes:
    everything = closure(universe, within)
    return _backwards(universe, everything, of, depth)


def _allrdeps(universe: Universe, of: Nodes, depth: int = UNLIMITED) -> Nodes:
    return _rdeps(universe, dict.fromkeys(universe.everything()), of, depth)


def _backwards(universe: Universe, everything: Nodes, of: Nodes, depth: int = UNLIMITED) -> Nodes:
    """Return those of `everything` that lead to `of` in at most `depth` steps."""
    above: dict[Node, list[Node]] = {}
    for node in everything:
        for successor in universe.successors(node):
            above.setdefault(successor, []).append(node)
    found: Nodes = {node: None for node in of if node in everything}
    edge = list(found)
    while edge and depth > 0:
        depth -= 1
        following: Nodes = {}
        for node in edge:
            following.update(dict.fromkeys(n for n in above.get(node, ()) if n not in found))
        found.update(following)
        edge = list(following)
    return found


def _allpaths(universe: Universe, start: Nodes, end: Nodes) -> Nodes:
    return _backwards(universe, closure(universe, start), end)


def _somepath(universe: Universe, start: Nodes, end: Nodes) -> Nodes:
    """Return the nodes of one shortest path, from its start to its end."""
    came_from: dict[Node, Node | None] = dict.fromkeys(start)
    edge = list(start)
    while edge:
        following: list[Node] = []
        for node in edge:
            if node in end:
                path: list[Node] = []
                step: Node | None = node
                while step is not None:
                    path.append(step)
                    step = came_from[step]
                return dict.fromkeys(reversed(path))
            for successor in universe.successors(node):
                if successor not in came_from:
                    came_from[successor] = node
                    following.append(successor)
        edge = following
    return {}


def _kind(universe: Universe, pattern: str, of: Nodes) -> Nodes:
    wanted = regex("kind", pattern)
    return {node: None for node in of if wanted.search(kind(universe, node))}


def _filter(universe: Universe, pattern: str, of: Nodes) -> Nodes:
    wanted = regex("filter", pattern)
    return {node: None for node in of if wanted.search(str(node.label))}


def _attr(universe: Universe, name: str, pattern: str, of: Nodes) -> Nodes:
    wanted = regex("attr", pattern)
    found: Nodes = {}
    for node in of:
        target = universe.target(node.label)
        if target is not None and any(wanted.search(text) for text in _attribute_texts(universe, target, name)):
            found[node] = None
    return found


def _attribute_texts(universe: Universe, target: Target, name: str) -> list[str]:
    shared = attributes.common(target, name)
    if shared is not None:
        return [shared]
    attribute = universe.schema(target.rule).get(name)
    return attributes.texts(target, attribute, universe.package(target.label.package)) if attribute else []


def _labels(universe: Universe, name: str, of: Nodes) -> Nodes:
    found: Nodes = {}
    for node in of:
        target = universe.target(node.label)
        attribute = universe.schema(target.rule).get(name) if target is not None else None
        if target is None or attribute is None:
            continue
        wanted = set(attributes.labels(target, attribute, universe.package(node.label.package)))
        found.update(dict.fromkeys(n for n in universe.successors(node) if n.label in wanted))
    return found


def _buildfiles(universe: Universe, of: Nodes) -> Nodes:
    found: Nodes = {}
    for name in dict.fromkeys(node.label.package for node in of):
        file = universe.package(name).build_file.rpartition("/")[2]
        config = None if all(node.config is None for node in of) else NULL
        found[Node(Label(name, file), config)] = None
    return found


def _siblings(universe: Universe, of: Nodes) -> Nodes:
    found: Nodes = {}
    for name in dict.fromkeys(node.label.package for node in of):
        package = universe.package(name)
        labels = [target.label for target in package.targets.values()]
        sources = {label for target in package.targets.values() for label, _ in target.deps if label.package == name}
        for label in dict.fromkeys([*labels, *sorted(sources)]):
            found.update(dict.fromkeys(universe.nodes(label)))
    return found


def _some(universe: Universe, of: Nodes, count: int = 1) -> Nodes:
    if not of:
        raise QueryError("B032", "argument set is empty", hint="`some` needs at least one target to choose from")
    return dict.fromkeys(list(of)[:count])


def _tests(universe: Universe, of: Nodes) -> Nodes:
    found: Nodes = {}
    seen = set(of)
    waiting = list(of)
    while waiting:
        node = waiting.pop(0)
        rule = kind(universe, node)
        if rule.endswith("_test rule"):
            found[node] = None
        elif rule == "test_suite rule":
            waiting += [member for member in universe.successors(node) if member not in seen]
            seen.update(waiting)
    return found


def _same_pkg_direct_rdeps(universe: Universe, of: Nodes) -> Nodes:
    wanted = {node.label for node in of}
    found: Nodes = {}
    for name in dict.fromkeys(node.label.package for node in of):
        for target in universe.package(name).targets.values():
            if any(label in wanted and label.package == name for label, _ in target.deps):
                found.update(dict.fromkeys(universe.nodes(target.label)))
    return found


def regex(function: str, pattern: str) -> re.Pattern[str]:
    """Compile the pattern of a function. Raises `UsageError` B031."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UsageError("B031", f"illegal '{function}' pattern regexp '{pattern}': {error}", hint="mend it") from error


_ONE, _TWO = Signature((EXPRESSION,), 1), Signature((EXPRESSION, EXPRESSION), 2)
_COUNTED = Signature((EXPRESSION, INTEGER), 1)
_MATCHED = Signature((WORD, EXPRESSION), 2)

FUNCTIONS = {
    "allpaths": Function(_TWO, _allpaths, "allpaths(start, end): all that lies on a path from one to the other"),
    "allrdeps": Function(_COUNTED, _allrdeps, "allrdeps(expr[, depth]): what depends on it anywhere"),
    "attr": Function(
        Signature((WORD, WORD, EXPRESSION), 3), _attr, "attr(name, regexp, expr): targets whose attribute matches"
    ),
    "buildfiles": Function(_ONE, _buildfiles, "buildfiles(expr): the BUILD.yaml of each package"),
    "deps": Function(_COUNTED, _deps, "deps(expr[, depth]): dependencies"),
    "filter": Function(_MATCHED, _filter, "filter(regexp, expr): targets whose label matches"),
    "kind": Function(_MATCHED, _kind, "kind(regexp, expr): targets whose kind matches, such as `template rule`"),
    "labels": Function(_MATCHED, _labels, "labels(attribute, expr): what an attribute names"),
    "rdeps": Function(
        Signature((EXPRESSION, EXPRESSION, INTEGER), 2), _rdeps, "rdeps(universe, expr[, depth]): what depends on it"
    ),
    "same_pkg_direct_rdeps": Function(
        _ONE, _same_pkg_direct_rdeps, "same_pkg_direct_rdeps(expr): what depends on it directly, in its package"
    ),
    "siblings": Function(_ONE, _siblings, "siblings(expr): all that is in the same packages"),
    "some": Function(_COUNTED, _some, "some(expr[, count]): some of the targets"),
    "somepath": Function(_TWO, _somepath, "somepath(start, end): one path from one to the other"),
    "tests": Function(_ONE, _tests, "tests(expr): the tests, with test suites expanded"),
}
