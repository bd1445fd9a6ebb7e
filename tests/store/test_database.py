"""Databases: damage is set aside, other processes are waited for, trouble is a fault of the machine."""

from __future__ import annotations

import os
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from buildsys.errors import EnvironmentFault, InternalError
from buildsys.store import database as module
from buildsys.store.database import Database

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = "CREATE TABLE IF NOT EXISTS t (x INTEGER PRIMARY KEY, y TEXT)"


def opened(tmp_path: Path) -> Database:
    return Database(str(tmp_path / "folder" / "d.sqlite"), SCHEMA)


def insert(database: Database, *numbers: int) -> None:
    with database.transaction() as connection:
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, "y" * 1000) for n in numbers])


def numbers(database: Database) -> list[int]:
    return [row[0] for row in database.rows("SELECT x FROM t ORDER BY x")]


def test_rows_come_back(tmp_path: Path) -> None:
    database = opened(tmp_path)
    insert(database, 2, 1)
    database.close()
    assert numbers(opened(tmp_path)) == [1, 2]


def test_a_transaction_that_fails_changes_nothing(tmp_path: Path) -> None:
    database = opened(tmp_path)

    def fail() -> None:
        with database.transaction() as connection:
            connection.execute("INSERT INTO t VALUES (1, '')")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert numbers(database) == []
    insert(database, 3)
    assert numbers(database) == [3]


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "folder" / "d.sqlite"
    path.parent.mkdir()
    path.write_bytes(content)
    database = opened(tmp_path)
    insert(database, 1)
    assert numbers(database) == [1]
    assert path.with_name("d.sqlite.damaged").read_bytes() == content


def test_damage_that_is_found_later_is_set_aside_and_said(tmp_path: Path) -> None:
    database = opened(tmp_path)
    insert(database, *range(500))
    database.close()
    path = tmp_path / "folder" / "d.sqlite"
    size = path.stat().st_size
    with path.open("r+b") as stream:
        for offset in range(2 * 4096, size, 4096):
            stream.seek(offset)
            stream.write(os.urandom(4096))
    database = opened(tmp_path)
    with pytest.raises(EnvironmentFault) as caught:
        database.rows("SELECT sum(length(y)) FROM t")
    assert caught.value.code == "B503"
    assert str(path) in caught.value.message
    assert path.with_name("d.sqlite.damaged").exists()
    insert(database, 7)
    assert numbers(database) == [7]


def test_an_empty_file_is_a_new_database(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "d.sqlite").touch()
    assert numbers(opened(tmp_path)) == []


def test_another_process_is_waited_for(tmp_path: Path) -> None:
    database = opened(tmp_path)
    other = sqlite3.connect(database.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO t VALUES (1, '')")
    timer = threading.Timer(0.2, lambda: other.execute("COMMIT"))
    timer.start()
    insert(database, 2)
    timer.join()
    assert numbers(database) == [1, 2]
    other.close()


def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    database = opened(tmp_path)
    insert(database, 1)
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO t VALUES (2, '')")
    assert numbers(database) == [1]
    other.execute("ROLLBACK")
    other.close()


def test_one_that_stays_locked_is_a_fault_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    database = opened(tmp_path)
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(EnvironmentFault) as caught:
        insert(database, 1)
    assert (caught.value.code, "locked" in caught.value.message) == ("B502", True)
    other.execute("ROLLBACK")
    other.close()
    assert not os.path.exists(database.path + ".damaged")


def test_a_folder_that_is_a_file_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("")
    with pytest.raises(EnvironmentFault) as caught:
        opened(tmp_path)
    assert str(tmp_path / "folder") in caught.value.message


def test_a_file_that_is_a_folder_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "folder" / "d.sqlite").mkdir(parents=True)
    with pytest.raises(EnvironmentFault) as caught:
        opened(tmp_path)
    assert str(tmp_path / "folder" / "d.sqlite") in caught.value.message


def test_our_own_mistakes_do_not_cost_the_database(tmp_path: Path) -> None:
    database = opened(tmp_path)
    insert(database, 1)

    def twice() -> None:
        insert(database, 1)

    with pytest.raises(InternalError):
        twice()
    with pytest.raises(InternalError):
        database.rows("SELECT x FROM t WHERE x = ?")
    assert numbers(database) == [1]
    database.close()
    with pytest.raises(InternalError):
        numbers(database)
    assert numbers(opened(tmp_path)) == [1]


def test_many_open_a_new_database_at_once(tmp_path: Path) -> None:
    errors: list[BaseException] = []
    start = threading.Barrier(8)

    def work(number: int) -> None:
        try:
            start.wait(20)
            database = opened(tmp_path)
            insert(database, number)
            database.close()
        except BaseException as error:  # noqa: BLE001 - reported below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert numbers(opened(tmp_path)) == list(range(8))


def test_a_transaction_within_another_is_a_part_of_it(tmp_path: Path) -> None:
    database = opened(tmp_path)

    def fail() -> None:
        with database.transaction() as connection:
            connection.execute("INSERT INTO t VALUES (1, '')")
            insert(database, 2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert numbers(database) == []


@pytest.mark.parametrize("count", [0, 1, module.ROWS, module.ROWS + 1, 3 * module.BULK + 7])
def test_many_rows_are_inserted_replaced_and_asked_for(tmp_path: Path, count: int) -> None:
    database = opened(tmp_path)
    for text in ("before", "after"):
        with database.transaction() as connection:
            database.insert(connection, "t", 2, ((number, text) for number in range(count)))
    found = database.rows_of("SELECT x, y FROM t WHERE x IN (?)", range(0, count + 9, 2))
    assert sorted(found) == [(number, "after") for number in range(0, count, 2)]
