"""The composition root: one function per command, top to bottom. Read this first.

    open_workspace   find the root, read the workspace file and the rules                 (loading)
    resolve          patterns -> labels, and every package that they need                 (loading)
    analyse          labels x configuration -> configured targets and the action graph    (analysis)
    build            actions -> values, files in the output folder, journal               (execution)
    preview          what a build would have to run, running nothing                      (execution)
    fetch            a build of the downloads alone                                       (execution)
    lock             what external images are, as their registries say                    (lock)
    serving          images that were built, to those who pull them                       (serve)
    opened_image     an image that was built, to be pushed or loaded                      (push)
    query            a question about what is written                                     (query)
    cquery, aquery   a question about what is configured, and about its actions           (query)
    explain          why the last build ran what it ran                                   (report)
    clean            forget what was made here                                            (execution)

The null build never comes here: see `snapshot.py` and `cli/main.py`.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING

from buildsys import recording
from buildsys.analysis import choices as choices_module
from buildsys.analysis.analyser import Analyser, Inputs
from buildsys.analysis.choices import Wanted
from buildsys.analysis.configuration import choice_text
from buildsys.analysis.placing import all_paths, output_paths
from buildsys.errors import BuildErrors, InternalError
from buildsys.kubernetes.tables import Tables, read
from buildsys.loading import patterns
from buildsys.loading.files import FileReader
from buildsys.loading.loader import Loader
from buildsys.loading.parsed import Parsed
from buildsys.loading.workspace import load_workspace
from buildsys.loading.workspace_rules import load_rules
from buildsys.model.growth import growing
from buildsys.opened import Analysed, Answered, Built, Locking, Session
from buildsys.snapshot import OUTPUT_LINK, look_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from buildsys.analysis.choices import Choices
    from buildsys.analysis.configuration import Configuration
    from buildsys.execution.outcome import Options as ExecutionOptions
    from buildsys.execution.stored import Stored
    from buildsys.loading.place import Place
    from buildsys.model.action import Artifact
    from buildsys.model.events import Events
    from buildsys.model.label import Label
    from buildsys.model.provider import ConfiguredTarget
    from buildsys.model.target import Workspace
    from buildsys.push.image import Image
    from buildsys.query.actions import ShownAction
    from buildsys.query.expression import Expression
    from buildsys.serve.server import RegistryServer
    from buildsys.snapshot import Seen
    from buildsys.store.workspace_state import WorkspaceState


def open_workspace(place: Place, program: Sequence[Seen] | None = None) -> Session:
    """Read the workspace file and the rules; `program` is what was seen of the program's own files."""
    parsed = Parsed(place.output_base, recording.program() if program is None else program)
    files = FileReader(place.root, parsed)
    tables = Tables(
        lambda name: parsed.of(f"table {name}", "", lambda: read(name)), lambda name, make: parsed.of(name, "", make)
    )
    workspace = load_workspace(place.root, files)
    rules = load_rules(workspace, files)
    inside = os.path.relpath(os.path.join(place.root, place.here), os.path.join(place.root, workspace.packages))
    here = "" if inside in {".", ".."} or inside.startswith("../") else inside
    return Session(place._replace(here=here), workspace, rules, files, Loader(workspace, rules, files), tables)


@growing()
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


def choose(session: Session, params: Mapping[str, str]) -> Choices:
    """Return what a request chooses. Raises `BuildErrors` of unknown parameters and impossible values."""
    return choices_module.choose(session.workspace.parameters, session.tables, params)


def configurations(
    session: Session, labels: Iterable[Label], choices: Choices
) -> tuple[list[Configuration], list[str]]:
    """Return the configurations that a request asks for, and what its ranges stand for, in words.

    Raises `UsageError` B021 of a range without a version that is locked.
    """
    spread = choices_module.Spread(session.workspace.parameters, session.tables, session.pins)
    return spread.configurations(choices, lambda: session.loader.closure(labels)), spread.lines


def configuration(session: Session, params: Mapping[str, str]) -> Configuration:
    """Return a configuration. Raises `BuildErrors` of unknown parameters and impossible values."""
    return choices_module.configuration(session.workspace.parameters, session.tables, params)


