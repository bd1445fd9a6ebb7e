"""How much an archive may unpack to, and the meters that hold it to that."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buildsys.archive.fault import ArchiveFault
from buildsys.model.digest import CHUNK

if TYPE_CHECKING:
    from buildsys.archive.streams import Readable


class Limits(NamedTuple):
    """Bounds on unpacking: `total` bytes and `members` at most; above `grace` bytes, `ratio` times the packed size."""

    total: int = 64 << 30
    ratio: int = 200
    grace: int = 1 << 30
    members: int = 1_000_000


class Meter:
    """Counts what an archive of `packed` bytes has unpacked to so far."""

    def __init__(self, limits: Limits, packed: int) -> None:
        self._limits = limits
        self._packed = packed
        self.unpacked = 0

    def add(self, size: int, member: str = "") -> None:
        """Count `size` bytes that were unpacked. Raises `ArchiveFault` (bomb) past a limit."""
        self.unpacked += size
        self.foresee(0, member)

    def foresee(self, size: int, member: str = "") -> None:
        """Judge `size` bytes to come before they are unpacked. Raises `ArchiveFault` (bomb) if they pass a limit."""
        total, ratio, grace, _ = self._limits
        unpacked = self.unpacked + size
        if unpacked > total:
            raise ArchiveFault("bomb", f"it unpacks to more than {_gib(total)}", member)
        if unpacked > grace and unpacked > ratio * self._packed:
            reason = f"it unpacks to more than {ratio} times its {self._packed} bytes, and more than {_gib(grace)}"
            raise ArchiveFault("bomb", reason, member)

    def count(self, members: int) -> None:
        """Judge the number of members. Raises `ArchiveFault` (bomb) past the limit."""
        if members > self._limits.members:
            raise ArchiveFault("bomb", f"it has more than {self._limits.members} members")


class Metered:
    """A stream whose bytes a meter counts."""

    def __init__(self, source: Readable, meter: Meter) -> None:
        self._source = source
        self._meter = meter

    def read(self, size: int = CHUNK, /) -> bytes:
        data = self._source.read(size)
        self._meter.add(len(data))
        return data


def _gib(size: int) -> str:
    return f"{size / (1 << 30):g} GiB"
