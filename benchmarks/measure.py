"""Measuring: what a command and all its descendants cost, daemons included, and the figures of several runs."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LAUNCHER = Path(__file__).with_name("launch.py")


class Sample(NamedTuple):
    """One run: seconds of wall clock and of CPU, MB of peak memory, bytes downloaded and requests made."""

    wall: float
    cpu: float
    rss: float
    downloaded: int = 0
    requests: int = 0


class Figure(NamedTuple):
    """Several runs: medians, the range of the wall times, and the highest peak memory."""

    wall: float
    low: float
    high: float
    cpu: float
    rss: float
    downloaded: int
    requests: int
    walls: tuple[float, ...]


def run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path, daemons: Iterable[int] = ()
) -> Sample:
    """Run a command once; `daemons` work for it, too. Raises `RuntimeError` with its output when it fails."""
    also = ",".join(map(str, daemons)) or "-"
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(folder), str(log), also]
    done = subprocess.run([*launcher, *command], env=dict(environment), capture_output=True, text=True, check=False)
    words = done.stdout.split()
    if done.returncode or words[0] != "0":
        said = log.read_text(errors="replace") if log.exists() else ""
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}{said}")
    return Sample(float(words[1]), float(words[2]), int(words[3]) / 1e6)


def figure(samples: Sequence[Sample]) -> Figure:
    """Sum up several runs."""
    walls = [sample.wall for sample in samples]
    return Figure(
        statistics.median(walls),
        min(walls),
        max(walls),
        statistics.median(sample.cpu for sample in samples),
        max(sample.rss for sample in samples),
        int(statistics.median(sample.downloaded for sample in samples)),
        int(statistics.median(sample.requests for sample in samples)),
        tuple(walls),
    )


def disk_usage(folder: Path) -> int:
    """Return the bytes that a folder takes on disk; a file with several names counts once."""
    seen: dict[tuple[int, int], int] = {}
    for path, folders, names in os.walk(folder):
        for name in (*folders, *names):
            found = os.lstat(os.path.join(path, name))
            seen[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(seen.values())
