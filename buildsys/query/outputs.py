"""The forms in which `query` and `cquery` answer: nodes to lines of text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from buildsys.query import attributes, source
from buildsys.query.order import by_label, inner_edges, ranks, topological
from buildsys.query.universe import kind
from buildsys.sdk.rule import BOOL, LABEL_KINDS, LIST_KINDS, STRINGS, TARGET_DICT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from buildsys.model.target import Target
    from buildsys.query.functions import Nodes
    from buildsys.query.universe import Node, Universe
    from buildsys.sdk.rule import Attribute

AUTO, NONE, DEPS, FULL = "auto", "no", "deps", "full"


def answer(universe: Universe, nodes: Nodes, form: str, order: str, *, path: bool = False) -> list[str]:
    """Return an answer in a form, in an order; `path` says that it is one path, whose order tells something."""
    if form in GRAPHS:
        return GRAPHS[form](universe, nodes, order)
    ordered = _ordered(universe, nodes, FULL if path and order == AUTO else order)
    return FORMS[form](universe, ordered)


def _ordered(universe: Universe, nodes: Nodes, order: str) -> list[Node]:
    if order == NONE:
        return list(nodes)
    if order == AUTO:
        return by_label(nodes)
    return topological(inner_edges(universe, nodes), total=order == FULL)


def _label(universe: Universe, nodes: Iterable[Node]) -> list[str]:
    return [str(node) for node in nodes]


def _label_kind(universe: Universe, nodes: Iterable[Node]) -> list[str]:
    return [f"{kind(universe, node)} {node}" for node in nodes]


def _location(universe: Universe, nodes: Iterable[Node]) -> list[str]:
    return [f"{location(universe, node)}: {kind(universe, node)} {node}" for node in nodes]


def _package(universe: Universe, nodes: Iterable[Node]) -> list[str]:
    return list(dict.fromkeys(node.label.package for node in nodes))


def _build(universe: Universe, nodes: Iterable[Node]) -> list[str]:
    targets = [target for node in nodes if (target := universe.target(node.label)) is not None]
    return [source.written(target) for target in targets]


def _streamed(universe: Universe, nodes: Iterable[Node]) -> list[str]:
    return [json.dumps(proto(universe, node), separators=(",", ":"), ensure_ascii=False) for node in nodes]


def _graph(universe: Universe, nodes: Nodes, order: str) -> list[str]:
    edges = inner_edges(universe, nodes)
    total = order in {AUTO, FULL}
    lines = ["digraph mygraph {", "  node [shape=box];"]
    for node in list(edges) if order == NONE else topological(edges, total=total):
        lines.append(f"  {_dot(node)}")
        lines += [f"  {_dot(node)} -> {_dot(n)}" for n in (by_label(edges[node]) if total else edges[node])]
    return [*lines, "}"]


def _dot(node: Node) -> str:
    return json.dumps(str(node), ensure_ascii=False)


def _minrank(universe: Universe, nodes: Nodes, order: str) -> list[str]:
    return _ranked(universe, nodes, longest=False)


def _maxrank(universe: Universe, nodes: Nodes, order: str) -> list[str]:
    return _ranked(universe, nodes, longest=True)


def _ranked(universe: Universe, nodes: Nodes, *, longest: bool) -> list[str]:
    found = ranks(inner_edges(universe, nodes), longest=longest)
    return [f"{found[node]} {node}" for node in sorted(by_label(found), key=found.__getitem__)]


def location(universe: Universe, node: Node) -> str:
    """Return where a target is declared, or where a source file is, relative to the workspace."""
    target = universe.target(node.label)
    if target is not None:
        return str(target.at)
    folder = universe.package(node.label.package).folder
    return f"{node.label.name if folder == '.' else f'{folder}/{node.label.name}'}:1:1"


def proto(universe: Universe, node: Node) -> dict[str, object]:
    """Return a node as Bazel's build.proto has it: a `Target` message as JSON."""
    target = universe.target(node.label)
    if target is None:
        place = location(universe, node)
        return {"type": "SOURCE_FILE", "sourceFile": {"name": str(node.label), "location": place}}
    found: list[dict[str, object]] = [
        {"name": "name", "type": "STRING", "stringValue": node.label.name, "explicitlySpecified": True},
        {"name": "tags", "type": "STRING_LIST", "stringListValue": list(target.tags)},
        {"name": "visibility", "type": "STRING_LIST", "stringListValue": list(target.visibility)},
    ]
    for attribute in universe.schema(target.rule).values():
        written = attribute.name in target.attributes
        kind_, key, value = _typed(target, attribute, universe)
        found.append({"name": attribute.name, "type": kind_, key: value, "explicitlySpecified": written})
    rule = {
        "name": str(node.label),
        "ruleClass": target.rule,
        "location": str(target.at),
        "attribute": found,
        "ruleInput": [str(label) for label in dict.fromkeys(label for label, _ in target.deps)],
    }
    return {"type": "RULE", "rule": rule}


def _typed(target: Target, attribute: Attribute, universe: Universe) -> tuple[str, str, object]:
    """Return the type, the field and the value of an attribute; of a select, what its branches give together."""
    package = universe.package(target.label.package)
    kind_ = attribute.kind
    if kind_ in LABEL_KINDS:
        labels = [str(label) for label in attributes.labels(target, attribute, package)]
        if kind_ in LIST_KINDS or kind_ == TARGET_DICT or len(labels) > 1:
            return "LABEL_LIST", "stringListValue", labels
        return "LABEL", "stringValue", "".join(labels)
    if kind_ == STRINGS:
        return "STRING_LIST", "stringListValue", attributes.items(target, attribute)
    texts = attributes.texts(target, attribute, package)
    if kind_ == BOOL and len(texts) == 1:
        return "BOOLEAN", "booleanValue", texts[0] == "1"
    if len(texts) == 1:
        return "STRING", "stringValue", texts[0]
    return "STRING_LIST", "stringListValue", texts


FORMS: dict[str, Callable[[Universe, list[Node]], list[str]]] = {
    "label": _label,
    "label_kind": _label_kind,
    "location": _location,
    "package": _package,
    "build": _build,
    "streamed_jsonproto": _streamed,
}
GRAPHS: dict[str, Callable[[Universe, Nodes, str], list[str]]] = {
    "graph": _graph,
    "minrank": _minrank,
    "maxrank": _maxrank,
}
