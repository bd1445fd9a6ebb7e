"""The action cache: action key -> result, with the descriptor that the key is the digest of.

Only successes are stored. A result says which blobs an action made; whether they are still in the store is checked when
they are needed, and an action whose blob is lost runs again.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, NamedTuple

from buildsys.model.action import ActionResult, Value
from buildsys.model.digest import digest_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from buildsys.model.digest import Digest
    from buildsys.store.database import Database

FLUSH_COUNT = 5000

_BOOL = ("false", "true")

_PAGE = """
SELECT rowid, key, result, CASE WHEN substr(descriptor, 1, 1) = '{'
    THEN substr(descriptor, instr(descriptor, '"mnemonic":"'), 80) ELSE substr(descriptor, 1, 80) END
FROM actions WHERE rowid > ? ORDER BY rowid LIMIT ?"""
"""Of a descriptor, only what tells its kind is read."""


class Kept(NamedTuple):
    """A stored result, and what it is of: an action, by its `mnemonic`, or a `by_product` such as a frame."""

    result: ActionResult
    mnemonic: str
    by_product: str


class ActionCache:
    """Results by action key; what is put becomes visible to other processes with `flush`.

    `flush_blobs` makes blobs visible; it is called before each flush, while nothing can be put.
    """

    def __init__(self, database: Database, flush_blobs: Callable[[], None]) -> None:
        self._database = database
        self._flush_blobs = flush_blobs
        self._lock = threading.Lock()
        self._pending: dict[Digest, tuple[str, str]] = {}

    def get(self, key: Digest) -> ActionResult | None:
        """Return the result stored under `key`."""
        with self._lock:
            pending = self._pending.get(key)
        if pending is not None:
            return _decode(pending[0])
        rows = self._database.rows("SELECT result FROM actions WHERE key = ?", (bytes.fromhex(key),))
        text = _unseal(key, rows[0][0]) if rows else None
        return _decode(text) if text is not None else None

    def get_all(self, keys: Iterable[Digest]) -> dict[Digest, ActionResult]:
        """Return those results that are stored under `keys`."""
        found: dict[Digest, ActionResult] = {}
        asked: list[bytes] = []
        with self._lock:
            for key in keys:
                pending = self._pending.get(key)
                if pending is None:
                    asked.append(bytes.fromhex(key))
                else:
                    found[key] = _decode(pending[0])
        for raw, row in self._database.rows_of("SELECT key, result FROM actions WHERE key IN (?)", asked):
            key = raw.hex()
            text = _unseal(key, row)
            if text is not None:
                found[key] = _decode(text)
        return found

    def put(self, key: Digest, result: ActionResult, descriptor: str) -> None:
        """Remember the result of an action that succeeded."""
        self.put_all([(key, result, descriptor)])

    def put_all(self, results: Iterable[tuple[Digest, ActionResult, str]]) -> None:
        """Remember the results of actions that succeeded: key, result and descriptor of each."""
        with self._lock:
            for key, result, descriptor in results:
                self._pending[key] = (_encode(result), descriptor)
            full = len(self._pending) > FLUSH_COUNT
        if full:
            self.flush()

    def descriptor(self, key: Digest) -> str | None:
        """Return the descriptor that `key` is the digest of, when its action has ever succeeded here."""
        with self._lock:
            pending = self._pending.get(key)
        if pending is not None:
            return pending[1]
        rows = self._database.rows("SELECT descriptor FROM actions WHERE key = ?", (bytes.fromhex(key),))
        return str(rows[0][0]) if rows else None

    def pages(self, count: int) -> Iterator[list[Kept]]:
        """Yield all results that are stored and sound, at most `count` at a time."""
        last = 0
        while rows := self._database.rows(_PAGE, (last, count)):
            last = rows[-1][0]
            sound = ((_unseal(raw.hex(), row), head) for _, raw, row, head in rows)
            yield [Kept(_decode(text), *_names(head)) for text, head in sound if text is not None]

    def flush(self) -> None:
        """Make what was put visible to other processes, in one transaction, after the blobs that it names."""
        with self._lock:
            self._flush_blobs()
            pending = self._pending
            if not pending:
                return
            with self._database.transaction() as connection:
                rows = ((bytes.fromhex(key), _seal(key, pending[key][0]), pending[key][1]) for key in sorted(pending))
                self._database.insert(connection, "actions", 3, rows)
            self._pending = {}


def _encode(result: ActionResult) -> str:
    """Return a result as JSON; `json` would take four times as long for its values."""
    values = [f'["{v.digest}",{v.size},{_BOOL[v.executable]},{_BOOL[v.tree]}]' for v in result.outputs]
    return f"[[{','.join(values)}],{json.dumps(result.log)}]"


def _decode(text: str) -> ActionResult:
    outputs, log = json.loads(text)
    return ActionResult(tuple(Value(*value) for value in outputs), log)


def _seal(key: Digest, text: str) -> str:
    """Append a check to a result, so that a damaged row is a miss and not a wrong hit."""
    return f"{text}\t{digest_bytes((key + text).encode())[:16]}"


def _unseal(key: Digest, row: str) -> str | None:
    text = str(row).rpartition("\t")[0]
    return text if row == _seal(key, text) else None


def _names(head: str) -> tuple[str, str]:
    """Return the mnemonic of an action, or what kind of by-product it is, from what its descriptor begins with."""
    if head.startswith('"mnemonic":"'):
        return head.split('"')[3], ""
    return "", head.partition(" ")[0]
