"""Write: a file whose content was computed in analysis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from buildsys.model.action import ActionIO, BaseOperation


@dataclass(frozen=True, slots=True, kw_only=True)
class Write(BaseOperation):
    """`content`, as UTF-8, to the one output."""

    MNEMONIC: ClassVar[str] = "Write"
    VERSION: ClassVar[int] = 1

    content: str
    executable: bool = False

    def execute(self, io: ActionIO) -> None:
        """Write the file."""
        io.write(self.content.encode(), executable=self.executable)
