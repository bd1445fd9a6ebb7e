"""The one exception of everything that reads archives."""

from __future__ import annotations

from typing import Literal, TypeAlias

FaultKind: TypeAlias = Literal["hostile", "damaged", "bomb"]
"""`hostile`: a member that must not be unpacked; `damaged`: not an archive, or broken; `bomb`: unpacks to too much."""


class ArchiveFault(ValueError):
    """An archive, or one `member` of it, that is refused; `reason` is a clause without the archive's name."""

    def __init__(self, kind: FaultKind, reason: str, member: str = "") -> None:
        super().__init__(f"member '{member}': {reason}" if member else reason)
        self.kind: FaultKind = kind
        self.reason = reason
        self.member = member
