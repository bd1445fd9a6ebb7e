"""Stopping: how running operations learn that the user asked to stop, also those that wait for a silent server."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Stopped(Exception):
    """The build was interrupted; the operation gives up at its next write."""


class Stop:
    """A flag that is raised once; raising it wakes whoever waits for something else."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._wakers: set[Callable[[], None]] = set()

    def is_set(self) -> bool:
        """Tell whether it was raised."""
        return self._event.is_set()

    def set(self) -> None:
        """Raise the flag and call every waker."""
        self._event.set()
        with self._lock:
            wakers = list(self._wakers)
        for waker in wakers:
            waker()

    def wait(self, seconds: float) -> bool:
        """Wait until it is raised, or for so many seconds; tell whether it is."""
        return self._event.wait(seconds)

    @contextmanager
    def waking(self, waker: Callable[[], None]) -> Iterator[None]:
        """Have `waker` called, from another thread, when the flag is raised meanwhile."""
        with self._lock:
            self._wakers.add(waker)
        try:
            if self.is_set():
                waker()
            yield
        finally:
            with self._lock:
                self._wakers.discard(waker)
