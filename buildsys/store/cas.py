"""The content-addressed store: blobs by SHA-256.

Layout of the versioned bucket, below the store's root:

    v1/cas/sha256/ab/<hex>   one read-only file for a blob of PACK_LIMIT bytes or more
    v1/index.sqlite          `pack`: the bytes of smaller blobs; `files`: the fingerprint of each file; `actions`;
                             `composed`: what a blob is made of that is not kept as bytes of its own
    v1/tmp/                  blobs being written; whatever is found there when nobody writes is rubbish

A blob is written to `tmp` and renamed, so a blob that is there is whole. A small blob is hashed each time it is read; a
large one is trusted while its fingerprint (size, mtime, ctime, inode) is the one recorded when it was hashed, and
hashed again otherwise. What fails the check is removed and counts as missing: its producer runs again.

Nobody waits for the disk: what the system had not written out yet when it lost its power cannot be told by a
fingerprint. So a fingerprint is trusted within the boot in which it was taken; after another one the file is hashed
once more. Where boots cannot be told apart, files and the index are flushed to the disk instead.
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, BinaryIO, cast

from buildsys.boot import boot as this_boot
from buildsys.model.digest import Digest, digest_bytes, digest_stream
from buildsys.store import composed
from buildsys.store.fault import store_fault
from buildsys.store.rubbish import owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from buildsys.model.composition import Part
    from buildsys.store.database import Database

PACK_LIMIT = 64 * 1024
"""Blobs below this many bytes share one file: making an inode costs more than writing them."""

FLUSH_BYTES = 8 << 20
FLUSH_COUNT = 5000

SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS pack (digest BLOB PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    digest BLOB PRIMARY KEY, boot TEXT, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS actions (
    key BLOB PRIMARY KEY, result TEXT NOT NULL, descriptor TEXT NOT NULL);
"""
    + composed.SCHEMA
)
"""Rows are appended, and only the indexes of digests are written at random places. Where the rows themselves are in the
order of their digests (WITHOUT ROWID), a build of 100,000 small files writes 28 instead of 3 KB for each."""


class BlobMissing(Exception):
    """A blob is not in the store (any more); `digests` says which ones are known to be missing, `digest` the first."""

    def __init__(self, *digests: Digest) -> None:
        super().__init__(*digests)
        self.digests = digests
        self.digest = digests[0]


