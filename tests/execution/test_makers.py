"""Makers: which action is run again for a lost blob."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildsys.execution.makers import Makers
from buildsys.model.action import Value
from buildsys.model.tree import FILE, Entry, Tree
from buildsys.store.local import LocalStore, open_store
from tests.execution.engine import output, toy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from buildsys.model.action import Artifact

FILE_DIGEST = "f" * 64
FIRST, SECOND = toy("first"), toy("second")


def tree(path: str) -> bytes:
    return Tree.of([Entry(path, FILE, 0o644, FILE_DIGEST, 1)]).to_bytes()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    made = open_store(str(tmp_path))
    yield made
    made.close()


def made(store: LocalStore, values: dict[Artifact, Value]) -> Makers:
    makers = Makers(store.blobs, values)
    makers.add(FIRST)
    makers.add(SECOND)
    return makers


def test_an_output_is_found_before_what_is_in_trees(store: LocalStore) -> None:
    data = tree("a")
    values = {output("first"): Value(store.blobs.put(data), len(data), tree=True)}
    values[output("second")] = Value(FILE_DIGEST, 1)
    assert made(store, values).find(FILE_DIGEST) is SECOND


def test_nobody_makes_what_is_nowhere(store: LocalStore) -> None:
    values = {output("first"): Value("1" * 64, 1), output("second"): Value("2" * 64, 1, tree=True)}
    assert made(store, values).find(FILE_DIGEST) is None


def test_the_first_tree_counts_once_it_can_be_read(store: LocalStore) -> None:
    """A later tree may be made of an earlier one, so what makes the earlier one is right as soon as that is known."""
    early, late = tree("a"), tree("b")
    lost = Value(Tree.from_bytes(early).digest, len(early), tree=True)
    values = {output("first"): lost, output("second"): Value(store.blobs.put(late), len(late), tree=True)}
    makers = made(store, values)
    assert makers.find(FILE_DIGEST) is SECOND
    store.blobs.put(early)
    assert makers.find(FILE_DIGEST) is FIRST
