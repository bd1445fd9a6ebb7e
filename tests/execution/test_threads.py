"""Threads: calls run in order, no more threads than allowed, and an end waits for what runs."""

from __future__ import annotations

import threading
import time
from functools import partial

from buildsys.execution.threads import Threads


def test_no_more_threads_than_allowed_and_none_where_one_is_idle() -> None:
    threads, seen, turn, done = Threads(2, "test"), set(), threading.Barrier(2), threading.Semaphore(0)

    def work() -> None:
        seen.add(threading.current_thread().name)
        turn.wait(10)
        done.release()

    before = threading.active_count()
    for _ in range(6):
        threads.submit(work)
    for _ in range(6):
        assert done.acquire(timeout=10)
    assert seen == {"test-0", "test-1"}
    assert threading.active_count() == before + 2
    threads.close()
    assert threading.active_count() == before


def test_closing_forgets_what_has_not_begun_and_waits_for_what_has() -> None:
    threads, gate, ran = Threads(1, "test"), threading.Event(), list[str]()
    begun = threading.Event()

    def first() -> None:
        begun.set()
        assert gate.wait(10)
        ran.append("first")

    threads.submit(first)
    for word in ("second", "third"):
        threads.submit(partial(ran.append, word))
    assert begun.wait(10)
    closing = threading.Thread(target=threads.close)
    closing.start()
    while threads._calls.qsize() > 1:  # then only the word that ends the thread is left
        time.sleep(0.001)
    gate.set()
    closing.join(10)
    assert ran == ["first"]
