"""Healing: which actions are run again because a blob that they made is lost, and what waits for them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from buildsys.errors import InternalError
from buildsys.execution.makers import Makers, NobodyMakes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from buildsys.execution.sources import Sources
    from buildsys.model.action import Action, Artifact, Value
    from buildsys.model.digest import Digest
    from buildsys.store.cas import BlobStore

LOSSES = 3
"""How often a blob is made again in one build before something must be wrong with the store, or the disk under it."""


class Healing:
    """The actions that are to run again, by identity; `partial` where the graph lacks the makers of some blobs."""

    def __init__(self, blobs: BlobStore, sources: Sources, values: Mapping[Artifact, Value]) -> None:
        self.partial = False
        self._sources = sources
        self._makers = Makers(blobs, values)
        self._forced: set[int] = set()
        self._blocked: dict[int, list[Action]] = {}
        self._losses: Counter[Digest] = Counter()

    def add(self, action: Action) -> None:
        """Count an action among those that have values."""
        self._makers.add(action)

    def makers(self, digests: Iterable[Digest]) -> list[Action]:
        """Return the actions to run again for lost blobs; none for those that source files have given back.

        Raises `InternalError` B905 when nothing makes one (`NobodyMakes` where its maker may be beyond the graph), or
        it is lost each time it was made.
        """
        found = {id(maker): maker for digest in digests if (maker := self._maker(digest)) is not None}
        return list(found.values())

    def _maker(self, digest: Digest) -> Action | None:
        maker = None
        if not self._sources.stage(digest):
            maker = self._makers.find(digest)
            if maker is None and self.partial:
                raise NobodyMakes(digest)
            if maker is None:
                raise InternalError("B905", f"the blob {digest} is lost, and nothing in this build makes it")
        if maker is None or id(maker) not in self._forced:
            self._losses[digest] += 1
            if self._losses[digest] > LOSSES:
                hint = "something removes files from the store while it is in use, or its disk is failing"
                raise InternalError("B905", f"the blob {digest} is lost again each time it has been made", hint=hint)
        return maker

    def force(self, action: Action) -> bool:
        """Have an action run though it has a value; tell whether that was not already so."""
        is_new = id(action) not in self._forced
        self._forced.add(id(action))
        return is_new

    def await_(self, maker: Action, waiting: Iterable[Action] = ()) -> None:
        """Need what an action makes to be what it was; have others wait for it."""
        self._blocked.setdefault(id(maker), []).extend(waiting)

    def is_forced(self, action: Action) -> bool:
        """Tell whether an action is to run though it may have a value."""
        return id(action) in self._forced

    def is_awaited(self, action: Action) -> bool:
        """Tell whether somebody needs what an action makes to be what it was."""
        return id(action) in self._blocked

    def done(self, action: Action) -> None:
        """Count an action as run again, or as failed."""
        self._forced.discard(id(action))

    def released(self, action: Action) -> list[Action]:
        """Return what has waited for an action, once."""
        return self._blocked.pop(id(action), [])
