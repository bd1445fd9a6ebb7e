"""Run one command and say what it and all its descendants cost: `python -I -S launch.py FOLDER LOG DAEMONS COMMAND...`.

A program of its own, kept small, and run anew for each command: the kernel counts the memory of what starts a command
as the command's own, so this is the floor (about 10 MiB) of what can be told. It adopts orphans, so that a daemon which
the command leaves behind is counted as well; DAEMONS (process ids with commas, or `-`) are those left by earlier ones.

Prints the exit code, seconds of wall clock, seconds of CPU, and bytes of peak memory. Memory is the sum of the resident
sets of all processes, looked at every 20 ms, and at least the largest resident set that any one of them had.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import sys
import time

INTERVAL_MS = 20
PR_SET_CHILD_SUBREAPER = 36
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run the command of the command line."""
    folder, log, daemons, *command = sys.argv[1:]
    also = {int(word) for word in daemons.split(",") if word.isdigit()}
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.chdir(folder)
    strangers = set(_processes()) - also
    before = sum(_cpu(pid) for pid in also)
    poll = select.poll()
    output = (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    began = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=[output, (os.POSIX_SPAWN_DUP2, 1, 2)])
    poll.register(os.pidfd_open(pid), select.POLLIN)
    peak = 0
    while not poll.poll(INTERVAL_MS):
        peak = max(peak, _memory(strangers, also))
    wall = time.perf_counter() - began
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    peak = max(peak, _memory(strangers, also))
    cpu = sum(_cpu(pid) for pid in set(_processes()) - strangers) - before  # of daemons, old and new
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # of what has ended
    print(code, wall, cpu + used.ru_utime + used.ru_stime, max(peak, used.ru_maxrss << 10))


def _processes() -> list[int]:
    """Return the ids of all processes, this one left out."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def _memory(strangers: set[int], daemons: set[int]) -> int:
    """Return the resident bytes of all processes that are ours; what turns out not to be is added to `strangers`."""
    parents: dict[int, int] = {}
    resident: dict[int, int] = {}
    for pid in _processes():
        if pid not in strangers:
            fields = _stat(pid)
            if fields:
                parents[pid], resident[pid] = int(fields[1]), int(fields[21]) * PAGE
    for pid, parent in parents.items():
        if parent in strangers and pid not in daemons:
            strangers.add(pid)
            resident[pid] = 0
    return sum(resident.values())


def _cpu(pid: int) -> float:
    """Return the seconds that a process and its ended children have used; 0 when it has ended."""
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / TICKS if fields else 0.0


def _stat(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat from the third on; none when the process has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return stream.read().rpartition(b")")[2].split()
    except OSError:
        return []


if __name__ == "__main__":
    main()
