"""SQLite databases that survive kills, full disks, other processes and damage.

A database holds nothing that cannot be made again: one that is damaged is set aside and a fresh one is begun.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from buildsys.boot import boot
from buildsys.errors import EnvironmentFault, InternalError
from buildsys.store.fault import disk_full, store_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

BUSY_SECONDS = 120
"""How long a writer waits for another process; every transaction is short."""


BULK = 500
"""How many rows are asked for at a time."""

ROWS = 100
"""How many rows are inserted by one statement."""

CACHE_KIB = 8192
CHECKPOINT_PAGES = 4000
"""How much is held in memory, and how much is appended to the log before it is brought into the file: what is written
at random places (indexes of digests) is then written a few times less often."""

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class Database:
    """One SQLite file in WAL mode, used by any thread, one statement at a time.

    It does not wait for the disk: its rows can be verified by whoever reads them, across a loss of power, too. Where
    that takes telling boots apart (`rubbish.boot`), and they cannot be, it does.
    """

    def __init__(self, path: str, schema: str, other: str = "--disk_cache=DIR") -> None:
        self.path = path
        self._other = other
        self._schema = schema
        self._lock = threading.RLock()
        self._connection = self._open()

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Run a query and return all its rows."""
        with self._lock, self._faults():
            return self._connection.execute(statement, parameters).fetchall()

    def rows_of(self, statement: str, keys: Sequence[Any]) -> Iterator[Any]:
        """Run a query for many keys and yield its rows, in any order; the text `(?)` in it stands for all of them."""
        for start in range(0, len(keys), BULK):
            some = keys[start : start + BULK]
            yield from self.rows(statement.replace("(?)", f"(?{',?' * (len(some) - 1)})"), some)

    def insert(self, connection: sqlite3.Connection, table: str, columns: int, rows: Iterable[Iterable[Any]]) -> None:
        """Insert rows (or put them in the place of those of the same key) within a transaction, many to a statement.

        Then SQLite works for many rows at a time while other threads run, and takes two thirds of the time.
        """
        row = f"({','.join('?' * columns)})"
        remaining = iter(rows)
        while some := list(islice(remaining, ROWS)):
            statement = f"INSERT OR REPLACE INTO {table} VALUES {','.join([row] * len(some))}"  # noqa: S608 - no input
            connection.execute(statement, list(chain.from_iterable(some)))

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run statements as one transaction, or as a part of one that has begun: all of them take effect, or none."""
        with self._lock, self._faults():
            if self._connection.in_transaction:
                yield self._connection
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.rollback()
                raise
            self._connection.commit()

    def close(self) -> None:
        """Close the file; using the database afterwards is an error."""
        with self._lock:
            self._connection.close()

    def _open(self) -> sqlite3.Connection:
        with self._faults():
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            try:
                return self._connect()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._set_aside()
                return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        connection.text_factory = _text
        try:
            self._prepare(connection)
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Set the journal and the schema; SQLite does not wait by itself for others that do so at the same time."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute(f"PRAGMA synchronous={'OFF' if boot() else 'NORMAL'}")
                connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
                connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
                connection.executescript(self._schema)
            except sqlite3.OperationalError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _set_aside(self) -> None:
        """Move a damaged file out of the way, keeping it for whoever wants to look at it."""
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(self.path + suffix):
                os.replace(self.path + suffix, self.path + ".damaged" + suffix)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn SQLite's and the system's complaints into faults of this machine; recover from damage."""
        try:
            yield
        except OSError as error:
            raise store_fault(error, self.path, self._other) from error
        except sqlite3.DatabaseError as error:
            if _is_damage(error):
                self._connection.close()
                self._set_aside()
                self._connection = self._connect()
                raise EnvironmentFault(
                    "B503",
                    f"the store's index {self.path} was damaged ({error}); it has been set aside and a new one begun",
                    hint="run the same command again: what is missing is made again",
                ) from error
            if not isinstance(error, sqlite3.OperationalError):
                raise InternalError("B900", f"{self.path}: {type(error).__name__}: {error}") from error
            if "full" in str(error):
                raise disk_full(self.path, self._other) from error
            raise EnvironmentFault(
                "B502",
                f"{self.path} cannot be used: {error}",
                hint=f"check that its folder is writable and the disk not full, or give another: {self._other}",
            ) from error


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Tell whether the file is damaged, rather than locked, full or used wrongly."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _text(data: bytes) -> str:
    """Decode text; what a flipped bit has made of it is for the reader's own checks to find."""
    return data.decode("utf-8", "replace")
