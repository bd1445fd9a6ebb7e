"""What a build works with on disk: the store, the workspace's memory, source files and outputs."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from buildsys import reverting
from buildsys.execution.outputs import Outputs
from buildsys.execution.sources import Sources
from buildsys.store.local import LocalStore, open_store
from buildsys.store.workspace_state import WorkspaceState

if TYPE_CHECKING:
    from collections.abc import Iterator


class Stored(NamedTuple):
    """The parts of it, opened."""

    store: LocalStore
    state: WorkspaceState
    sources: Sources
    outputs: Outputs


@contextmanager
def stored(root: str, packages: str, output_base: str, store: str) -> Iterator[Stored]:
    """Open the store in the folder `store` and what the workspace at `root` remembers in `output_base`.

    `packages` is the folder of its packages, relative to `root`.
    """
    opened = open_store(store)
    try:
        state = WorkspaceState(os.path.join(output_base, "state.sqlite"))
        try:
            sources = Sources(os.path.join(root, packages), packages, opened.blobs, state)
            outputs = Outputs(output_base, opened.blobs, state)
            outputs.learn(reverting.taken(output_base))
            yield Stored(opened, state, sources, outputs)
        finally:
            state.close()
    finally:
        opened.close()
