"""Threads: calls run in order, a map keeps its order, the first error is raised, and an end waits for what runs."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest

from buildsys.execution.threads import Threads


def test_a_map_keeps_the_order_of_its_items_whoever_is_ready_first() -> None:
    threads = Threads(2, "test")
    second = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second.wait(10)
        if item == 1:
            second.set()
        return item * item

    assert threads.map(work, range(5)) == [0, 1, 4, 9, 16]
    assert threads.map(work, []) == []
    threads.close()


def test_the_first_error_of_a_map_is_raised_and_what_had_not_begun_is_left_out() -> None:
    threads, begun = Threads(1, "test"), []

    def work(item: int) -> None:
        begun.append(item)
        if item:
            raise ValueError(str(item))

    with pytest.raises(ValueError, match="1"):
        threads.map(work, range(5))
    assert begun == [0, 1]
    threads.close()


def test_no_more_threads_than_allowed_and_none_where_one_is_idle() -> None:
    threads, seen, turn = Threads(2, "test"), set(), threading.Barrier(2)

    def work(_: int) -> None:
        seen.add(threading.current_thread().name)
        turn.wait(10)

    before = threading.active_count()
    threads.map(work, range(6))
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
