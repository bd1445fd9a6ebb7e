"""The images contest: the images of a cluster out of a registry, and what it costs when one of them changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from benchmarks.contest import Scenario, bare, choose, compete, steady
from benchmarks.peers.images import PEERS, ImagesPeer
from benchmarks.registry import Registry, fill
from benchmarks.results import Contest, Result, shown, versions
from benchmarks.targets import IMAGES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.peers.peer import Peer
    from benchmarks.registry import Image


def measure(folder: Path, names: Sequence[str], rounds: int, count: int, size: int) -> Result:
    """Hold the contest in a folder. Raises `WrongResultError`."""
    peers, absent = choose(names, folder, PEERS)
    with Registry(folder / "registry") as registry:
        images = fill(registry, count, size, rounds + 1)
        for peer in peers:
            cast("ImagesPeer", peer).describe_images(registry.host, images)
        outcome = compete(peers, scenarios(registry.host, images), rounds, None)
    contest = Contest(
        "Images out of a registry",
        "images",
        outcome.figures,
        outcome.disk,
        absent,
        {peer.name: shown(peer) for peer in peers},
        IMAGES,
        ["After COLD and IMAGE1 all had the same blobs.", *outcome.notes],
    )
    distinct = {blob for one in images[0] for blob in one.blobs}
    what = (
        f"{count} images, {len(distinct)} different blobs of about {size / 1e6:.0f} MB in all, out of docker-registry"
        " on loopback. COLD: nothing is there. NULL: nothing"
        " changed. IMAGE1: one image is another one."
    )
    return Result(
        "images",
        "Container images",
        what,
        rounds,
        bare(folder, rounds),
        [contest],
        versions(peers),
        {peer.name: peer.remark for peer in peers},
    )


def scenarios(host: str, images: list[list[Image]]) -> list[Scenario]:
    """Return what is measured, in order."""

    def cold(peer: Peer, number: int) -> None:
        peer.forget()
        cast("ImagesPeer", peer).want(host, images[0])

    def changed(peer: Peer, number: int) -> None:
        cast("ImagesPeer", peer).want(host, images[number + 1])

    def settled(peer: Peer, number: int) -> None:
        if number == 0:
            steady(peer)

    def check(version: int, peer: Peer) -> str:
        missing = {blob for one in images[version] for blob in one.blobs} - cast("ImagesPeer", peer).blobs()
        return f"{len(missing)} blobs are missing" if missing else ""

    return [
        Scenario("COLD", cold, check=lambda peer, _: check(0, peer)),
        Scenario("NULL", settled),
        Scenario("IMAGE1", changed, check=lambda peer, last: check(last + 1, peer)),
    ]
