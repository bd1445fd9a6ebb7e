"""Which run of the system this is. Nobody waits for the disk here, so after another one things are looked at anew."""

from __future__ import annotations

PATH = "/proc/sys/kernel/random/boot_id"


def boot() -> str:
    """Return the name of this run of the system (Linux, random(4)); empty where it has none."""
    try:
        with open(PATH, encoding="ascii") as stream:
            return stream.read().strip()
    except OSError:
        return ""
