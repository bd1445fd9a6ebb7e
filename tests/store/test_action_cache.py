"""The action cache: what was put comes back, and what was damaged does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildsys.model.action import ActionResult, Value, action_key
from buildsys.store import action_cache
from buildsys.store.local import LocalStore, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DESCRIPTOR = '{"inputs":[],"mnemonic":"Ä"}'
KEY = action_key(DESCRIPTOR)
RESULT = ActionResult((Value("1" * 64, 5, executable=True), Value("2" * 64, 0, tree=True)), "a log\twith a tab\n")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    made = open_store(str(tmp_path))
    yield made
    made.close()


def again(store: LocalStore) -> LocalStore:
    """Open the store as another process does."""
    return open_store(store.root.removesuffix("/v1"))


def test_a_result_comes_back_before_and_after_a_flush(store: LocalStore) -> None:
    store.actions.put(KEY, RESULT, DESCRIPTOR)
    assert store.actions.get(KEY) == RESULT
    store.actions.flush()
    other = again(store)
    assert store.actions.get(KEY) == other.actions.get(KEY) == RESULT
    other.close()


def test_a_key_that_was_never_put_has_no_result(store: LocalStore) -> None:
    assert store.actions.get(KEY) is None
    assert store.actions.descriptor(KEY) is None


def test_a_descriptor_comes_back_and_its_digest_is_the_key(store: LocalStore) -> None:
    store.actions.put(KEY, RESULT, DESCRIPTOR)
    assert store.actions.descriptor(KEY) == DESCRIPTOR
    store.actions.flush()
    found = store.actions.descriptor(KEY)
    assert found is not None
    assert action_key(found) == KEY


def test_the_last_result_counts(store: LocalStore) -> None:
    other = ActionResult((Value("3" * 64, 1),))
    store.actions.put(KEY, RESULT, DESCRIPTOR)
    store.actions.flush()
    store.actions.put(KEY, other, DESCRIPTOR)
    assert store.actions.get(KEY) == other
    store.actions.flush()
    assert store.actions.get(KEY) == other


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE actions SET result = replace(result, '11', '21')",
        "UPDATE actions SET result = substr(result, 2)",
        "UPDATE actions SET result = substr(result, 1, length(result) - 1)",
        "UPDATE actions SET result = ''",
        "UPDATE actions SET result = x'ff00fe'",
        "UPDATE actions SET result = 7",
    ],
)
def test_a_damaged_row_is_a_miss(store: LocalStore, damage: str) -> None:
    store.actions.put(KEY, RESULT, DESCRIPTOR)
    store.actions.flush()
    with store.database.transaction() as connection:
        connection.execute(damage)
    assert store.actions.get(KEY) is None
    store.actions.put(KEY, RESULT, DESCRIPTOR)
    store.actions.flush()
    assert store.actions.get(KEY) == RESULT


def test_a_row_under_another_key_is_a_miss(store: LocalStore) -> None:
    store.actions.put(KEY, RESULT, DESCRIPTOR)
    store.actions.flush()
    with store.database.transaction() as connection:
        connection.execute("UPDATE actions SET key = ?", (b"\0" * 32,))
    assert store.actions.get("00" * 32) is None


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=90))
def test_no_bytes_in_a_row_are_taken_for_a_result_or_raise(store: LocalStore, data: bytes) -> None:
    with store.database.transaction() as connection:
        connection.execute("INSERT OR REPLACE INTO actions VALUES (?, CAST(? AS TEXT), '')", (bytes.fromhex(KEY), data))
    assert store.actions.get(KEY) is None


def test_many_results_are_written_before_a_flush_is_asked_for(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(action_cache, "FLUSH_COUNT", 5)
    for number in range(7):
        store.actions.put(f"{number:064x}", RESULT, "{}")
    other = again(store)
    assert other.actions.get(f"{0:064x}") == RESULT
    other.close()
