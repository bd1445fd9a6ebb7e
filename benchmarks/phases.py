"""Where the time of one build of buildsys went: the phases of its `--profile`, and the actions that ran."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmarks.measure import run

if TYPE_CHECKING:
    from benchmarks.peers.buildsys import Buildsys

_FILE = "buildsys-out/profile.json"
_PHASE, _CRITICAL = "build phase", "critical path component"


def explanation(peer: Buildsys) -> str:
    """Build once, watched; say how long each phase took, and the five actions that took longest."""
    command = [*peer.command(), f"--profile={_FILE}"]
    run(command, peer.work, peer.environment, peer.folder / "log")
    events = json.loads((peer.work / _FILE).read_text())["traceEvents"]
    spans = [event for event in events if event["ph"] == "X"]
    whole, *phases = [span for span in spans if span["cat"] == _PHASE]
    actions = [span for span in spans if span["cat"] not in {_PHASE, _CRITICAL}]
    actions.sort(key=lambda span: -int(span["dur"]))
    return (
        f"one build of buildsys, watched by `--profile`, took {_ms(whole)} ms in all."
        f" Phases: {', '.join(_named(span) for span in phases)}."
        f" Actions that ran: {', '.join(_named(span) for span in actions[:5])}."
    )


def _named(span: dict[str, Any]) -> str:
    return f"{span['name']} {_ms(span)}"


def _ms(span: dict[str, Any]) -> str:
    return f"{span['dur'] / 1000:.1f}"
