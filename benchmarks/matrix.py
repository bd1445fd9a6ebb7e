"""The matrix contest: all releases of a minor, two runtimes, two architectures; and what one more of each costs."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Self

from benchmarks.contest import Outcome, Scenario, WrongResultError, bare, compete, steady
from benchmarks.measure import disk_usage
from benchmarks.peers.buildsys import Buildsys
from benchmarks.peers.matrix import ALL, ONE, OTHER, PEERS, MatrixBuildsys, MatrixPeer
from benchmarks.releases import ARCHES, CRIS, OF_CRI, OF_RELEASE, Matrix, Product, make_parts, release
from benchmarks.results import Contest, Result, shown, versions
from benchmarks.rootfs import contents, difference
from benchmarks.server import Server
from benchmarks.targets import MATRIX, MATRIX_MANY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from benchmarks.peers.peer import Peer

SMALL = 1 << 16
"""Bytes of a rootfs where only the number of them counts."""
ACTIONS, STORE, OUTPUTS = "actions that ran", "MB added to the store", "MB added to outputs"
ADDED = "MB added on disk"


def measure(folder: Path, names: Sequence[str], rounds: int, releases: int, size: int, many: int) -> Result:
    """Hold the contest in a folder: `releases` with rootfs of about `size` bytes, then `many` with small ones."""
    peers = [PEERS[name](folder / name) for name in dict.fromkeys(["buildsys", *names])]
    absent = {peer.name: reason for peer in peers if (reason := peer.missing())}
    peers = [peer for peer in peers if peer.name not in absent]
    contests = [_minor(folder, peers, absent, rounds, releases, size)]
    if many:
        contests.append(_many(folder, rounds, many))
    what = (
        f"Tarballs of every release for {' and '.join(CRIS)}, on {' and '.join(ARCHES)}; of the bytes of one, half are"
        " its release's own, a fifth its runtime's, and the rest is that of all of its architecture. Blobs come from a"
        " server on loopback. ONE: the first tarball; nothing is there. OTHER: the same release with the other runtime."
        " COLD: all of them; nothing is there. NULL: nothing changed. ADD: one more release is locked."
    )
    remarks = {peer.name: peer.remark for peer in peers}
    return Result(
        "matrix", "A matrix of rootfs", what, rounds, bare(folder, rounds), contests, versions(peers), remarks
    )


def _minor(
    folder: Path, peers: Sequence[MatrixPeer], absent: dict[str, str], rounds: int, releases: int, size: int
) -> Contest:
    with _Harness(folder / "mirror", peers, releases, rounds, size) as harness:
        outcome = compete(peers, list(harness.scenarios().values()), rounds, harness.server)
    harness.judge(outcome)
    return Contest(
        f"One minor: {releases} releases, {releases * len(CRIS) * len(ARCHES)} rootfs",
        "matrix",
        outcome.figures,
        outcome.disk,
        absent,
        {peer.name: shown(peer) for peer in peers},
        MATRIX,
        [*harness.notes(), *(_stats(peer) for peer in peers if isinstance(peer, MatrixBuildsys))],
        harness.counts,
    )


def _many(folder: Path, rounds: int, releases: int) -> Contest:
    """Measure how a null build grows; buildsys alone, since a script does all of it every time."""
    peer = MatrixBuildsys(folder / "many")
    with _Harness(folder / "small", [peer], releases, 0, SMALL) as harness:
        scenarios = harness.scenarios()
        cold = compete([peer], [scenarios["COLD"]], 1, harness.server)
        null = compete([peer], [scenarios["NULL"]], rounds, harness.server)
    figures = {peer.name: {**cold.figures[peer.name], **null.figures[peer.name]}}
    harness.judge(Outcome(figures, {}, []))
    return Contest(
        f"{releases * len(CRIS) * len(ARCHES)} rootfs of small files",
        "matrix-many",
        figures,
        cold.disk,
        {},
        {},
        MATRIX_MANY,
        ["buildsys alone: a script does all of it every time.", _stats(peer)],
        harness.counts,
    )


class _Harness:
    """The mirror with its server, peers that know what to build, and the counts of what they did."""

    def __init__(self, mirror: Path, peers: Sequence[MatrixPeer], releases: int, more: int, size: int) -> None:
        self._peers = {peer.name: peer for peer in peers}
        self._parts = make_parts(mirror, releases + more, size)
        self._releases = releases
        self._more = more
        self.server = Server(mirror)
        self.counts: dict[str, dict[str, dict[str, int]]] = {peer.name: {} for peer in peers}
        self._before: dict[str, dict[str, int]] = {}

    def __enter__(self) -> Self:
        self.server.__enter__()
        self.matrix = Matrix(self.server.url, self._parts, self._releases)
        for peer in self._peers.values():
            for source, _ in self.matrix.templates():
                peer.write(source)
            peer.describe_matrix(self.matrix)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.__exit__(kind, error, trace)

    def scenarios(self) -> dict[str, Scenario]:
        """Return what is measured, by name, in order; each begins where the one before it has ended."""

        def cold(peer: Peer, number: int) -> None:
            peer.forget()

        def other(peer: Peer, number: int) -> None:
            peer.forget()
            peer.build(ONE)

        def settled(peer: Peer, number: int) -> None:
            if number == 0 and isinstance(peer, Buildsys):
                steady(peer)

        def added(peer: Peer, number: int) -> None:
            self._peers[peer.name].describe_matrix(self.matrix.added(number + 1))

        first, second = (Product(release(0), cri, ARCHES[0]) for cri in CRIS)
        products = self.matrix.products()
        grown = self.matrix.added(self._more).products()
        found = [
            self._scenario("ONE", cold, ONE, [first]),
            self._scenario("OTHER", other, OTHER, [second]),
            self._scenario("COLD", cold, ALL, products),
            self._scenario("NULL", settled, ALL, products),
            self._scenario("ADD", added, ALL, grown),
        ]
        return {scenario.name: scenario for scenario in found}

    def _scenario(
        self, name: str, prepare: Callable[[Peer, int], None], version: int, products: Sequence[Product]
    ) -> Scenario:
        def prepared(peer: Peer, number: int) -> None:
            prepare(peer, number)
            self._before[peer.name] = _sizes(peer)

        def check(peer: Peer, last: int) -> str:
            after, before = _sizes(peer), self._before[peer.name]
            self.counts[peer.name][name] = _ran(peer) | {kind: after[kind] - before[kind] for kind in after}
            for product in products:
                tarball = self._peers[peer.name].made(product)
                if fault := difference(self.matrix.expected(product), contents(tarball)):
                    return f"{tarball}: {fault}"
            return ""

        return Scenario(name, prepared, lambda _: version, check)

    def judge(self, outcome: Outcome) -> None:
        """Compare the work with what it has to be, whoever did it. Raises `WrongResultError`."""
        own, runtime = len(OF_RELEASE) * len(ARCHES), len(OF_CRI)
        for peer, found in outcome.figures.items():
            wanted = {"OTHER": runtime, "ADD": own, "NULL": 0}
            asked = {name: found[name].requests for name in wanted if name in found}
            if asked != {name: wanted[name] for name in asked}:
                raise WrongResultError(f"{peer} made {asked} requests, not {wanted}")
            if self.counts[peer]["NULL"].get(ACTIONS):
                raise WrongResultError(f"{peer} has run actions though nothing changed")

    def notes(self) -> list[str]:
        """Say what bytes the scenarios could not do without."""
        one, other = (Product(release(0), cri, ARCHES[0]) for cri in CRIS)
        new = [blob for blob in self.matrix.blobs(other) if blob not in self.matrix.blobs(one)]
        added = [part.blob for part in self.matrix.parts if part.release == release(self._releases)]
        sizes = [sum(blob.size for blob in blobs) / 1e6 for blobs in (self.matrix.blobs(one), new, added)]
        shares = f"Blobs of one rootfs: {sizes[0]:.1f} MB. OTHER has {len(new)} that ONE has not, of {sizes[1]:.1f} MB"
        adds = f"ADD has {len(added)} new ones, of {sizes[2]:.1f} MB"
        return [f"{shares}; {adds}. After each scenario every tarball held the tree that it had to hold."]


def _sizes(peer: Peer) -> dict[str, int]:
    """Return the bytes on disk of what a peer keeps and of what it makes."""
    if isinstance(peer, MatrixBuildsys):
        return {STORE: disk_usage(peer.work / "cache"), OUTPUTS: disk_usage(peer.work / "buildsys-out")}
    return {ADDED: disk_usage(peer.work)}


def _ran(peer: Peer) -> dict[str, int]:
    """Return how many actions the last build ran, if it says so."""
    found = re.search(r"completed successfully, (\d+) total action", (peer.folder / "log").read_text())
    return {ACTIONS: int(found[1])} if found else {}


def _stats(peer: MatrixBuildsys) -> str:
    """Say what `cache stats` says of the store of a peer."""
    command = [*peer.command()[:3], "cache", "stats", "--output=json"]
    done = subprocess.run(command, cwd=peer.work, env=peer.environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    logical, unique = found["logical_bytes"] / 1e6, found["unique_bytes"] / 1e6
    return (
        f"At the end `buildsys cache stats` counts {found['results']} results of {logical:.1f} MB (files, trees and"
        f" tarballs, each by itself), and {unique:.1f} MB in the store: {found['ratio']:.1f} times as many."
    )
