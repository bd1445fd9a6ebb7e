"""How much a store holds: what results would take if each were kept by itself, against what is there.

Rows are streamed, and of all blobs only the manifests of trees are read.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from buildsys.errors import UsageError
from buildsys.model.tree import Tree
from buildsys.store.cas import BlobMissing
from buildsys.store.local import is_store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from buildsys.model.action import Value
    from buildsys.model.digest import Digest
    from buildsys.store.action_cache import Kept
    from buildsys.store.local import LocalStore

PAGE = 500
"""How many results are looked at together."""


class Amount(NamedTuple):
    """How many, and how many bytes in all."""

    number: int
    size: int

    def __add__(self, other: object) -> Amount:
        assert isinstance(other, Amount)  # noqa: S101 - amounts are added to amounts
        return Amount(self.number + other.number, self.size + other.size)


NONE = Amount(0, 0)


class Statistics(NamedTuple):
    """What a store holds.

    `actions` has the results by mnemonic, with the bytes of all their outputs: a tree counts with all of its files,
    whoever else has them, and a tarball with its bytes, though the store keeps only what it is made of. `index_disk`
    and `files_disk` are bytes on the disk.
    """

    root: str
    actions: Mapping[str, Amount]
    frames: int
    recipes: int
    manifests: Amount
    """The lists of files of trees, each once."""
    lost_trees: int
    """Results whose manifests are not in the store any more: their files are not counted."""
    small: Amount
    files: Amount
    index_disk: int
    files_disk: int

    @property
    def results(self) -> Amount:
        """The results of all actions."""
        return sum(self.actions.values(), NONE)

    @property
    def unique(self) -> int:
        """The bytes of all blobs, frames among them."""
        return self.small.size + self.files.size

    @property
    def ratio(self) -> float:
        """How many times the bytes of the results are those that are there; 0 for an empty store."""
        return self.results.size / self.unique if self.unique else 0.0


def gather(folder: str) -> Statistics:
    """Look at the store in a folder, which is not made if it is not there. Raises `UsageError` B041."""
    if not is_store(folder):
        raise UsageError(
            "B041", f"there is no store in {folder}", hint="build something first, or name another: --disk_cache=DIR"
        )
    store = open_store(folder)
    try:
        return _Gathering(store).run()
    finally:
        store.close()


class _Gathering:
    def __init__(self, store: LocalStore) -> None:
        self._store = store
        self._trees: dict[Digest, int | None] = {}
        self._manifests = NONE
        self._actions: dict[str, Amount] = {}
        self._by_products: Counter[str] = Counter()
        self._lost = 0

    def run(self) -> Statistics:
        for page in self._store.actions.pages(PAGE):
            self._read_trees(value for kept in page for value in kept.result.outputs if value.tree)
            for kept in page:
                self._add(kept)
        root = self._store.root
        files, files_disk = _measured(os.path.join(root, "cas"))
        return Statistics(
            root,
            dict(sorted(self._actions.items())),
            self._by_products["frame"],
            self._by_products["recipe"],
            self._manifests,
            self._lost,
            Amount(*self._store.blobs.small_amount()),
            files,
            _index_disk(self._store.database.path),
            files_disk,
        )

    def _add(self, kept: Kept) -> None:
        if not kept.mnemonic:
            self._by_products[kept.by_product] += 1
            return
        size = sum(self._size(value) for value in kept.result.outputs)
        self._actions[kept.mnemonic] = self._actions.get(kept.mnemonic, NONE) + Amount(1, size)

    def _size(self, value: Value) -> int:
        """Return the bytes of a file, or of a tree with all of its files."""
        if not value.tree:
            return value.size
        size = self._trees[value.digest]
        self._lost += size is None
        return value.size + (size or 0)

    def _read_trees(self, trees: Iterable[Value]) -> None:
        """Learn the bytes of the files of trees that are not known yet."""
        blobs = self._store.blobs
        new = [digest for digest in dict.fromkeys(value.digest for value in trees) if digest not in self._trees]
        for digest, data in blobs.small(new):
            self._learn(digest, data)
        for digest in new:
            if digest not in self._trees:
                try:
                    self._learn(digest, blobs.read(digest))
                except BlobMissing:
                    self._trees[digest] = None

    def _learn(self, digest: Digest, manifest: bytes) -> None:
        self._manifests += Amount(1, len(manifest))
        self._trees[digest] = sum(entry.size for entry in Tree.from_bytes(manifest).entries)


def _measured(folder: str) -> tuple[Amount, int]:
    """Return how many files are below a folder, with their bytes, and what they take on the disk."""
    count = size = disk = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                found = os.lstat(os.path.join(path, name))
            except FileNotFoundError:
                continue
            count, size, disk = count + 1, size + found.st_size, disk + found.st_blocks * 512
    return Amount(count, size), disk


def _index_disk(path: str) -> int:
    """Return what the index takes on the disk, with its log, and with what was damaged and set aside."""
    folder, name = os.path.split(path)
    with os.scandir(folder) as entries:
        return sum(entry.stat().st_blocks * 512 for entry in entries if entry.name.startswith(name))
