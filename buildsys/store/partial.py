"""Blobs that take long to arrive: what has come of one is kept when the build breaks off, and the next goes on there.

    v1/partial/<hex>     the first bytes of the blob with that digest, as far as they came

Whoever goes on hashes again what is there: nothing is known of a file but its name. One process at a time writes to it
(`flock`); a second one writes a file of its own. What nobody has gone on with for a week is rubbish.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from buildsys.model.digest import CHUNK
from buildsys.store.cas import PACK_LIMIT, BlobWriter
from buildsys.store.fault import store_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from buildsys.model.digest import Digest
    from buildsys.store.cas import BlobStore

FOLDER = "partial"
ABANDONED_SECONDS = 7 * 24 * 3600


class ResumedWriter(BlobWriter):
    """A blob whose digest is known before it is there; `size` is what has arrived, in this build or earlier ones."""

    def __init__(self, store: BlobStore, check: Callable[[], None], stream: BinaryIO, path: str) -> None:
        super().__init__(store, check)
        self._buffer = None
        self._file, self._path = stream, path
        while chunk := stream.read(CHUNK):
            self._hasher.update(chunk)
            self.size += len(chunk)

    def leave(self) -> None:
        """Keep what has arrived for the next attempt."""
        if self._file is not None:
            if not self.size:
                self.abandon()
            else:
                self._file.close()
                self._file = None


@contextmanager
def resumed(store: BlobStore, root: str, digest: Digest, size: int, check: Callable[[], None]) -> Iterator[BlobWriter]:
    """Write the blob `digest` of `size` bytes, going on from what an earlier attempt left.

    An exception keeps what was written; who finds that the bytes are others calls `abandon` of the writer first. Small
    blobs are not kept. Raises `EnvironmentFault` where the store cannot be written.
    """
    resumed_writer = _resumed(store, root, digest, size, check) if size >= PACK_LIMIT else None
    if resumed_writer is None:
        with store.create(check) as writer:
            yield writer
        return
    try:
        yield resumed_writer
        resumed_writer.commit()
    except OSError as error:
        resumed_writer.leave()
        raise store_fault(error, root) from error
    except BaseException:
        resumed_writer.leave()
        raise


def sweep(root: str) -> None:
    """Remove what nobody has gone on with for long."""
    folder = os.path.join(root, FOLDER)
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        path = os.path.join(folder, name)
        with suppress(OSError):
            if os.lstat(path).st_mtime < time.time() - ABANDONED_SECONDS:
                os.unlink(path)


def _resumed(store: BlobStore, root: str, digest: Digest, size: int, check: Callable[[], None]) -> ResumedWriter | None:
    try:
        stream = _claimed(root, digest, size)
        return ResumedWriter(store, check, stream, _path(root, digest)) if stream is not None else None
    except OSError as error:
        raise store_fault(error, root) from error


def _claimed(root: str, digest: Digest, size: int) -> BinaryIO | None:
    """Open what there is of a blob, for this process alone; None where another one is writing it."""
    path = _path(root, digest)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    stream = open(path, "a+b", buffering=0)  # noqa: SIM115 - closed by the writer, or below
    try:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_current = os.fstat(stream.fileno()).st_ino == os.stat(path).st_ino
    except OSError:
        is_current = False
    if not is_current:
        stream.close()
        return None
    if os.fstat(stream.fileno()).st_size > size:
        stream.truncate(0)
    stream.seek(0)
    return stream


def _path(root: str, digest: Digest) -> str:
    return os.path.join(root, FOLDER, digest)
