"""A writer that hashes what it writes, in a second thread, in one pass over the bytes."""

from __future__ import annotations

import hashlib
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_QUEUED = 8
"""Chunks that may wait to be hashed: bounds the memory that is held."""


class Hasher(Protocol):
    """A digest being computed."""

    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class HashingWriter:
    """Writes to a stream; `digest` and `size` are set once the context has ended.

    `hasher` (of what stands before) goes on; `size` counts what is written here alone.
    """

    def __init__(self, stream: BinaryIO, check: Callable[[], None], hasher: Hasher | None = None) -> None:
        self._stream = stream
        self._check = check
        self._hasher = hasher or hashlib.sha256()
        self._queue: Queue[bytes | Callable[[], None] | None] = Queue(_QUEUED)
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

    def then(self, call: Callable[[], None]) -> None:
        """Have `call` called, in the other thread, when all that was written is hashed."""
        self._queue.put(call)

    def _hash(self) -> None:
        while (item := self._queue.get()) is not None:
            if isinstance(item, bytes):
                self._hasher.update(item)
            else:
                item()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.put(None)
        self._thread.join()
        self.digest = self._hasher.hexdigest()
