"""A contest: several peers, one scenario after the other, every round of it with all peers in turn.

So a machine that is slow for a while is slow for all of them, and ratios hold.
"""

from __future__ import annotations

import compileall
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import buildsys
from benchmarks.measure import Figure, disk_usage, figure, run
from benchmarks.peers import PEERS
from benchmarks.peers.buildsys import Buildsys
from benchmarks.phases import explanation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from benchmarks.measure import Sample
    from benchmarks.peers.peer import Peer
    from benchmarks.server import Server

SETTLE_SECONDS = 0.1
"""A file that changed a moment ago is looked at again by whoever keys on content: not what is measured here."""


class Scenario(NamedTuple):
    """What is measured: `prepare` is told the peer and the number of the round; then a version is built.

    `check` says, after the last round, what is wrong with what a peer has made, or nothing. Where `explained`, one more
    round of buildsys is not measured but watched.
    """

    name: str
    prepare: Callable[[Peer, int], None]
    version: Callable[[int], int] = lambda _: 0
    check: Callable[[Peer, int], str] | None = None
    explained: bool = False


class Outcome(NamedTuple):
    """Figures by peer and scenario, the bytes on disk that each peer has added in the first one, and explanations."""

    figures: dict[str, dict[str, Figure]]
    disk: dict[str, int]
    notes: list[str]


class WrongResultError(Exception):
    """A peer has not made what it had to."""


def choose(
    names: Iterable[str], folder: Path, known: Mapping[str, type[Peer]] = PEERS
) -> tuple[list[Peer], dict[str, str]]:
    """Return the peers that can take part, buildsys first, and why the others cannot."""
    chosen, absent = [], {}
    for name in dict.fromkeys(["buildsys", *names]):
        kind = known[name]
        if reason := kind.missing():
            absent[kind.name] = reason
        else:
            peer = kind(folder / name)
            peer.work.mkdir(parents=True)
            chosen.append(peer)
    return chosen, absent


def compete(peers: Sequence[Peer], scenarios: Sequence[Scenario], rounds: int, server: Server | None) -> Outcome:
    """Measure every scenario with every peer. Raises `WrongResultError`."""
    compileall.compile_dir(str(Path(buildsys.__file__).parent), quiet=1)
    samples: dict[str, dict[str, list[Sample]]] = {peer.name: {} for peer in peers}
    disk = {peer.name: -disk_usage(peer.folder) for peer in peers}
    notes = []
    for scenario in scenarios:
        for number in range(rounds):
            for peer in peers:
                scenario.prepare(peer, number)
                sample = _measured(peer, scenario.version(number), server)
                samples[peer.name].setdefault(scenario.name, []).append(sample)
            print(f"{scenario.name} {number + 1}/{rounds}", file=sys.stderr)
        for peer in peers:
            if scenario is scenarios[0]:
                disk[peer.name] += disk_usage(peer.folder)
            if scenario.check and (fault := scenario.check(peer, rounds - 1)):
                raise WrongResultError(f"{peer.name}, {scenario.name}: {fault}")
            if scenario.explained and isinstance(peer, Buildsys):
                scenario.prepare(peer, rounds)
                _settle(peer)
                notes.append(f"{scenario.name}: {explanation(peer)}")
    figures = {peer: {name: figure(runs) for name, runs in found.items()} for peer, found in samples.items()}
    return Outcome(figures, disk, notes)


def bare(folder: Path, rounds: int) -> Figure:
    """Measure what starting an interpreter costs, in the environment that buildsys is started in."""
    environment = Buildsys(folder).environment
    command = [sys.executable, "-c", "pass"]
    return figure([run(command, folder, environment, folder / "log") for _ in range(max(rounds, 5))])


def steady(peer: Peer) -> None:
    """Build until there is nothing more to be learnt about files that have just been written."""
    for _ in range(3):
        peer.ready()
        peer.build()
        time.sleep(SETTLE_SECONDS)


def _settle(peer: Peer) -> None:
    peer.ready()
    os.sync()
    time.sleep(SETTLE_SECONDS)


def _measured(peer: Peer, version: int, server: Server | None) -> Sample:
    _settle(peer)
    before = server.counts() if server else None
    sample = peer.build(version)
    if server is None or before is None:
        return sample
    added = server.counts().since(before)
    return sample._replace(downloaded=added.sent, requests=added.requests)
