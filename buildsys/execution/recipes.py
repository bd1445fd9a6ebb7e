"""What outputs were made of: kept beside the frames, so that the next one need not read what both begin with.

A recipe is a fact of a digest: the file that has it is the concatenation of these segments. With it are states of
SHA-256 at borders of segments, from which the digest of another file that begins alike goes on.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from buildsys.model.action import ActionResult, Value, action_key
from buildsys.store.cas import BlobMissing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from buildsys.model.digest import Digest
    from buildsys.store.local import LocalStore

FORMAT = 1
"""The version of what is kept."""

_SEGMENT = struct.Struct(">32sQB")
"""The digest of a segment's name, where it ends, and the length of the state that follows, which may be 0."""


class Recipe(NamedTuple):
    """The digests of the names of segments, where each ends, and states by the number of segments before them."""

    names: tuple[bytes, ...] = ()
    ends: tuple[int, ...] = ()
    states: Mapping[int, bytes] = {}

    def shared(self, names: Sequence[bytes]) -> int:
        """Return with how many segments both begin."""
        count = 0
        for own, other in zip(self.names, names, strict=False):
            if own != other:
                break
            count += 1
        return count

    def end(self, count: int) -> int:
        """Return the number of bytes of the first `count` segments."""
        return self.ends[count - 1] if count else 0

    @property
    def size(self) -> int:
        """The number of bytes of all segments."""
        return self.end(len(self.ends))

    def to_bytes(self) -> bytes:
        """Return what is stored."""
        parts = []
        for number, (name, end) in enumerate(zip(self.names, self.ends, strict=True), 1):
            state = self.states.get(number, b"")
            parts.append(_SEGMENT.pack(name, end, len(state)) + state)
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Recipe:
        """Return the recipe that was stored as `data`."""
        names, ends, states = [], [], {}
        at = 0
        while at < len(data):
            name, end, length = _SEGMENT.unpack_from(data, at)
            at += _SEGMENT.size
            names.append(name)
            ends.append(end)
            if length:
                states[len(names)] = data[at : at + length]
                at += length
        return cls(tuple(names), tuple(ends), states)


class Recipes:
    """The recipes in a store, by the digest of what was made."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def find(self, digest: Digest) -> Recipe | None:
        """Return the recipe of the output with a digest."""
        found = self._store.actions.get(action_key(_key(digest)))
        if found is None:
            return None
        try:
            return Recipe.from_bytes(self._store.blobs.read(found.outputs[0].digest))
        except BlobMissing:
            return None

    def keep(self, digest: Digest, recipe: Recipe) -> None:
        """Keep the recipe of an output."""
        data, key = recipe.to_bytes(), _key(digest)
        value = Value(self._store.blobs.put(data), len(data))
        self._store.actions.put(action_key(key), ActionResult((value,)), key)


def _key(digest: Digest) -> str:
    return f"recipe {FORMAT} {digest}"
