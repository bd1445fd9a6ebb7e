"""What a workspace remembers between builds: digests of its files, the last key of each action, and the journal.

All of it can be made again; none of it is shared with other workspaces.
"""

from __future__ import annotations

import json
import threading
import time
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, NamedTuple

from buildsys.boot import boot
from buildsys.snapshot import COARSE_NS, FINE_NS
from buildsys.store.database import Database

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from buildsys.model.digest import Digest


_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER, seen_ns INTEGER,
    digest BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS boots (boot TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS last_keys (name TEXT PRIMARY KEY, key TEXT NOT NULL, inputs TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS durations (kind TEXT, name TEXT, seconds REAL, PRIMARY KEY (kind, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS builds (build INTEGER PRIMARY KEY, at INTEGER, request TEXT, outcome TEXT);
CREATE TABLE IF NOT EXISTS ran (
    build INTEGER, seq INTEGER, name TEXT, owner TEXT, key TEXT, inputs TEXT, before TEXT, before_inputs TEXT,
    reason TEXT, seconds REAL, PRIMARY KEY (build, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pushed (host TEXT, digest BLOB, repository TEXT, PRIMARY KEY (host, digest));
"""

KEPT_BUILDS = 20

KEPT_PUSHED = 10_000
"""Of so many blobs it is remembered where they were pushed."""

FLUSH_COUNT = 5000
"""How much is remembered before it is written."""

_FILES = "SELECT path, size, mtime_ns, ctime_ns, inode, seen_ns, digest FROM files WHERE path IN (?)"
_PUSHED = "SELECT host, digest, repository FROM pushed WHERE digest IN (?)"
_KEYS = "SELECT name, key, inputs FROM last_keys WHERE name IN (?)"


class FileState(NamedTuple):
    """A file's fingerprint, when it was taken, and the digest of the content it then had."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    seen_ns: int
    digest: Digest

    def holds(self, stat: os.stat_result) -> bool:
        """Tell whether `stat` proves that the content is still the one that was hashed."""
        margin = COARSE_NS if self.ctime_ns % 1_000_000 == 0 else FINE_NS
        return (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino) == (
            self.size,
            self.mtime_ns,
            self.ctime_ns,
            self.inode,
        ) and self.ctime_ns + margin < self.seen_ns


class RanAction(NamedTuple):
    """An action that ran: its key and input names now and the last time, why it ran, and for how long."""

    name: str
    owner: str
    key: Digest
    inputs: tuple[str, ...]
    before: Digest
    before_inputs: tuple[str, ...]
    reason: str
    seconds: float


def file_state(stat: os.stat_result, seen_ns: int, digest: Digest) -> FileState:
    """Make a state out of a stat that was taken at `seen_ns`, before the content was read."""
    return FileState(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, seen_ns, digest)


class WorkspaceState:
    """The workspace's memory, in one SQLite file below the output base."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._database = Database(path, _SCHEMA, "--output_base=DIR")
        self._forget_outputs()
        self._lock = threading.Lock()
        self._changed: dict[str, FileState] = {}
        self._new_keys: dict[str, tuple[Digest, str]] = {}

    def _forget_outputs(self) -> None:
        """After another boot, trust nothing that was written in it: the system may have lost the end of it."""
        if self._database.rows("SELECT boot FROM boots") == [(boot(),)]:
            return
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM files WHERE path GLOB 'out:*' OR path GLOB 'previous:*'")
            connection.execute("DELETE FROM boots")
            connection.execute("INSERT INTO boots VALUES (?)", (boot(),))

    def file(self, path: str) -> FileState | None:
        """Return what is remembered of the file at `path` (as the caller spells it)."""
        return self.files([path]).get(path)

    def files(self, paths: Sequence[str]) -> dict[str, FileState]:
        """Return what is remembered of several files, by path."""
        with self._lock:
            changed = self._changed
            found = {path: changed[path] for path in paths if path in changed}
        asked = [path for path in paths if path not in found] if found else paths
        for row in self._database.rows_of(_FILES, asked):
            if isinstance(row[6], bytes):
                found[row[0]] = FileState._make((*row[1:6], row[6].hex()))
        return found

    def remember_file(self, path: str, state: FileState) -> None:
        """Remember the state of a file; written with `flush`, or when there is much to write."""
        self.remember_files({path: state})

    def remember_files(self, states: Mapping[str, FileState]) -> None:
        """Remember the states of several files, by path."""
        with self._lock:
            self._changed.update(states)
            full = len(self._changed) > FLUSH_COUNT
        if full:
            self.flush()

    def last_key(self, name: str) -> tuple[Digest, tuple[str, ...]] | None:
        """Return the key and the input names that the action called `name` had when it was last seen."""
        found = self.last_keys([name]).get(name)
        return (found[0], tuple(json.loads(found[1]))) if found else None

    def last_keys(self, names: Sequence[str]) -> dict[str, tuple[Digest, str]]:
        """Return the keys and the input names (as JSON) that several actions had when they were last seen, by name."""
        with self._lock:
            new = self._new_keys
            found = {name: new[name] for name in names if name in new}
        asked = [name for name in names if name not in found] if found else names
        found.update((row[0], (row[1], row[2])) for row in self._database.rows_of(_KEYS, asked))
        return found

    def remember_key(self, name: str, key: Digest, inputs: Iterable[str]) -> None:
        """Remember the key of an action; written with `flush`, or when there is much to write."""
        with self._lock:
            self._new_keys[name] = (key, _list(inputs))
            full = len(self._new_keys) > FLUSH_COUNT
        if full:
            self.flush()

    def record_build(self, request: str, outcome: str, ran: Iterable[RanAction]) -> None:
        """Add a build to the journal; older builds beyond KEPT_BUILDS are dropped."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO builds (at, request, outcome) VALUES (?, ?, ?)", (int(time.time()), request, outcome)
            )
            build = cursor.lastrowid or 0
            rows = ((build, seq, *_row(entry)) for seq, entry in enumerate(ran))
            self._database.insert(connection, "ran", 10, rows)
            connection.execute("DELETE FROM builds WHERE build <= ?", (build - KEPT_BUILDS,))
            connection.execute("DELETE FROM ran WHERE build <= ?", (build - KEPT_BUILDS,))

    def durations(self) -> list[tuple[str, str, float]]:
        """Return how long actions took: kind, name (empty for the mean of a kind) and seconds."""
        return self._database.rows("SELECT kind, name, seconds FROM durations")

    def remember_durations(self, durations: Iterable[tuple[str, str, float]]) -> None:
        """Remember how long actions took."""
        with self._database.transaction() as connection:
            self._database.insert(connection, "durations", 3, durations)

    def last_build(self) -> tuple[str, str, list[RanAction]] | None:
        """Return the request, the outcome and the actions that ran of the newest build in the journal."""
        builds = self._database.rows("SELECT build, request, outcome FROM builds ORDER BY build DESC LIMIT 1")
        if not builds:
            return None
        build, request, outcome = builds[0]
        rows = self._database.rows(
            "SELECT name, owner, key, inputs, before, before_inputs, reason, seconds FROM ran"
            " WHERE build = ? ORDER BY seq",
            (build,),
        )
        ran = [
            RanAction(r[0], r[1], r[2], tuple(json.loads(r[3])), r[4], tuple(json.loads(r[5])), r[6], r[7])
            for r in rows
        ]
        return request, outcome, ran

    def pushed(self, host: str, digests: Sequence[Digest]) -> dict[Digest, str]:
        """Return a repository for each of some blobs that this workspace has pushed to a registry."""
        found = {}
        asked = [bytes.fromhex(digest) for digest in digests]
        for there, digest, repository in self._database.rows_of(_PUSHED, asked):
            if there == host and isinstance(digest, bytes):
                found[digest.hex()] = repository
        return found

    def remember_pushed(self, host: str, repository: str, digests: Iterable[Digest]) -> None:
        """Remember that blobs are in a repository of a registry."""
        with self._database.transaction() as connection:
            rows = [(host, bytes.fromhex(digest), repository) for digest in digests]
            self._database.insert(connection, "pushed", 3, rows)
            connection.execute("DELETE FROM pushed WHERE rowid <= (SELECT max(rowid) FROM pushed) - ?", (KEPT_PUSHED,))

    def flush(self) -> None:
        """Write what was remembered, in one transaction."""
        with self._lock:
            files, keys = self._changed, self._new_keys
            if not files and not keys:
                return
            with self._database.transaction() as connection:
                rows = ((path, *files[path][:5], bytes.fromhex(files[path].digest)) for path in sorted(files))
                self._database.insert(connection, "files", 7, rows)
                self._database.insert(connection, "last_keys", 3, ((name, *keys[name]) for name in sorted(keys)))
            self._changed = {}
            self._new_keys = {}

    def close(self) -> None:
        """Flush and close."""
        try:
            self.flush()
        finally:
            self._database.close()


def _row(ran: RanAction) -> tuple[str, str, Digest, str, Digest, str, str, float]:
    inputs, before_inputs = _list(ran.inputs), _list(ran.before_inputs)
    return (ran.name, ran.owner, ran.key, inputs, ran.before, before_inputs, ran.reason, ran.seconds)


def _list(texts: Iterable[str]) -> str:
    """Return texts as a list in JSON."""
    return f"[{', '.join(map(encode_basestring_ascii, texts))}]"
