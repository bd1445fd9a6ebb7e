"""How actions are to run, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from buildsys.model.action import Fetching

if TYPE_CHECKING:
    from buildsys.errors import BuildError
    from buildsys.model.action import Action, Artifact, Value
    from buildsys.model.digest import Digest


class Options(NamedTuple):
    """How to run: worker counts, and whether to go on after a failure."""

    jobs: int
    downloads: int = 8
    keep_going: bool = False
    fetching: Fetching = Fetching()


class Ran(NamedTuple):
    """An action that ran: its key and how long it took."""

    action: Action
    key: Digest
    seconds: float


@dataclass(slots=True)
class Outcome:
    """What became of the actions: the values made, what ran, how many were answered from the cache, what failed."""

    values: dict[Artifact, Value] = field(default_factory=dict)
    keys: dict[int, tuple[Action, Digest]] = field(default_factory=dict)
    ran: list[Ran] = field(default_factory=list)
    learnt: list[tuple[str, str, float]] = field(default_factory=list)
    """How long what ran took, as `Durations` takes it in the next build."""
    hits: int = 0
    errors: list[BuildError] = field(default_factory=list)
    failed: set[Artifact] = field(default_factory=set)
    lost: list[Digest] = field(default_factory=list)
    """Blobs that are lost and that no action of the graph makes, where the graph was cut off from their makers: the
    build has to be done again with all of it. What depends on them is in `failed`, without an error."""
    critical: list[Ran] = field(default_factory=list)
    """What ran one after the other and took longest."""
