"""The graph contest: thousands of small files, each rendered from a template and two others; and one edit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import targets
from benchmarks.contest import Scenario, bare, choose, compete, steady
from benchmarks.peers.peer import Peer
from benchmarks.results import Contest, Result, shown, versions
from benchmarks.workloads import PER_PACKAGE, Graph

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def measure(folder: Path, names: Sequence[str], rounds: int, sizes: Sequence[int]) -> Result:
    """Hold a contest for each number of nodes, in a folder."""
    contests, everybody = [], {}
    for nodes in sizes:
        peers, absent = choose(names, folder / str(nodes))
        graph = Graph(nodes)
        for peer in list(peers):
            reason = _excuse(peer, nodes)
            if reason:
                absent[peer.name] = reason
                peers.remove(peer)
                continue
            for path in graph.paths():
                for source in graph.sources(path):
                    peer.write(source)
            peer.describe_graph(graph)
        try:
            outcome = compete(peers, scenarios(graph), rounds, None)
        finally:
            for peer in peers:
                peer.stop()
        contests.append(
            Contest(
                f"{nodes} nodes",
                f"graph-{nodes}",
                outcome.figures,
                outcome.disk,
                absent,
                {peer.name: shown(peer) for peer in peers},
                targets.graph(nodes),
                ["All made the same files.", *outcome.notes],
            )
        )
        everybody.update({peer.name: peer for peer in peers})
    what = (
        f"Files in folders of {PER_PACKAGE}, each rendered from a template of one variable and two small files of its"
        " own; all of them are delivered as files. COLD: nothing is there. NULL: nothing changed. EDIT1: one of the"
        " small files has a new line."
    )
    return Result(
        "graph",
        "A graph of many small files",
        what,
        rounds,
        bare(folder, rounds),
        contests,
        versions(list(everybody.values())),
        {peer.name: peer.remark for peer in everybody.values()},
    )


def _excuse(peer: Peer, nodes: int) -> str:
    """Say why a peer is not asked for so large a graph, or return the empty string."""
    if type(peer).describe_graph is Peer.describe_graph:
        return "takes no part: it would do all of it every time"
    if peer.most_nodes is not None and nodes > peer.most_nodes:
        return f"not asked for more than {peer.most_nodes} nodes"
    return ""


def scenarios(graph: Graph) -> list[Scenario]:
    """Return what is measured, in order."""
    paths = graph.paths()

    def edited(peer: Peer, number: int) -> None:
        path = paths[_place(number, len(paths))]
        peer.write(graph.sources(path, f"edited = {number}\n")[1])

    def settled(peer: Peer, number: int) -> None:
        if number == 0:
            steady(peer)

    def check(peer: Peer, edits: dict[str, str]) -> str:
        for path in paths:
            if peer.node(path).read_text() != graph.expected(path, edits.get(path, "")):
                return f"{path} is wrong"
        return ""

    def check_edited(peer: Peer, last: int) -> str:
        return check(peer, {paths[_place(n, len(paths))]: f"edited = {n}\n" for n in range(last + 1)})

    return [
        Scenario("COLD", lambda peer, _: peer.forget(), check=lambda peer, _: check(peer, {})),
        Scenario("NULL", settled),
        Scenario("EDIT1", edited, check=check_edited, explained=True),
    ]


def _place(number: int, nodes: int) -> int:
    """Return the node that round `number` edits: far from those before it."""
    return (number * 7919 + nodes // 2) % nodes
