"""The rootfs contest: one tarball of downloaded blobs and rendered files, and what changes of it cost."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

from benchmarks.contest import Scenario, bare, choose, compete, steady
from benchmarks.mirror import make_mirror
from benchmarks.results import Contest, Result, shown, versions
from benchmarks.server import Server
from benchmarks.targets import ROOTFS
from benchmarks.workloads import TEMPLATES, Rootfs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.mirror import Blob
    from benchmarks.peers.peer import Peer


def measure(folder: Path, names: Sequence[str], rounds: int, blobs: int, size: int) -> Result:
    """Hold the contest in a folder."""
    mirror = make_mirror(folder / "mirror", blobs, size, rounds + 1)
    peers, absent = choose(names, folder)
    with Server(mirror.folder) as server:
        rootfs = Rootfs(server.url, mirror.versions)
        for peer in peers:
            for number in range(TEMPLATES):
                peer.write(rootfs.template(number))
            peer.describe_rootfs(rootfs)
        try:
            outcome = compete(peers, scenarios(rootfs), rounds, server)
        finally:
            for peer in peers:
                peer.stop()
    made = ", ".join(f"{peer.name} {peer.tarball().stat().st_size / 1e6:.1f} MB" for peer in peers)
    held = [f"Tarballs: {made}. After COLD, EDIT1, VERSION and CLEAN+CACHE, all held the tree that they had to hold."]
    contest = Contest(
        "One rootfs, side by side",
        "rootfs",
        outcome.figures,
        outcome.disk,
        absent,
        {peer.name: shown(peer) for peer in peers},
        ROOTFS,
        [*held, *outcome.notes],
    )
    whole, new = (sum(blob.size for blob in chosen) / 1e6 for chosen in (rootfs.blobs, _new(rootfs)))
    what = (
        f"{blobs} blobs of {whole:.0f} MB in all from a server on loopback, {TEMPLATES} templates of one variable, one"
        " .tar.zst. COLD: nothing is there. NULL: nothing changed. TOUCH: a template has a new time. EDIT1: a template"
        f" has a new line. VERSION: another version, with {len(_new(rootfs))} new blobs of {new:.0f} MB. REVERT: back"
        " to the first version. CLEAN+CACHE: outputs removed, caches kept."
    )
    return Result(
        "rootfs",
        "One rootfs",
        what,
        rounds,
        bare(folder, rounds),
        [contest],
        versions(peers),
        {peer.name: peer.remark for peer in peers},
    )


def _new(rootfs: Rootfs) -> list[Blob]:
    return [blob for blob in rootfs.versions[1] if blob not in rootfs.blobs]


def scenarios(rootfs: Rootfs) -> list[Scenario]:
    """Return what is measured, in order; each begins where the one before it has ended."""

    def edited(peer: Peer, number: int) -> None:
        peer.write(rootfs.template(0, f"edited = {number}\n"))

    def reverted(peer: Peer, number: int) -> None:
        if number == 0:
            peer.write(rootfs.template(0))
            steady(peer)

    def touched(peer: Peer, number: int) -> None:
        os.utime(peer.work / rootfs.template(0).path)

    def settled(peer: Peer, number: int) -> None:
        if number == 0:
            steady(peer)

    def switched(peer: Peer, number: int) -> None:
        peer.ready()
        peer.build(1)

    def check(version: int, edit: str, peer: Peer) -> str:
        return difference(rootfs.expected(version, edit), contents(peer.tarball(version)))

    return [
        Scenario("COLD", lambda peer, _: peer.forget(), check=lambda peer, _: check(0, "", peer)),
        Scenario("NULL", settled),
        Scenario("TOUCH", touched),
        Scenario("EDIT1", edited, check=lambda peer, last: check(0, f"edited = {last}\n", peer), explained=True),
        Scenario("VERSION", reverted, lambda number: number + 1, lambda peer, last: check(last + 1, "", peer)),
        Scenario("REVERT", switched, check=lambda peer, _: check(0, "", peer)),
        Scenario("CLEAN+CACHE", lambda peer, _: peer.clean(), check=lambda peer, _: check(0, "", peer)),
    ]


def contents(tarball: Path) -> dict[str, str]:
    """Return the digest of each file in a tarball, with `+x` for a program; folders and other metadata do not count."""
    found = {}
    with subprocess.Popen(["zstd", "-dcq", str(tarball)], stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isfile() else None
                if stream is not None:
                    digest = hashlib.sha256()
                    while chunk := stream.read(1 << 20):
                        digest.update(chunk)
                    found[member.name.removeprefix("./")] = digest.hexdigest() + "+x" * bool(member.mode & 0o100)
        assert process.stdout is not None
        while process.stdout.read(1 << 16):
            pass  # what stands behind the archive's end
    return found


def difference(expected: dict[str, str], found: dict[str, str]) -> str:
    """Say in which path two trees differ first, or return the empty string."""
    for path in sorted({*expected, *found}):
        if expected.get(path) != found.get(path):
            return f"{path} is {found.get(path, 'missing')}, not {expected.get(path, 'there')}"
    return ""
