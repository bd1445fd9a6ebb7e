"""Which action makes a blob: asked only when a blob is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.model.tree import Tree
from buildsys.store.cas import BlobMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildsys.model.action import Action, Artifact, Value
    from buildsys.model.digest import Digest
    from buildsys.store.cas import BlobStore


class Makers:
    """The actions that have values, in the order they got them: an earlier one cannot depend on a later one."""

    def __init__(self, blobs: BlobStore, values: Mapping[Artifact, Value]) -> None:
        self._blobs = blobs
        self._values = values
        self._actions: list[Action] = []

    def add(self, action: Action) -> None:
        """Count an action among those that have values."""
        self._actions.append(action)

    def find(self, digest: Digest) -> Action | None:
        """Return the first action with an output that is the blob, or a tree with the blob in it."""
        for action in self._actions:
            if any(self._values[output].digest == digest for output in action.outputs):
                return action
        for action in self._actions:
            for output in action.outputs:
                value = self._values[output]
                if value.tree and self._holds(value, digest):
                    return action
        return None

    def _holds(self, tree: Value, digest: Digest) -> bool:
        try:
            entries = Tree.from_bytes(self._blobs.read(tree.digest)).entries
        except BlobMissing:
            return False
        return any(entry.digest == digest for entry in entries)
