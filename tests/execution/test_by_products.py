"""By-products: made once whoever asks, and kept; a failure is told to who asked first."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from buildsys.execution.by_products import ByProducts
from buildsys.execution.threads import Threads
from buildsys.model.action import Value
from buildsys.model.digest import digest_bytes
from buildsys.store.local import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BIG = b"x" * 100_000


class Bench:
    """By-products over a real store and two helpers."""

    def __init__(self, root: Path) -> None:
        self.store = open_store(str(root))
        self.helpers = Threads(2, "helper")
        self.products = ByProducts(self.store, self.helpers, self.helpers)
        self.made = 0

    def make(self) -> Value:
        self.made += 1
        return Value(self.store.blobs.put(BIG), len(BIG))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.helpers.close()
    made.store.close()


def test_what_is_made_is_kept_and_recalled_while_its_blob_is_there(bench: Bench) -> None:
    value = bench.products.begin("frame a", bench.make)()
    assert value == Value(digest_bytes(BIG), len(BIG))
    assert bench.products.recall(["frame a", "frame b"]) == {"frame a": value}
    bench.store.flush()
    path = bench.store.blobs.path(value.digest)
    assert path is not None
    os.unlink(path)
    bench.store.blobs.forget_soundness()
    assert bench.products.recall(["frame a"]) == {}


def test_what_is_being_made_is_made_once_whoever_asks(bench: Bench) -> None:
    gate = threading.Event()

    def slowly() -> Value:
        assert gate.wait(10)
        return bench.make()

    waits = [bench.products.begin("frame a", slowly) for _ in range(5)]
    gate.set()
    assert len({wait() for wait in waits}) == 1
    assert bench.made == 1
    assert bench.products.begin("frame a", bench.make)().size == len(BIG)
    assert bench.made == 1, "a late one finds what was kept"


def test_who_asked_later_makes_what_the_first_one_could_not(bench: Bench) -> None:
    gate = threading.Event()

    def failing() -> Value:
        assert gate.wait(10)
        raise RuntimeError("not now")

    first, second = bench.products.begin("frame a", failing), bench.products.begin("frame a", bench.make)
    gate.set()
    with pytest.raises(RuntimeError, match="not now"):
        first()
    assert second().size == len(BIG)
    assert "frame a" in bench.products.recall(["frame a"])


def test_who_waits_hears_of_what_is_wrong(bench: Bench) -> None:
    def failing() -> Value:
        raise RuntimeError("never")

    with pytest.raises(RuntimeError, match="never"):
        bench.products.begin("frame a", failing)()
    assert bench.products.begin("frame a", bench.make)().size == len(BIG), "a failure is not kept"