@growing()
def analyse(session: Session, labels: Sequence[Label], *configs: Configuration, keep_going: bool = False) -> Analysed:
    """Configure the targets in every configuration: what several have in common is one target.

    Raises `BuildErrors`; with `keep_going` only when no target is left.
    """
    session.pins()
    loader = session.loader
    inputs = Inputs(session.workspace, loader.packages, session.rules, session.tables, session.pins, loader.broken)
    analyser = Analyser(inputs)
    targets: dict[Wanted, ConfiguredTarget] = {}
    broken: dict[Wanted, None] = {}
    for config in configs:
        for label in labels:
            target = analyser.analyse(label, config)
            wanted = Wanted(label, choice_text(config.chosen(analyser.reads(label, config))))
            if target is not None:
                targets[wanted] = target
            else:
                broken[wanted] = None
    errors = list(BuildErrors([*session.skipped, *loader.errors(), *analyser.errors]).errors)
    if broken and not errors:
        raise InternalError("B906", "a target could not be analysed, and no error says why")
    if errors and not (keep_going and targets):
        raise BuildErrors(errors)
    return Analysed(targets, list(broken), analyser, errors)


def stored(session: Session) -> AbstractContextManager[Stored]:
    """Open the store and what the workspace remembers, for as long as the context lasts."""
    from buildsys.execution.stored import stored as opened

    place = session.place
    return opened(place.root, session.workspace.packages, place.output_base, place.store)


def build(
    session: Session,
    analysed: Analysed,
    config: Configuration,
    options: ExecutionOptions,
    events: Events,
    request: str,
    kept: Sequence[Artifact] = (),
    *,
    deliver: bool = True,
) -> Built:
    """Run what has to run and put the outputs of the targets where users look for them.

    The artifacts `kept` are made too, but stay in the store; without `deliver` they alone are made. Hold the lock of
    the output base (`store.lock.exclusive`) around it.
    """
    place = session.place
    paths = output_paths(analysed.targets.values(), config)
    with ExitStack() as opened:
        with events.phase("open the store"):
            from buildsys.execution.durations import Durations
            from buildsys.execution.executor import Executor
            from buildsys.execution.journal import record

            store, state, sources, outputs = opened.enter_context(stored(session))
            durations = Durations(state.durations())
        executor = Executor(analysed.analyser.graph, store, sources, outputs, options, events, durations)
        wanted = {a: path for a, path in paths.items() if deliver and not a.is_source}
        outcome = executor.run(wanted, kept)
        with events.phase("journal"):
            record(state, sources, request, outcome)
    shown = {label: _shown(target, paths, session.workspace) for label, target in analysed.targets.items()}
    failed = [
        label
        for label, target in analysed.targets.items()
        if any(artifact in outcome.failed for artifact in target.files)
    ]
    link = os.path.join(place.root, OUTPUT_LINK)
    identities = [*store.identity(), look_identity(state.path), look_identity(link)]
    seen = chain(sources.seen, identities)
    return Built(analysed, outcome, shown, failed, outputs.seen(), seen, wanted)


def preview(session: Session, analysed: Analysed, config: Configuration) -> str:
    """Return what a build would have to do first, running nothing; the empty string when everything is up to date."""
    from buildsys.execution.preview import first_to_do

    paths = output_paths(analysed.targets.values(), config)
    wanted = {artifact: path for artifact, path in paths.items() if not artifact.is_source}
    with stored(session) as (store, _, sources, outputs):
        return first_to_do(analysed.analyser.graph, wanted, store, sources, outputs)


def fetch(
    session: Session, analysed: Analysed, config: Configuration, options: ExecutionOptions, events: Events, request: str
) -> Built:
    """Run the downloads that the targets need, and what these need themselves; their files stay in the store."""
    from buildsys.execution.durations import NETWORK

    graph = analysed.analyser.graph
    needed = graph.closure(artifact for target in analysed.targets.values() for artifact in target.files)
    downloads = [action for action in needed if getattr(action.operation, "POOL", "") == NETWORK]
    kept = [output for action in downloads for output in action.outputs]
    return build(session, analysed, config, options, events, request, kept, deliver=False)


