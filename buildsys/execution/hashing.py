"""A writer that hashes what it writes, in a second thread, in one pass over the bytes."""

from __future__ import annotations

import hashlib
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING, BinaryIO, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_QUEUED = 8
"""Chunks that may wait to be hashed: bounds the memory that is held."""


class HashingWriter:
    """Writes to a stream; `digest` and `size` are set once the context has ended."""

    def __init__(self, stream: BinaryIO, check: Callable[[], None]) -> None:
        self._stream = stream
        self._check = check
        self._hasher = hashlib.sha256()
        self._queue: Queue[bytes | None] = Queue(_QUEUED)
        self._thread = Thread(target=self._hash, daemon=True)
        self.size = 0
        self.digest = ""

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Append `data`; the caller may change it afterwards."""
        self._check()
        block = bytes(data)
        self._queue.put(block)
        view = memoryview(block)
        while view:
            view = view[self._stream.write(view) :]
        self.size += len(block)
        return len(block)

    def _hash(self) -> None:
        while (block := self._queue.get()) is not None:
            self._hasher.update(block)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.put(None)
        self._thread.join()
        self.digest = self._hasher.hexdigest()
