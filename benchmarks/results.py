"""What was measured, and with what: the values that the JSON, the pages and the plots show."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.measure import Figure
    from benchmarks.peers.peer import Peer
    from benchmarks.targets import Target

_TOOLS = ("tar", "zstd", "sed", "curl", "sha256sum")


def machine() -> str:
    """Describe this machine in a line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    release = platform.release().partition("-")[0]
    return f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB of memory, Linux {release}"


@dataclass(frozen=True, slots=True)
class Contest:
    """One table: figures by peer and scenario; bytes on disk by peer; why others are absent; remarks below it."""

    title: str
    name: str
    figures: Mapping[str, Mapping[str, Figure]]
    disk: Mapping[str, int]
    absent: Mapping[str, str]
    commands: Mapping[str, str]
    targets: Sequence[Target]
    notes: Sequence[str] = ()
    counts: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    """Work by peer and scenario, of the last round: bytes that were added to the disk, actions that ran."""

    @property
    def scenarios(self) -> list[str]:
        """The names of the scenarios, in order."""
        return list(next(iter(self.figures.values())))


@dataclass(frozen=True, slots=True)
class Result:
    """One run of the harness."""

    benchmark: str
    title: str
    what: str
    rounds: int
    bare: Figure
    contests: Sequence[Contest]
    versions: Mapping[str, str]
    remarks: Mapping[str, str]
    command: str = field(default_factory=lambda: shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]))
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%d"))
    machine: str = field(default_factory=machine)

    def to_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(_plain(self), indent=1) + "\n"


def versions(peers: Sequence[Peer]) -> dict[str, str]:
    """Return what each tool that took part calls itself."""
    found = {peer.name: peer.version() for peer in peers}
    used = {program for peer in peers for program in peer.programs}
    for tool in _TOOLS:
        if tool in used:
            said = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False).stdout
            found[tool] = said.partition("\n")[0].strip("* ")
    return {name: version for name, version in found.items() if version}


def shown(peer: Peer) -> str:
    """Return the command that a peer is started by, without the places of this run."""
    words = [word.replace(str(peer.folder), "..").replace(sys.executable, "python") for word in peer.command()]
    return shlex.join(words)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if hasattr(value, "_asdict"):
        return {name: _plain(inner) for name, inner in value._asdict().items()}
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
