"""The composition root: one function per command, top to bottom. Read this first.

    open_workspace   find the root, read the workspace file and the rules                 (loading)
    resolve          patterns -> labels, and every package that they need                 (loading)
    analyse          labels x configuration -> configured targets and the action graph    (analysis)
    build            actions -> values, files in the output folder, journal               (execution)

The null build never comes here: see `snapshot.py` and `cli/main.py`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from buildsys.analysis.analyser import Analyser, Inputs
from buildsys.analysis.configuration import Configuration, canonical
from buildsys.analysis.placing import output_paths
from buildsys.errors import BuildError, BuildErrors, InternalError, UsageError, UserError
from buildsys.kubernetes import pins
from buildsys.kubernetes.tables import Tables
from buildsys.loading import patterns
from buildsys.loading.files import FileReader
from buildsys.loading.loader import Loader
from buildsys.loading.workspace import find_root, load_workspace
from buildsys.loading.workspace_rules import load_rules
from buildsys.model.condition import unknown_parameter
from buildsys.snapshot import FOLDER, OUTPUT_BASE
from buildsys.store.fault import store_fault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from buildsys.execution.executor import Options as ExecutionOptions
    from buildsys.execution.executor import Outcome
    from buildsys.model.action import Artifact
    from buildsys.model.digest import Digest
    from buildsys.model.events import Events
    from buildsys.model.label import Label
    from buildsys.model.provider import ConfiguredTarget
    from buildsys.model.target import Workspace
    from buildsys.sdk.rule import RuleSet
    from buildsys.snapshot import Seen

OUTPUT_LINK = "buildsys-bin"


class Place(NamedTuple):
    """Where a workspace is and where its results go; `here` is the package that relative patterns are seen from."""

    root: str
    output_base: str
    store: str
    here: str


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
    _pins: pins.Pins | None = field(default=None)

    def pin(self, name: str, version: str, arch: str) -> Digest | None:
        """Return the locked digest of an external file; the lock file is read when it is first asked for."""
        if self._pins is None:
            self.read_lock()
        found = self._pins.find(name, version, arch) if self._pins is not None else None
        return found.sha256 if found else None

    def read_lock(self) -> None:
        """Read the lock file of the workspace; one that is not there is empty."""
        path = self.workspace.lockfile
        text = self.files.text(path) if self.files.is_file(path) else ""
        self._pins = pins.parse(text, path)


@dataclass(slots=True)
class Analysed:
    """Configured targets by label, in the order asked for, and the analyser that holds their actions."""

    targets: dict[Label, ConfiguredTarget]
    analyser: Analyser
    requested: int
    errors: list[BuildError]


@dataclass(slots=True)
class Built:
    """The result of a build: per target the paths made (relative to the workspace); what ran; what was wrong."""

    analysed: Analysed
    outcome: Outcome
    outputs: dict[Label, list[str]]
    failed: list[Label]
    written: list[str]
    seen: list[Seen]
    """What `stat` said of the source files before they were read, and what tells the store: for the snapshot."""

    @property
    def errors(self) -> list[BuildError]:
        """Everything that was wrong, of all phases."""
        return [*self.analysed.errors, *self.outcome.errors]


def locate(start: str, *, command: str = "build", output_base: str = "", store: str = "") -> Place:
    """Find the workspace around `start`. Raises `UsageError` B002 when there is none."""
    root = find_root(start)
    if root is None:
        raise UsageError(
            "B002",
            f"The '{command}' command is only supported from within a workspace (below a folder whose BUILD.yaml has a"
            " `workspace:` line).",
            hint="change into a workspace, or begin one with a BUILD.yaml that holds `workspace: NAME`",
        )
    base = os.path.abspath(output_base) if output_base else os.path.join(root, OUTPUT_BASE)
    folder = store or os.environ.get("BUILDSYS_CACHE", "") or os.path.join(root, "cache")
    return Place(root, base, os.path.abspath(folder), os.path.relpath(os.path.abspath(start), root))


def open_workspace(place: Place) -> Session:
    """Read the workspace file and the rules."""
    files = FileReader(place.root)
    workspace = load_workspace(place.root, files)
    rules = load_rules(workspace, files)
    inside = os.path.relpath(os.path.join(place.root, place.here), os.path.join(place.root, workspace.packages))
    here = "" if inside in {".", ".."} or inside.startswith("../") else inside
    return Session(place._replace(here=here), workspace, rules, files, Loader(workspace, rules, files), Tables.load())


def resolve(session: Session, wanted: Sequence[str], *, manual: bool = False, keep_going: bool = False) -> list[Label]:
    """Return the labels that target patterns name, with everything they need loaded.

    Raises `BuildErrors`; with `keep_going` only when no label is left.
    """
    skipped = session.skipped if keep_going else None
    labels = patterns.expand(wanted, session.loader, here=session.place.here, manual=manual, skipped=skipped)
    session.loader.load_closure(labels)
    errors = [*session.skipped, *session.loader.errors()]
    if errors and not (keep_going and labels):
        raise BuildErrors(errors)
    return labels


def configuration(session: Session, params: Mapping[str, str]) -> Configuration:
    """Return the configuration of a request. Raises `BuildErrors` of unknown parameters and impossible values."""
    parameters = session.workspace.parameters
    explicit: dict[str, str] = {}
    errors: list[BuildError] = []
    for name, value in params.items():
        try:
            if name not in parameters:
                raise unknown_parameter(name, parameters, None)
            explicit[name] = canonical(parameters[name], value)
        except UserError as error:
            errors.append(UsageError(error.code, f"--param={name}={value}: {error.message}", hint=error.hint))
    if errors:
        raise BuildErrors(errors)
    return Configuration(parameters, session.tables, explicit)


def analyse(session: Session, labels: Sequence[Label], config: Configuration, *, keep_going: bool = False) -> Analysed:
    """Configure the targets. Raises `BuildErrors`; with `keep_going` only when no target is left."""
    session.read_lock()
    loader = session.loader
    inputs = Inputs(session.workspace, loader.packages, session.rules, session.tables, session.pin, loader.broken)
    analyser = Analyser(inputs)
    targets: dict[Label, ConfiguredTarget] = {}
    for label in labels:
        target = analyser.analyse(label, config)
        if target is not None:
            targets[label] = target
    errors = list(BuildErrors([*session.skipped, *loader.errors(), *analyser.errors]).errors)
    if len(targets) < len(labels) and not errors:
        raise InternalError("B906", "a target could not be analysed, and no error says why")
    if errors and not (keep_going and targets):
        raise BuildErrors(errors)
    return Analysed(targets, analyser, len(labels), errors)


def build(
    session: Session, analysed: Analysed, config: Configuration, options: ExecutionOptions, events: Events, request: str
) -> Built:
    """Run what has to run and put the outputs of the targets where users look for them."""
    from buildsys.execution.executor import Executor
    from buildsys.execution.journal import record
    from buildsys.execution.outputs import Outputs
    from buildsys.execution.sources import Sources
    from buildsys.store.local import open_store
    from buildsys.store.workspace_state import WorkspaceState

    place, workspace = session.place, session.workspace
    paths = output_paths(analysed.targets.values(), config)
    store = open_store(place.store)
    state = WorkspaceState(os.path.join(place.output_base, "state.sqlite"))
    try:
        outputs = Outputs(place.output_base, store.blobs, state)
        sources = Sources(os.path.join(place.root, workspace.packages), workspace.packages, store.blobs, state)
        executor = Executor(analysed.analyser.graph, store, sources, outputs, options, events)
        outcome = executor.run({artifact: path for artifact, path in paths.items() if not artifact.is_source})
        record(state, sources, request, outcome)
    finally:
        state.close()
        store.close()
    shown = {label: _shown(target, paths, workspace) for label, target in analysed.targets.items()}
    failed = [
        label
        for label, target in analysed.targets.items()
        if any(artifact in outcome.failed for artifact in target.files)
    ]
    return Built(analysed, outcome, shown, failed, outputs.written, [*sources.seen, *store.identity()])


def _shown(target: ConfiguredTarget, paths: Mapping[Artifact, str], workspace: Workspace) -> list[str]:
    """Return the paths of a target's files relative to the workspace."""
    return [
        os.path.normpath(f"{workspace.packages}/{artifact.path}")
        if artifact.is_source
        else f"{OUTPUT_LINK}/{paths[artifact]}"
        for artifact in target.files
    ]


def prepare(place: Place) -> None:
    """Make the output folder, and let `buildsys-bin` in the workspace lead to it."""
    link, target = os.path.join(place.root, OUTPUT_LINK), os.path.join(place.output_base, "bin")
    wanted = os.path.relpath(target, place.root) if target.startswith(place.root + os.sep) else target
    try:
        os.makedirs(target, exist_ok=True)
        os.makedirs(os.path.join(place.output_base, FOLDER), exist_ok=True)
        if os.path.islink(link):
            if os.readlink(link) == wanted:
                return
            os.unlink(link)
        elif os.path.lexists(link):
            hint = "move it out of the way"
            raise UserError("B003", f"{link} is no link of buildsys, which puts one there", hint=hint)
        os.symlink(wanted, link)
    except OSError as error:
        raise store_fault(error, target, "--output_base=DIR") from error
