"""The order of an answer: by label, or dependents before dependencies."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from buildsys.query.universe import Node, Universe


def by_label(nodes: Iterable[Node]) -> list[Node]:
    """Return nodes sorted by package, name and configuration."""
    return sorted(nodes, key=lambda node: (node.label, node.config or ""))


def inner_edges(universe: Universe, nodes: Iterable[Node]) -> dict[Node, list[Node]]:
    """Return, for each of `nodes`, the dependencies that are among them."""
    among = dict.fromkeys(nodes)
    return {node: [n for n in dict.fromkeys(universe.successors(node)) if n in among] for node in among}


def topological(edges: Mapping[Node, list[Node]], *, total: bool) -> list[Node]:
    """Return the nodes of a graph, dependents first.

    With `total` the order does not depend on that of the question: nodes and successors are visited by label, and the
    answer is the reverse of a depth-first post-order, as Bazel defines `--order_output=full`.
    """
    start = by_label(edges) if total else list(edges)
    order: list[Node] = []
    seen: set[Node] = set()
    for root in start:
        if root in seen:
            continue
        seen.add(root)
        stack: list[tuple[Node, Iterator[Node]]] = [(root, _successors(edges, root, total=total))]
        while stack:
            node, rest = stack[-1]
            for successor in rest:
                if successor not in seen:
                    seen.add(successor)
                    stack.append((successor, _successors(edges, successor, total=total)))
                    break
            else:
                stack.pop()
                order.append(node)
    return order[::-1]


def ranks(edges: Mapping[Node, list[Node]], *, longest: bool) -> dict[Node, int]:
    """Return how far each node is from a root: over the shortest way, or over the `longest`.

    Roots are the nodes that no other of the graph depends on.
    """
    order = topological(edges, total=True)
    found: dict[Node, int] = {}
    for node in order:
        rank = found.setdefault(node, 0)
        for successor in edges[node]:
            known = found.get(successor)
            if known is None or (rank + 1 > known if longest else rank + 1 < known):
                found[successor] = rank + 1
    return found


def _successors(edges: Mapping[Node, list[Node]], node: Node, *, total: bool) -> Iterator[Node]:
    return iter(by_label(edges[node]) if total else edges[node])
