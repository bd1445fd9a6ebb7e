"""Which action makes a blob: asked only when a blob is lost."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from buildsys.model.tree import Tree
from buildsys.store.cas import BlobMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildsys.model.action import Action, Artifact, Value
    from buildsys.model.digest import Digest
    from buildsys.store.cas import BlobStore


class NobodyMakes(Exception):
    """A blob is lost, and no action of this graph makes it: one that the graph was cut off from does."""

    def __init__(self, digest: Digest) -> None:
        super().__init__(digest)
        self.digest = digest


class Makers:
    """The actions that have values, in the order they got them: an earlier one cannot depend on a later one."""

    def __init__(self, blobs: BlobStore, values: Mapping[Artifact, Value]) -> None:
        self._blobs = blobs
        self._values = values
        self._new: list[Action] = []
        self._whole: dict[Digest, Action] = {}
        self._inside: dict[Digest, tuple[int, Action]] = {}
        self._unread: list[tuple[int, Action, Digest]] = []
        self._count = count()

    def add(self, action: Action) -> None:
        """Count an action among those that have values."""
        self._new.append(action)

    def find(self, digest: Digest) -> Action | None:
        """Return the first action with an output that is the blob, or a tree with the blob in it."""
        for action in self._new:
            for output in action.outputs:
                value = self._values[output]
                self._whole.setdefault(value.digest, action)
                if value.tree:
                    self._unread.append((next(self._count), action, value.digest))
        self._new.clear()
        if digest in self._whole:
            return self._whole[digest]
        self._read_trees()
        found = self._inside.get(digest)
        return found[1] if found else None

    def _read_trees(self) -> None:
        """Count what is in the trees that can be read; one that is lost may be there again the next time."""
        lost: list[tuple[int, Action, Digest]] = []
        for number, action, tree in self._unread:
            try:
                entries = Tree.from_bytes(self._blobs.read(tree)).entries
            except BlobMissing:
                lost.append((number, action, tree))
                continue
            for entry in entries:
                if entry.digest and (entry.digest not in self._inside or self._inside[entry.digest][0] > number):
                    self._inside[entry.digest] = (number, action)
        self._unread = lost
