"""Progress on a terminal: one line that says how much is done and what is running."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TextIO

from buildsys.model.events import NoEvents

if TYPE_CHECKING:
    from buildsys.model.action import Action

INTERVAL = 0.1


class Progress(NoEvents):
    """Keeps one status line up to date; `clear` removes it. Implements `model.events.Events`."""

    def __init__(self, stream: TextIO, width: int) -> None:
        self._stream = stream
        self._width = max(20, width)
        self._running: dict[int, str] = {}
        self._done = 0
        self._drawn = 0.0
        self._bytes: dict[str, tuple[int, int | None]] = {}
        self._lock = threading.Lock()

    def started(self, action: Action) -> None:
        """An action begins to run."""
        with self._lock:
            self._running[id(action)] = action.progress
            self._draw()

    def finished(self, action: Action, seconds: float) -> None:
        """An action has run."""
        with self._lock:
            self._running.pop(id(action), None)
            self._done += 1
            self._draw()

    def transferred(self, what: str, received: int, total: int | None) -> None:
        """Bytes of a download have arrived."""
        with self._lock:
            self._bytes[what] = (received, total)
            self._draw()

    def clear(self) -> None:
        """Remove the status line."""
        with self._lock:
            self._stream.write("\r\033[K")
            self._stream.flush()

    def _draw(self) -> None:
        now = time.monotonic()
        if now - self._drawn < INTERVAL:
            return
        self._drawn = now
        running = list(self._running.values())
        text = f"[{self._done} done, {len(running)} running]"
        if running:
            text += f" {running[0]}{self._share(running[0])}"
        if len(running) > 1:
            text += f" ... and {len(running) - 1} more"
        self._stream.write(f"\r\033[K{text[: self._width - 1]}")
        self._stream.flush()

    def _share(self, progress: str) -> str:
        received, total = self._bytes.get(progress.removeprefix("Download "), (0, None))
        if not received:
            return ""
        return f" {received >> 20} MiB" + (f" of {total >> 20}" if total else "")
