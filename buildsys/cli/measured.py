"""What a build says at its end: how long it took, and how much ran."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from buildsys.execution.outcome import Outcome


class Measured(NamedTuple):
    """The parts of a message that `snapshot.PLACES` stand for, in their order."""

    elapsed: str
    critical: str
    processes: str
    actions: str


def measured(outcome: Outcome, began: float) -> Measured:
    """Say what a build took that began at `began` (by `time.perf_counter`)."""
    ran = len(outcome.ran)
    critical = sum(entry.seconds for entry in outcome.critical)
    elapsed = f"{time.perf_counter() - began:.3f}"
    return Measured(elapsed, f"{critical:.2f}", _processes(ran, outcome.hits), count(ran, "total action"))


def elapsed_line(elapsed: str, critical: str) -> str:
    """Return the line about time; both are in seconds."""
    return f"Elapsed time: {elapsed}s, Critical Path: {critical}s"


def _processes(ran: int, hits: int) -> str:
    parts = [f"{hits} action cache hit"] if hits else []
    parts += [f"{ran} local"] if ran else []
    return f"{count(ran + hits, 'process', 'processes')}" + (f": {', '.join(parts)}." if parts else ".")


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"
