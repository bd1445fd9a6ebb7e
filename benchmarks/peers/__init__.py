"""The contestants, one module each: what they are given to build, in the way that their users would write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.peers.bazel import Bazel, BazelCold
from benchmarks.peers.buildsys import Buildsys
from benchmarks.peers.make import Make
from benchmarks.peers.ninja import Ninja
from benchmarks.peers.shell import Shell

if TYPE_CHECKING:
    from benchmarks.peers.peer import Peer

PEERS: dict[str, type[Peer]] = {
    "buildsys": Buildsys,
    "shell": Shell,
    "make": Make,
    "ninja": Ninja,
    "bazel": Bazel,
    "bazel-cold": BazelCold,
}