class BlobWriter:
    """A blob that is being written: hashed on the way, kept in memory while it is small."""

    def __init__(self, store: BlobStore, check: Callable[[], None]) -> None:
        self._store = store
        self._check = check
        self._hasher = hashlib.sha256()
        self._buffer: bytearray | None = bytearray()
        self._file: BinaryIO | None = None
        self._path = ""
        self.size = 0
        self.digest: Digest = ""

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Append `data`."""
        self._check()
        self._hasher.update(data)
        self.size += len(data)
        if self._buffer is not None:
            self._buffer += data
            if len(self._buffer) >= PACK_LIMIT:
                self._path = self._store.temporary()
                self._file = open(self._path, "xb", buffering=0)  # noqa: SIM115 - closed by commit or abandon
                self._write_out(self._buffer)
                self._buffer = None
        else:
            self._write_out(data)
        return len(data)

    def hexdigest(self) -> Digest:
        """Return the digest of what was written so far."""
        return self._hasher.hexdigest()

    def commit(self) -> None:
        """Put what was written into the store; `digest` is set afterwards."""
        self.digest = self._hasher.hexdigest()
        if self._buffer is not None:
            self._store.add_small(self.digest, bytes(self._buffer))
            return
        if self._file is None:
            return
        os.fchmod(self._file.fileno(), 0o444)
        if not self._store.boot:
            os.fdatasync(self._file.fileno())
        self._file.close()
        self._store.add_file(self.digest, self._path)
        self._file = None

    def abandon(self) -> None:
        """Drop what was written."""
        if self._file is not None:
            self._file.close()
            self._file = None
            with suppress(OSError):
                os.unlink(self._path)

    def _write_out(self, data: bytes | bytearray | memoryview) -> None:
        if self._file is not None:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]


class BlobStore:
    """Blobs by digest, shared by any number of threads and processes."""

    def __init__(self, root: str, database: Database) -> None:
        self.boot = this_boot()
        """This run of the system; empty where it has no name."""
        self._cas = os.path.join(root, "cas", "sha256")
        self._tmp = os.path.join(root, "tmp")
        self._database = database
        self._lock = threading.Lock()
        self._pending: dict[Digest, bytes] = {}
        self._pending_bytes = 0
        self._new_files: dict[Digest, tuple[int, int, int, int]] = {}
        self._composed: dict[Digest, tuple[Part, ...]] = {}
        self._made: set[str] = set()
        self._sound: set[Digest] = set()
        self._serial = count()
        self._token = os.urandom(4).hex()
        try:
            os.makedirs(self._cas, exist_ok=True)
            os.makedirs(self._tmp, exist_ok=True)
        except OSError as error:
            raise store_fault(error, root) from error

    @contextmanager
    def create(self, check: Callable[[], None] = lambda: None) -> Iterator[BlobWriter]:
        """Write a blob; it is in the store once the context ends without an exception.

        `check` is called at each write and may raise to give up.
        """
        writer = BlobWriter(self, check)
        try:
            yield writer
            writer.commit()
        except OSError as error:
            writer.abandon()
            raise store_fault(error, self._tmp) from error
        except BaseException:
            writer.abandon()
            raise

    def put(self, data: bytes) -> Digest:
        """Store `data` and return its digest."""
        if len(data) < PACK_LIMIT:
            digest = digest_bytes(data)
            self.add_small(digest, data)
            return digest
        with self.create() as writer:
            writer.write(data)
        return writer.digest

    def contains(self, digest: Digest) -> bool:
        """Tell whether the blob is here and sound."""
        if digest in self._sound or digest in self._pending:
            return True
        if self._small(digest) is not None or self._sound_file(digest) or self.parts(digest):
            self._sound.add(digest)
            return True
        return False

    def missing(self, digests: Iterable[Digest]) -> list[Digest]:
        """Return those of `digests` that are not in the store."""
        asked = [d for d in dict.fromkeys(digests) if d not in self._sound and d not in self._pending]
        if not asked:
            return []
        self._sound.update(digest for digest, _ in self.small(asked))
        return [digest for digest in asked if not self.contains(digest)]

    def small(self, digests: Sequence[Digest]) -> Iterator[tuple[Digest, bytes]]:
        """Yield those of `digests` that are small blobs of the store, with their bytes, in any order."""
        asked: list[bytes] = []
        for digest in digests:
            data = self._pending.get(digest)
            if data is None:
                asked.append(bytes.fromhex(digest))
            else:
                yield digest, data
        for raw, data in self._database.rows_of("SELECT digest, data FROM pack WHERE digest IN (?)", asked):
            if isinstance(data, bytes) and hashlib.sha256(data).digest() == raw:
                yield raw.hex(), data
            else:
                with self._database.transaction() as connection:
                    connection.execute("DELETE FROM pack WHERE digest = ?", (raw,))

    def open(self, digest: Digest) -> BinaryIO:
        """Open a blob for reading. Raises `BlobMissing`."""
        data = self._small(digest)
        if data is not None:
            return io.BytesIO(data)
        if not self._sound_file(digest):
            if parts := self.parts(digest):
                return cast("BinaryIO", composed.ComposedReader(parts, lambda part: self._open_part(digest, part)))
            raise BlobMissing(digest)
        try:
            return open(self._file(digest), "rb", buffering=0)
        except FileNotFoundError as error:
            raise BlobMissing(digest) from error

    def _open_part(self, digest: Digest, part: Digest) -> BinaryIO:
        """Open a blob that another one is made of. Raises `BlobMissing` of that other one, which somebody makes."""
        try:
            return self.open(part)
        except BlobMissing as error:
            raise BlobMissing(digest) from error

    def read(self, digest: Digest) -> bytes:
        """Return a blob that is known to be small. Raises `BlobMissing`."""
        with self.open(digest) as stream:
            return stream.read()

    def small_amount(self) -> tuple[int, int]:
        """Return how many small blobs are stored, and their bytes in all; none is read."""
        ((count, size),) = self._database.rows("SELECT count(*), total(length(data)) FROM pack")
        return count, int(size)

    def size(self, digest: Digest) -> int:
        """Return the size of a blob in bytes. Raises `BlobMissing`."""
        data = self._small(digest)
        if data is not None:
            return len(data)
        try:
            return os.stat(self._file(digest)).st_size
        except OSError as error:
            if parts := self.parts(digest):
                return sum(part.size for part in parts)
            raise BlobMissing(digest) from error

    def path(self, digest: Digest) -> str | None:
        """Return the file that holds a large blob, or None when the blob is small, composed or missing."""
        return self._file(digest) if self._sound_file(digest) else None

    def parts(self, digest: Digest) -> tuple[Part, ...]:
        """Return the parts of a composed blob, at least one; none when the blob is not composed, or one is missing."""
        parts = self._composed.get(digest) or composed.find(self._database, digest) or ()
        return () if self.missing(part.blob for part in parts) else parts

    def compose(self, digest: Digest, parts: Sequence[Part]) -> None:
        """Keep a blob whose digest the caller has computed as what it is made of: blobs that are here."""
        with self._lock:
            self._composed[digest] = tuple(parts)

    def forget_soundness(self) -> None:
        """Check blobs again when they are next asked for: somebody found one missing."""
        self._sound.clear()

    def temporary(self) -> str:
        """Return the path of a new file to write to, on the file system of the store."""
        return os.path.join(self._tmp, f"{owner()}{self._token}-{next(self._serial)}")

    def add_small(self, digest: Digest, data: bytes) -> None:
        """Take in a small blob whose digest the caller has computed."""
        with self._lock:
            if digest not in self._pending:
                self._pending[digest] = data
                self._pending_bytes += len(data)
            full = self._pending_bytes > FLUSH_BYTES or len(self._pending) > FLUSH_COUNT
        if full:
            self.flush()

    def add_file(self, digest: Digest, path: str) -> None:
        """Move a finished, read-only file into the store under the digest the caller has computed."""
        target = self._file(digest)
        folder = os.path.dirname(target)
        if folder not in self._made:
            os.makedirs(folder, exist_ok=True)
            self._made.add(folder)
        os.replace(path, target)
        with self._lock:
            self._new_files[digest] = _fingerprint(os.stat(target))
            self._sound.add(digest)

    def flush(self) -> None:
        """Make everything that was added visible to other processes, in one transaction."""
        with self._lock:
            pending, files = self._pending, dict(self._new_files)
            told = dict(self._composed)
            if not pending and not files and not told:
                return
            self._pending_bytes = 0
            with self._database.transaction() as connection:
                small = ((bytes.fromhex(digest), pending[digest]) for digest in sorted(pending))
                self._database.insert(connection, "pack", 2, small)
                large = ((bytes.fromhex(digest), self.boot, *print_) for digest, print_ in files.items())
                self._database.insert(connection, "files", 6, large)
                rows = (composed.encode(digest, parts) for digest, parts in told.items())
                self._database.insert(connection, "composed", 2, rows)
            self._sound.update(pending)
            self._pending = {}
            self._new_files = {}
            self._composed = {}

    def _small(self, digest: Digest) -> bytes | None:
        return next((data for _, data in self.small((digest,))), None)

    def _sound_file(self, digest: Digest) -> bool:
        path = self._file(digest)
        try:
            now = _fingerprint(os.stat(path))
        except OSError:
            return False
        recorded = self._new_files.get(digest)
        if recorded is None:
            rows = self._database.rows(
                "SELECT size, mtime_ns, ctime_ns, inode FROM files WHERE digest = ? AND boot = ?",
                (bytes.fromhex(digest), self.boot),
            )
            recorded = rows[0] if rows else None
        if recorded == now:
            return True
        return self._rehash(digest, path)

    def _rehash(self, digest: Digest, path: str) -> bool:
        """Judge a file whose fingerprint is unknown or has changed by its content."""
        try:
            with open(path, "rb", buffering=0) as stream:
                found, _ = digest_stream(stream)
                fingerprint = _fingerprint(os.fstat(stream.fileno()))
        except OSError:
            return False
        if found != digest:
            with suppress(OSError):
                os.unlink(path)
            self._sound.discard(digest)
            return False
        with self._lock:
            self._new_files[digest] = fingerprint
        return True

    def _file(self, digest: Digest) -> str:
        return os.path.join(self._cas, digest[:2], digest)


def _fingerprint(stat: os.stat_result) -> tuple[int, int, int, int]:
    return (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
