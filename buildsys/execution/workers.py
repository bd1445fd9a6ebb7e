"""Workers: threads that run operations, and what they report.

Waking the coordinating thread costs more than rendering a template, and threads that all want the interpreter, and
give it up for each small file, spend half of their time on handing it over. So tasks that are known to be quick are
left to one worker, which takes them off a queue and reports when it runs dry (or after a while); the coordinating
thread had better wait for it. Of any other task it is reported that it begins, and at once what came of it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, Self

from buildsys.execution.shared import Shared
from buildsys.execution.threads import Threads
from buildsys.model.action import ActionResult
from buildsys.store.cas import BlobMissing

if TYPE_CHECKING:
    from types import TracebackType

    from buildsys.execution.action_io import BuildIO
    from buildsys.execution.outcome import Options
    from buildsys.execution.stop import Stop
    from buildsys.model.action import Action
    from buildsys.model.digest import Digest

REPORT_SECONDS = 0.02


class Task(NamedTuple):
    """An action that is to run."""

    action: Action
    key: Digest
    descriptor: str
    io: BuildIO
    quick: bool = False
    """It is known that such actions take next to no time."""


class Report(NamedTuple):
    """What a worker says of a task: that it has begun (then there is no result), or what became of it.

    `begun` tells whether its beginning was reported before.
    """

    task: Task
    result: ActionResult | BaseException | None
    seconds: float
    begun: bool


class Workers:
    """Threads for operations, for downloads, and for the parts of large ones (`helpers` and `fetchers`)."""

    def __init__(self, options: Options, stop: Stop) -> None:
        self._stop = stop
        self._jobs = options.jobs
        self._keep_going = options.keep_going
        self._halted = False
        self._pool = Threads(options.jobs, "action")
        self._network = Threads(options.downloads, "download")
        self.helpers = Threads(options.jobs, "helper")
        self.fetchers = Threads(options.downloads, "fetcher")
        self.shared = Shared()
        self._queue: deque[Task] = deque()
        self._lock = threading.Lock()
        self._active = 0
        self._slow = 0
        self.hurrying = 0
        """How many quick tasks have not been reported."""
        self._reports: deque[Report] = deque()
        self._bell: SimpleQueue[None] = SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until everything that runs has stopped; what has not begun is forgotten."""
        self._stop.set()
        for pool in (self._pool, self._network, self.helpers, self.fetchers):
            pool.close()
        self.shared.close()

    @property
    def backlog(self) -> int:
        """How many tasks have not begun."""
        return len(self._queue)

    def start(self, task: Task) -> None:
        """Have a task run as soon as a worker is free."""
        self._queue.append(task)
        self.hurrying += task.quick
        with self._lock:
            if self._active == self._jobs or (task.quick and self._active > self._slow):
                return
            self._active += 1
        self._pool.submit(self._work)

    def fetch(self, task: Task) -> None:
        """Have a task run that waits for others more than it works."""
        self._network.submit(partial(self._perform, task._replace(quick=False)))

    def drop(self) -> list[Task]:
        """Take back the tasks that have not begun."""
        dropped: list[Task] = []
        while self._queue:
            try:
                dropped.append(self._queue.popleft())
            except IndexError:
                break
        self.hurrying -= sum(task.quick for task in dropped)
        return dropped

    def reports(self, seconds: float) -> list[Report]:
        """Return what has been reported; wait up to so many seconds for something."""
        if seconds:
            with suppress(Empty):
                self._bell.get(timeout=seconds)
        while not self._bell.empty():
            self._bell.get()
        found = [self._reports.popleft() for _ in range(len(self._reports))]
        self.hurrying -= sum(report.task.quick for report in found)
        return found

    def _work(self) -> None:
        """Run tasks until there are none, in a thread of its own."""
        told = time.monotonic()
        while not (self._halted or self._stop.is_set()):
            try:
                task = self._queue.popleft()
            except IndexError:
                with self._lock:
                    if self._queue:
                        continue
                    self._active -= 1
                break
            if not task.quick:
                with self._lock:
                    self._slow += 1
                self._perform(task)
                with self._lock:
                    self._slow -= 1
                continue
            self._perform(task)
            if time.monotonic() - told > REPORT_SECONDS:
                self._bell.put(None)
                told = time.monotonic()
        self._bell.put(None)

    def _perform(self, task: Task) -> None:
        if not task.quick:
            self._reports.append(Report(task, None, 0.0, begun=False))
            self._bell.put(None)
        result, seconds = task.io.perform(task.key)
        if not self._keep_going and not isinstance(result, ActionResult | BlobMissing):
            self._halted = True  # nothing new begins before this has been heard of
        self._reports.append(Report(task, result, seconds, begun=not task.quick))
        if not task.quick:
            self._bell.put(None)
