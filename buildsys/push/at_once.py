"""Work on several things at a time that ends at the first failure, and that nobody has to wait for."""

from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
R = TypeVar("R")

PATIENCE = 1.0
"""Seconds in which the others may end by themselves when one has failed. Who hangs on a line ends with the program."""


def at_once(number: int, work: Callable[[T], R], items: Sequence[T], stop: threading.Event) -> list[tuple[T, R]]:
    """Do work on items, at most `number` at a time; return each with its result, in the order in which they came.

    What is raised first is passed on, an interruption too; then `stop` is set, which the others look at.
    """
    todo: SimpleQueue[T] = SimpleQueue()
    done: SimpleQueue[tuple[T, R] | BaseException] = SimpleQueue()
    for item in items:
        todo.put(item)

    def run() -> None:
        while not stop.is_set():
            try:
                item = todo.get_nowait()
            except Empty:
                return
            try:
                done.put((item, work(item)))
            except BaseException as error:  # noqa: BLE001 - handed on
                done.put(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(number, len(items)))]
    for thread in threads:
        thread.start()
    found: list[tuple[T, R]] = []
    try:
        while len(found) < len(items):
            result = done.get()
            if isinstance(result, BaseException):
                raise result
            found.append(result)
    except BaseException:
        stop.set()
        deadline = time.monotonic() + PATIENCE
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        raise
    return found
