"""Decompress: what a compressed file holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from buildsys.archive.detect import compression_of, open_compressed
from buildsys.archive.fault import ArchiveFault
from buildsys.archive.limits import Limits, Meter
from buildsys.archive.streams import read_full
from buildsys.errors import ActionFailed
from buildsys.model.action import ActionIO, Artifact, BaseOperation
from buildsys.model.digest import CHUNK


@dataclass(frozen=True, slots=True, kw_only=True)
class Decompress(BaseOperation):
    """The content of `src`; a file that is not compressed is its own content. Damaged data is B702, a bomb B704."""

    MNEMONIC: ClassVar[str] = "Decompress"
    VERSION: ClassVar[int] = 1

    src: Artifact

    def execute(self, io: ActionIO) -> None:
        """Write the content as the one output."""
        value = io.value(self.src)
        with io.open(self.src) as stream:
            head = read_full(stream, 16)
            compression = compression_of(head)
        if not compression:
            io.adopt(value.digest, executable=value.executable)
            return
        try:
            with io.open(self.src) as stream, io.create(0, executable=value.executable) as out:
                meter = Meter(Limits(), value.size)
                content = open_compressed(stream, compression)
                while chunk := content.read(CHUNK):
                    meter.add(len(chunk))
                    out.write(chunk)
        except ArchiveFault as fault:
            code = "B704" if fault.kind == "bomb" else "B702"
            raise ActionFailed(
                code,
                f"cannot decompress '{self.src.name}': {fault}",
                hint="check the address and the digest it is pinned to",
            ) from fault