def lock(
    session: Session,
    analysed: Analysed,
    config: Configuration,
    options: ExecutionOptions,
    events: Events,
    request: str,
    images: Sequence[str] = (),
    update: Sequence[str] = (),
) -> Locking:
    """Resolve the images that the targets need, and `images`, and write them to the lock file.

    They are locked for the architectures of the workspace's platforms and of the targets, or else for all that are
    known. Images that are locked are not asked for, unless `update` names them; without targets it names locked ones.
    Hold the lock of the output base around it.
    """
    from buildsys.actions.select_images import SelectImages
    from buildsys.lock.images import locked_named, read_named, resolve, written_named
    from buildsys.lock.writing import rewrite
    from buildsys.model.platform import ELF_MACHINES

    graph = analysed.analyser.graph
    needed = graph.closure(artifact for target in analysed.targets.values() for artifact in target.files)
    selecting = [action.operation for action in needed if isinstance(action.operation, SelectImages)]
    lists = [operation.images for operation in selecting]
    declared = [platform.arch for platform in session.workspace.platforms]
    arches = list(dict.fromkeys([*declared, *(operation.arch for operation in selecting)])) or list(ELF_MACHINES)
    built = build(session, analysed, config, options, events, request, lists, deliver=False)
    if built.outcome.errors:
        raise BuildErrors(built.outcome.errors)
    with stored(session) as (store, _, _, _):
        named = read_named(store.blobs.read(built.outcome.values[artifact].digest) for artifact in dict.fromkeys(lists))
    with events.phase("resolve images"):
        locked = session.pins().images()
        named += [*written_named(images), *(locked_named(locked, update) if not analysed.targets else ())]
        found = resolve(named, locked, arches, options.fetching.access(), update)
    path = os.path.join(session.place.root, session.workspace.lockfile)
    return Locking(session.workspace.lockfile, found, rewrite(path, session.pins(), found.pins))


@contextmanager
def serving(
    session: Session, built: Built, address: tuple[str, int], log: Callable[[str], None]
) -> Iterator[RegistryServer]:
    """Serve the images in what was built, straight out of the store; the caller has the server run.

    Raises `UserError` B437 and B438, `EnvironmentFault` B507.
    """
    from buildsys.serve.contents import Contents
    from buildsys.serve.server import RegistryServer

    with stored(session) as (store, _, _, _):
        contents = Contents(store.blobs.read)
        for wanted, target in built.analysed.targets.items():
            contents.take(target, str(wanted), built.outcome.values)
        with RegistryServer(address, contents, store.blobs.open, log) as server:
            yield server


@contextmanager
def opened_image(session: Session, built: Built, layout: Artifact) -> Iterator[tuple[Image, WorkspaceState]]:
    """Open the image in a layout that was built, to be pushed or loaded out of the store, and what is remembered."""
    from buildsys.push.image import read_image

    with stored(session) as (store, state, _, _):
        yield read_image(built.outcome.values[layout].digest, store.blobs), state


def query(session: Session, text: str, *, keep_going: bool = False) -> Answered:
    """Answer a question about targets as they are written, manual ones too. Raises `UsageError` for its syntax."""
    from buildsys.query.evaluation import evaluate
    from buildsys.query.functions import FUNCTIONS
    from buildsys.query.loaded import LoadedUniverse
    from buildsys.query.parser import parse

    expression = parse(text, {name: function.signature for name, function in FUNCTIONS.items()})
    universe = LoadedUniverse(
        session.loader,
        lambda pattern: patterns.expand([pattern], session.loader, here=session.place.here, manual=True),
        session.rules.schema,
        keep_going=keep_going,
    )
    nodes = evaluate(expression, universe, FUNCTIONS)
    errors = [*session.loader.errors(), *universe.errors]
    if errors and not keep_going:
        raise BuildErrors(errors)
    return Answered(expression, universe, nodes, errors)


