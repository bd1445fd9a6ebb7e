"""Delivery: the artifacts asked for, each to be put at its path of the output folder or to be kept in the store.

A small output is put in its place by the worker that made it, while its bytes are in memory. Whatever is not there when
all has run is looked at then: most of it stands as it was built last, or is in the store.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from buildsys.errors import BuildError
from buildsys.model.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from buildsys.execution.outcome import Outcome
    from buildsys.execution.small_files import SmallFiles
    from buildsys.model.action import Action, Artifact, Value
    from buildsys.model.digest import Digest
    from buildsys.model.graph import ActionGraph
    from buildsys.store.cas import BlobStore
    from buildsys.store.workspace_state import FileState

IN_STORE = ""
"""In place of a path: the artifact is to be in the store, and nowhere else."""

BULK = 500
"""How many artifacts are looked at together."""


class Delivery:
    """Artifacts and their places; `direct` are those that go to the output folder alone, not by way of the store."""

    def __init__(
        self, graph: ActionGraph, order: Iterable[Action], wanted: Mapping[Artifact, str], files: SmallFiles
    ) -> None:
        self._files = files
        self._pending = dict(wanted)
        self._known: dict[Artifact, FileState] = {}
        self.direct: dict[Artifact, str] = {}
        candidates: dict[Artifact, str] = {}
        for artifact, path in wanted.items():
            producer = graph.producer(artifact)
            if producer is not None and not producer.operation.STORED and path != IN_STORE:
                candidates[artifact] = path
        if candidates:
            consumed = {artifact for action in order for artifact in action.inputs if artifact in candidates}
            self.direct = {artifact: path for artifact, path in candidates.items() if artifact not in consumed}

    def expect(self, actions: Iterable[Action]) -> None:
        """Prepare for the outputs of actions that are about to run."""
        pending = self._pending
        paths = {a: path for action in actions for a in action.outputs if (path := pending.get(a)) and path != IN_STORE}
        known = self._files.known(paths.values())
        self._known.update((artifact, known[path]) for artifact, path in paths.items() if path in known)

    def offer(self, artifact: Artifact, value: Value, data: bytes) -> None:
        """Put a small output that was just made in its place, where one is asked for; from any thread.

        What fails is left to the end of the build.
        """
        path = self._pending.get(artifact, IN_STORE)
        if path == IN_STORE:
            return
        try:
            self._files.put(path, value, data, self._known.pop(artifact, None))
        except BuildError:
            return
        del self._pending[artifact]

    def settle(self, blobs: BlobStore, outcome: Outcome) -> list[tuple[Artifact, str]]:
        """Deliver what stands where it should, or is small and in the store; return the rest, with its places."""
        rest: list[tuple[Artifact, str]] = []
        pending = iter([(a, path) for a, path in self._pending.items() if a not in outcome.failed])
        while some := list(islice(pending, BULK)):
            kept = [(a, path) for a, path in some if path == IN_STORE]
            rest += [(a, path) for a, path in kept if lacking(blobs, outcome.values[a])]
            rest += self._settle([(a, path) for a, path in some if path != IN_STORE], blobs, outcome)
        self._pending = dict(rest)
        return rest

    def _settle(
        self, some: list[tuple[Artifact, str]], blobs: BlobStore, outcome: Outcome
    ) -> list[tuple[Artifact, str]]:
        values = outcome.values
        known = self._files.known([path for _, path in some])
        stale = [(a, path) for a, path in some if not self._files.accept_current(path, values[a], known.get(path))]
        small = [values[a].digest for a, _ in stale if a not in self.direct and not values[a].tree]
        data = dict(blobs.small(list(dict.fromkeys(small)))) if small else {}
        rest = []
        for artifact, path in stale:
            value = values[artifact]
            if artifact in self.direct or value.tree or value.digest not in data:
                rest.append((artifact, path))
            else:
                self._files.put(path, value, data[value.digest])
        return rest


def lacking(blobs: BlobStore, value: Value) -> list[Digest]:
    """Return the blobs of an artifact that are not in the store: itself or, where it is a tree, what is in it."""
    missing = blobs.missing([value.digest])
    if missing or not value.tree:
        return missing
    return blobs.missing(entry.digest for entry in Tree.from_bytes(blobs.read(value.digest)).entries if entry.digest)
