"""Measuring: wall time, CPU and peak memory of a command and all its children."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


class Sample(NamedTuple):
    """One run: seconds of wall clock and CPU, and the largest resident set of a process, in MiB."""

    wall: float
    cpu: float
    rss: float


class Figure(NamedTuple):
    """Several runs: the median, and the range of the wall times."""

    wall: float
    low: float
    high: float
    cpu: float
    rss: float


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Sample:
    """Run a command once. Raises `RuntimeError` with its output when it fails."""
    log = folder / "benchmark.log"
    with log.open("wb") as stream:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=dict(environment), stdout=stream, stderr=stream)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{log.read_text(errors='replace')}")
    return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def repeat(prepare: Callable[[], None], measured: Callable[[], Sample], rounds: int) -> Figure:
    """Measure `rounds` times, each after `prepare`."""
    samples = []
    for _ in range(rounds):
        prepare()
        samples.append(measured())
    walls = [sample.wall for sample in samples]
    return Figure(
        statistics.median(walls),
        min(walls),
        max(walls),
        statistics.median(sample.cpu for sample in samples),
        max(sample.rss for sample in samples),
    )
