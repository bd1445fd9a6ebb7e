"""The local store as a whole: where it is, how it is opened, and in which order it is flushed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from buildsys.model.digest import digest_bytes
from buildsys.snapshot import look, look_identity
from buildsys.store.action_cache import ActionCache
from buildsys.store.cas import SCHEMA, BlobStore
from buildsys.store.database import Database
from buildsys.store.fault import store_fault
from buildsys.store.partial import sweep
from buildsys.store.rubbish import remove_rubbish

if TYPE_CHECKING:
    from buildsys.snapshot import Seen

EPOCH = "epoch"
"""A file with a random text that is made with the store, and written anew whenever results are removed from it:
snapshots made before are then stale."""

INDEX = "index.sqlite"

BUCKET = "v1"
"""Formats change by beginning a new bucket; older and newer programs then share a folder in peace."""


class LocalStore(NamedTuple):
    """Blobs and action results below one folder."""

    root: str
    database: Database
    blobs: BlobStore
    actions: ActionCache

    def flush(self) -> None:
        """Make what was added visible: blobs first, so that no result ever names a blob that was not written."""
        self.actions.flush()

    def identity(self) -> list[Seen]:
        """Return what tells a snapshot whether this is still the store whose results it relies on."""
        index = look_identity(self.database.path)
        epoch = os.path.join(self.root, EPOCH)
        seen = look(epoch)
        try:
            with open(epoch, "rb") as stream:
                seen = (*seen[:6], digest_bytes(stream.read()))
        except OSError:
            pass  # then its absence is what was seen, or the snapshot does without its digest
        return [index, seen]

    def close(self) -> None:
        """Flush and close."""
        try:
            self.flush()
        finally:
            self.database.close()


def is_store(folder: str) -> bool:
    """Tell whether there is a store in `folder`."""
    return os.path.exists(os.path.join(folder, BUCKET, INDEX))


def open_store(folder: str) -> LocalStore:
    """Open the store below `folder`, making it when it is new.

    Raises `EnvironmentFault` when the folder cannot be written.
    """
    root = os.path.join(folder, BUCKET)
    database = Database(os.path.join(root, INDEX), SCHEMA)
    try:
        with open(os.path.join(root, EPOCH), "ab") as stream:
            if not stream.tell():
                stream.write(os.urandom(16).hex().encode())
    except OSError as error:
        raise store_fault(error, root) from error
    remove_rubbish(root)
    sweep(root)
    blobs = BlobStore(root, database)
    return LocalStore(root, database, blobs, ActionCache(database, blobs.flush))
