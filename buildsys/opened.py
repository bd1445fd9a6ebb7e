"""What the commands share: an opened workspace, and what became of a request in each phase."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildsys.analysis.analyser import Analyser
    from buildsys.analysis.choices import Wanted
    from buildsys.errors import BuildError
    from buildsys.execution.outcome import Outcome
    from buildsys.kubernetes.pins import Pins
    from buildsys.kubernetes.tables import Tables
    from buildsys.loading.files import FileReader
    from buildsys.loading.loader import Loader
    from buildsys.loading.place import Place
    from buildsys.lock.images import Resolved
    from buildsys.model.action import Artifact
    from buildsys.model.provider import ConfiguredTarget
    from buildsys.model.target import Workspace
    from buildsys.query.expression import Expression
    from buildsys.query.functions import Nodes
    from buildsys.query.universe import Universe
    from buildsys.sdk.rule import RuleSet
    from buildsys.snapshot import Seen


@dataclass(slots=True)
class Session:
    """An opened workspace: what the commands share."""

    place: Place
    workspace: Workspace
    rules: RuleSet
    files: FileReader
    loader: Loader
    tables: Tables
    skipped: list[BuildError] = field(default_factory=list)
    """What was wrong with target patterns, where the rest is built all the same."""
    _pins: Pins | None = field(default=None)

    def pins(self) -> Pins:
        """Return the lock file of the workspace, which is read when it is first asked for; without one it is empty."""
        if self._pins is None:
            from buildsys.loading.lockfile import read_pins

            self._pins = read_pins(self.files, self.workspace.lockfile)
        return self._pins


class Analysed(NamedTuple):
    """Configured targets in the order asked for, those that cannot be, and the analyser that holds their actions."""

    targets: dict[Wanted, ConfiguredTarget]
    broken: list[Wanted]
    analyser: Analyser
    errors: list[BuildError]


class Answered(NamedTuple):
    """The answer to a query: nodes of a universe, and what could not be looked at."""

    expression: Expression
    universe: Universe
    nodes: Nodes
    errors: list[BuildError]


class Locking(NamedTuple):
    """What came of locking: the lock file, relative to the workspace, what was found out, and whether it changed."""

    lockfile: str
    resolved: Resolved
    changed: bool


class Built(NamedTuple):
    """The result of a build: per target the paths made (relative to the workspace); what ran; what was wrong."""

    analysed: Analysed
    outcome: Outcome
    outputs: dict[Wanted, list[str]]
    failed: list[Wanted]
    written: Iterator[Seen]
    """What `stat` said of the outputs before another build could reach them."""
    seen: Iterator[Seen]
    """What `stat` said of the source files before they were read, and what tells whether the store, the workspace's
    memory and the link to the outputs are still the same: for the snapshot."""
    paths: dict[Artifact, str]
    """Where the outputs asked for are, relative to the folder of outputs: for the plan."""

    @property
    def errors(self) -> list[BuildError]:
        """Everything that was wrong, of all phases."""
        return [*self.analysed.errors, *self.outcome.errors]