def cquery(
    session: Session, expression: Expression, choices: Choices, *, keep_going: bool = False
) -> tuple[Answered, Analysed]:
    """Answer a question about configured targets: those that its patterns name, and all that these depend on."""
    from buildsys.query.configured import CONFIGURED_FUNCTIONS, ConfiguredUniverse
    from buildsys.query.evaluation import evaluate
    from buildsys.query.expression import words

    named = {word: resolve(session, [word], keep_going=keep_going) for word in dict.fromkeys(words(expression))}
    labels = list(dict.fromkeys(label for found in named.values() for label in found))
    configs, _ = configurations(session, labels, choices)
    analysed = analyse(session, labels, *configs, keep_going=keep_going)
    by_label: dict[Label, list[ConfiguredTarget]] = {}
    for wanted, target in analysed.targets.items():
        by_label.setdefault(wanted.label, []).append(target)
    top = {word: [target for label in found for target in by_label.get(label, ())] for word, found in named.items()}
    universe = ConfiguredUniverse(analysed.analyser.targets, top, session.loader.packages, session.rules.schema)
    nodes = evaluate(expression, universe, CONFIGURED_FUNCTIONS)
    return Answered(expression, universe, nodes, analysed.errors), analysed


def files(session: Session, targets: Sequence[ConfiguredTarget]) -> list[str]:
    """Return the files of configured targets, relative to the workspace, as `build` prints them."""
    config = configuration(session, {})
    shown = (_shown(target, output_paths([target], config), session.workspace) for target in targets)
    return list(dict.fromkeys(path for paths in shown for path in paths))


def aquery(session: Session, analysed: Analysed, targets: Sequence[ConfiguredTarget]) -> list[ShownAction]:
    """Return the actions of configured targets, with the keys that are known without running anything."""
    from buildsys.execution.preview import foresee
    from buildsys.query.actions import show

    analyser = analysed.analyser
    actions = ((target, analyser.actions_of(target)) for target in analyser.targets)
    paths = all_paths(actions, configuration(session, {}))
    chosen = [(t, action) for t in targets for action in analyser.actions_of(t)]
    needed = analyser.graph.closure(output for _, action in chosen for output in action.outputs)
    with stored(session) as (store, _, sources, _):
        keys = {id(seen.action): seen.key or "" for seen in foresee(needed, store.actions, sources, {})}
    return [
        show(
            target, action, keys[id(action)], lambda a: sources.path(a) if a.is_source else f"{OUTPUT_LINK}/{paths[a]}"
        )
        for target, action in chosen
    ]


def explain(session: Session, wanted: Sequence[str]) -> list[str]:
    """Say why the last build ran what it ran; with `wanted`, only of these targets and what they depend on."""
    from buildsys.query.functions import closure
    from buildsys.query.loaded import LoadedUniverse
    from buildsys.query.universe import Node
    from buildsys.report.explanation import Lookup, explained

    owners: set[str] | None = None
    if wanted:
        labels = patterns.expand(wanted, session.loader, here=session.place.here, manual=True)
        universe = LoadedUniverse(session.loader, lambda _: (), session.rules.schema, keep_going=True)
        owners = {str(node.label) for node in closure(universe, (Node(label) for label in labels))}
    with stored(session) as (store, state, _, _):
        return explained(state.last_build(), owners, Lookup(store.actions.descriptor, store.blobs))


def clean(place: Place, *, expunge: bool) -> list[str]:
    """Remove the outputs of this workspace and, with `expunge`, what it remembers; return what was removed."""
    from buildsys.execution.output_folder import remove

    return remove(place.root, place.output_base, expunge=expunge)


def _shown(target: ConfiguredTarget, paths: Mapping[Artifact, str], workspace: Workspace) -> list[str]:
    """Return the paths of a target's files relative to the workspace."""
    return [
        os.path.normpath(f"{workspace.packages}/{artifact.path}")
        if artifact.is_source
        else f"{OUTPUT_LINK}/{paths[artifact]}"
        for artifact in target.files
    ]


def prepare(place: Place) -> None:
    """Make the output folder and the store's, and let `buildsys-bin` in the workspace lead to the former.

    To be done before the workspace is looked at, so that making them does not count as a change of it.
    """
    from buildsys.execution.output_folder import make

    with suppress(OSError):  # a store that cannot be made is reported when it is opened
        os.makedirs(place.store, exist_ok=True)
    make(place.root, place.output_base)
