"""run: make one target, and do what it is for."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING

from buildsys import session
from buildsys.cli import making
from buildsys.cli.commands.build import report
from buildsys.cli.making import BUILD_FAILURE
from buildsys.cli.measured import count
from buildsys.errors import UsageError
from buildsys.model.provider import RunInfo

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildsys.cli.making import Prepared
    from buildsys.cli.request import Request
    from buildsys.push.image import Image
    from buildsys.push.pushing import Pushed
    from buildsys.store.workspace_state import WorkspaceState

RUN_FAILURE = 6
KILLED = 128
"""Added to the number of the signal that killed a child, as shells do."""


def run(request: Request) -> int:
    """Make one target and run its one executable file with the words behind the target; push or load an image."""
    import subprocess

    words = request.patterns
    if not words:
        raise UsageError("B039", "Must specify a target to run", hint="buildsys run //package:name -- ARGUMENT...")
    began = time.perf_counter()
    prepared = making.prepare(request, words[:1])
    if prepared is None:
        return 0
    labels = list(prepared.analysed.targets)
    if len(labels) != 1:
        raise UsageError(
            "B039", f"Only a single target can be run. Found {len(labels)} targets", hint="name one: //package:name"
        )
    info = prepared.analysed.targets[labels[0]].get(RunInfo)
    if info is not None:
        return _image(request, prepared, info, words[1:])
    built = making.build(request, prepared)
    report(request, built, began)
    if built.errors:
        return making.failure(built)
    files = prepared.analysed.targets[labels[0]].files
    values = built.outcome.values
    if len(files) != 1 or files[0].is_source or not values[files[0]].executable:
        request.terminal.message("ERROR", f"Cannot run target {labels[0]}: Not executable")
        return BUILD_FAILURE
    root = prepared.opened.place.root
    path = os.path.join(root, built.outputs[labels[0]][0])
    request.terminal.message("INFO", f"Running command line: {built.outputs[labels[0]][0]}")
    environment = {**os.environ, "BUILD_WORKSPACE_DIRECTORY": root, "BUILD_WORKING_DIRECTORY": os.getcwd()}
    try:
        with request.events.phase("run"):
            code = subprocess.run([path, *words[1:]], env=environment, check=False).returncode
    except OSError as error:
        request.terminal.message("ERROR", f"Cannot run target {labels[0]}: {error.strerror}")
        return RUN_FAILURE
    return code if code >= 0 else KILLED - code


def _image(request: Request, prepared: Prepared, info: RunInfo, words: list[str]) -> int:
    """Make an image, which stays in the store, and push or load it. What is wrong with `words` is said before."""
    began = time.perf_counter()
    act = _pushing(request, words) if info.kind == "push" else _loading(request, info, words)
    built = making.make(request, prepared, partial(session.build, deliver=False), (info.layout,))
    making.report_failures(request, built)
    report(request, built, began, delivered=False)
    if built.errors:
        return making.failure(built)
    with session.opened_image(prepared.opened, built, info.layout) as (image, state):
        act(image, state)
    return 0


def _pushing(request: Request, words: list[str]) -> Callable[[Image, WorkspaceState], None]:
    """Return what pushes an image to the places that `words` name."""
    from buildsys.push.pushing import Pusher, destinations

    targets = destinations(words)
    access = request.execution().fetching.access()

    def push(image: Image, state: WorkspaceState) -> None:
        with Pusher(access, state, request.events.transferred) as pusher:
            for target in targets:
                with request.events.phase(f"push {target}"):
                    pushed = pusher.push(image, target)
                _tell(request, pushed)

    return push


def _tell(request: Request, pushed: Pushed) -> None:
    terminal, target = request.terminal, pushed.target
    uploaded = (
        f"{count(pushed.uploaded, 'blob')} ({count(pushed.size, 'byte')}) and {count(pushed.manifests, 'manifest')}"
    )
    there = f"{pushed.there} {'was' if pushed.there == 1 else 'were'} there"
    terminal.message("INFO", f"Uploaded {uploaded} to {target.name}; {pushed.mounted} mounted, {there}.")
    terminal.message("INFO", f"{target} is sha256:{pushed.digest} {'as before' if pushed.was_tagged else 'now'}.")
    terminal.answer(pushed.name, now=True)


def _loading(request: Request, info: RunInfo, words: list[str]) -> Callable[[Image, WorkspaceState], None]:
    """Return what loads an image into the engine that `words` name, or that is there."""
    from buildsys.push import loading

    wish = loading.parse_words(words)
    engine = loading.find_engine(wish.engine)

    def load(image: Image, _: WorkspaceState) -> None:
        chosen = loading.choose(image, wish, info.tags, engine)
        with request.events.phase(f"load into {engine}"):
            loading.load(chosen)
        name = os.path.basename(engine)
        request.terminal.message("INFO", f"Loaded the image for {chosen.arch} into {name}.")
        for tag in chosen.tags:
            request.terminal.answer(tag)

    return load
