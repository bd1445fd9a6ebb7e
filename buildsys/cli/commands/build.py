"""build, fetch, lock, test, run: make targets, or what they need."""

from __future__ import annotations

import os
import time
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from buildsys import recording, session, snapshot
from buildsys.cli.measured import count, elapsed_line, measured
from buildsys.cli.terminal import failing
from buildsys.errors import BuildErrors, UsageError, UserError
from buildsys.model.provider import TestInfo
from buildsys.sdk.sample import SAMPLE, SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from buildsys.analysis.choices import Wanted
    from buildsys.analysis.configuration import Configuration
    from buildsys.cli.request import Request
    from buildsys.model.action import Artifact
    from buildsys.opened import Analysed, Built, Session
    from buildsys.snapshot import Seen

BUILD_FAILURE = 1
TESTS_FAILED = 3
NO_TESTS_FOUND = 4
RUN_FAILURE = 6
PASSED, FAILED, NO_STATUS = "PASSED", "FAILED", "NO STATUS"
KILLED = 128
"""Added to the number of the signal that killed a child, as shells do."""


def build(request: Request) -> int:
    """Make what target patterns name."""
    began = time.perf_counter()
    prepared = _prepared(request)
    if prepared is None:
        return 0
    if not request.options.flag("build"):
        return _ended_early(request, prepared, began)
    if request.options.flag("check_up_to_date"):
        return _checked(request, prepared, began)
    built = _built(request, prepared)
    _report(request, built, began)
    if built.errors:
        return _failure(built)
    if request.remembers:
        with request.events.phase("write the snapshot"):
            _remember(request, prepared.opened, built, prepared.lines, prepared.program)
    return 0


def fetch(request: Request) -> int:
    """Download what target patterns need, and make nothing else."""
    prepared = _prepared(request)
    if prepared is None:
        return 0
    built = _made(request, prepared, session.fetch)
    _failures(request, built)
    if built.errors:
        return _failure(built)
    outcome = built.outcome
    counts = f"{count(len(outcome.ran), 'download')} ran, {outcome.hits} had a result already"
    request.terminal.message("INFO", f"All external files are here: {counts}.")
    return 0


def lock(request: Request) -> int:
    """Find out what the images are that target patterns need, for all architectures, and write it to the lock file."""
    terminal, images = request.terminal, request.options.list("image")
    update = request.options.list("update")
    if (images or update) and not request.patterns:
        with request.events.phase("open the workspace"):
            session.prepare(request.place())
            opened = session.open_workspace(request.place())
            config = session.configuration(opened, request.params())
        with failing(terminal):
            analysed = session.analyse(opened, [], config)
    else:
        prepared = _prepared(request)
        if prepared is None:
            return 0
        opened, analysed, config = prepared.opened, prepared.analysed, prepared.config
    with failing(terminal), request.alone(opened.place):
        done = session.lock(opened, analysed, config, request.execution(), request.events, request.text, images, update)
    new = len({(pin.name, pin.version) for pin in done.resolved.pins})
    for moved in done.resolved.moved:
        terminal.message("WARNING", f"the image was replaced at its registry: {moved}")
    terminal.message("INFO", f"Resolved {count(new, 'image')}; {done.resolved.kept} were locked already.")
    terminal.message("INFO", f"{done.lockfile} {'was written' if done.changed else 'is as it was'}.")
    return 0


def test(request: Request) -> int:
    """Make what target patterns name, and say of the tests among it whether they passed."""
    began = time.perf_counter()
    prepared = _prepared(request)
    if prepared is None:
        return 0
    tests = {
        label: info.passed
        for label, target in prepared.analysed.targets.items()
        if (info := target.get(TestInfo)) is not None
    }
    built = _built(request, prepared, list(tests.values()))
    _report(request, built, began)
    if not tests and not built.errors:
        request.terminal.message("ERROR", "No test targets were found, yet testing was requested")
        return NO_TESTS_FOUND
    states = _test_states(built, tests)
    for label, state in states.items():
        request.terminal.note(f"{label}  {state}")
    if built.errors and not built.analysed.errors and all(states.get(label) == FAILED for label in built.failed):
        return TESTS_FAILED if FAILED in states.values() else _failure(built)
    return _failure(built) if built.errors else 0


def _test_states(built: Built, tests: Mapping[Wanted, Artifact]) -> dict[Wanted, str]:
    """Say of each test whether it passed, failed, or could not be run."""
    outcome = built.outcome
    examined = {output for action, _ in outcome.keys.values() for output in action.outputs}
    states: dict[Wanted, str] = {}
    for label, passed in tests.items():
        if passed in outcome.values and passed not in outcome.failed:
            states[label] = PASSED
        else:
            states[label] = FAILED if passed in examined else NO_STATUS
    return states


def run(request: Request) -> int:
    """Make one target and run its one executable file, with the words behind the target."""
    import subprocess

    words = request.patterns
    if not words:
        raise UsageError("B039", "Must specify a target to run", hint="buildsys run //package:name -- ARGUMENT...")
    began = time.perf_counter()
    prepared = _prepared(request, words[:1])
    if prepared is None:
        return 0
    labels = list(prepared.analysed.targets)
    if len(labels) != 1:
        raise UsageError(
            "B039", f"Only a single target can be run. Found {len(labels)} targets", hint="name one: //package:name"
        )
    built = _built(request, prepared)
    _report(request, built, began)
    if built.errors:
        return _failure(built)
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


class _Prepared(NamedTuple):
    """A request up to the end of its analysis, the lines that said so, and the program's files as they were before."""

    opened: Session
    config: Configuration
    """One of the configurations: where outputs stand follows from what they have in common."""
    analysed: Analysed
    lines: list[str]
    program: list[Seen]


def _prepared(request: Request, patterns: list[str] | None = None) -> _Prepared | None:
    """Load and analyse what a request names; None (and a word about usage) when it names nothing."""
    terminal, command = request.terminal, request.command
    wanted = request.patterns if patterns is None else patterns
    if not wanted:
        terminal.message("WARNING", f"Usage: buildsys {command} <options> <targets>.")
        terminal.note(f"Invoke `buildsys help {command}` for full description of usage and options.")
        return None
    keep_going = request.options.flag("keep_going")
    request.execution()  # what is wrong with the options is said before anything is loaded
    phase = request.events.phase
    with phase("open the workspace"):
        program = recording.program()
        place = request.place()
        session.prepare(place)
        opened = session.open_workspace(place, program)
        choices = session.choose(opened, request.params())
    with failing(terminal):
        with phase("loading"):
            labels = session.resolve(opened, wanted, keep_going=keep_going)
        with phase("analysis"):
            configs, lines = session.configurations(opened, labels, choices)
            analysed = session.analyse(opened, labels, *configs, keep_going=keep_going)
    lines += [_analysed_line(opened, analysed), _found_line(analysed)]
    for line in lines:
        terminal.message("INFO", line)
    if analysed.errors:
        _report_skipped(request, analysed)
    return _Prepared(opened, configs[0], analysed, lines, program)


def _report_skipped(request: Request, analysed: Analysed) -> None:
    """Say what is wrong, and which targets are not built for it though the others are."""
    terminal = request.terminal
    terminal.errors(analysed.errors)
    for wanted in analysed.broken:
        terminal.message("WARNING", f"errors encountered while analyzing target '{wanted}': it will not be built")
    if analysed.broken:
        good = len(analysed.targets)
        number = good + len(analysed.broken)
        terminal.message("INFO", f"Analysis succeeded for only {good} of {number} top-level targets")


def _made(request: Request, prepared: _Prepared, make: Callable[..., Built], *more: Sequence[Artifact]) -> Built:
    """Build, or fetch, what was analysed, while no other command of this workspace does."""
    opened, analysed, config = prepared.opened, prepared.analysed, prepared.config
    with failing(request.terminal), request.alone(opened.place):
        return make(opened, analysed, config, request.execution(), request.events, request.text, *more)


def _built(request: Request, prepared: _Prepared, kept: Sequence[Artifact] = ()) -> Built:
    """Build what was analysed, and print what was wrong; the artifacts `kept` are made too."""
    built = _made(request, prepared, session.build, kept)
    _failures(request, built)
    return built


def _ended_early(request: Request, prepared: _Prepared, began: float) -> int:
    """End a build after its analysis (`--nobuild`)."""
    request.terminal.message("INFO", f"Elapsed time: {time.perf_counter() - began:.3f}s")
    if prepared.analysed.errors:
        request.terminal.message("FAILED", "Build did NOT complete successfully")
        return BUILD_FAILURE
    request.terminal.message("INFO", "Build completed successfully, 0 total actions")
    return 0


def _checked(request: Request, prepared: _Prepared, began: float) -> int:
    """End a build before it runs anything, and say whether it would have (`--check_up_to_date`)."""
    todo = session.preview(prepared.opened, prepared.analysed, prepared.config)
    if todo:
        raise UserError("B036", f"not up-to-date: {todo}", hint="build without --check_up_to_date")
    return _ended_early(request, prepared, began)


def _failure(built: Built) -> int:
    return BuildErrors(built.errors).exit_code if not built.analysed.errors else BUILD_FAILURE


def _failures(request: Request, built: Built) -> None:
    """Print what was wrong with actions; with --verbose_failures also all that they were made of."""
    terminal = request.terminal
    terminal.errors(BuildErrors(built.outcome.errors).errors)
    if not request.options.flag("verbose_failures"):
        return
    for action, key in built.outcome.keys.values():
        if action.outputs[0] in built.outcome.failed:
            terminal.note(f"Failed: {action.name}" + (f" ({action.choice})" if action.choice else ""))
            terminal.note(f"  key        sha256:{key}")
            for artifact in action.inputs:
                terminal.note(f"  input      {artifact.path} {built.outcome.values[artifact].token}")
            terminal.note(f"  descriptor {{{action.static}")


def _analysed_line(opened: Session, analysed: Analysed) -> str:
    wanted = [*analysed.targets, *analysed.broken]
    what = f"target {wanted[0]}" if len(wanted) == 1 else f"{len(wanted)} targets"
    loaded, configured = len(opened.loader.packages), len(analysed.analyser.targets)
    return f"Analyzed {what} ({count(loaded, 'package')} loaded, {count(configured, 'target')} configured)."


def _found_line(analysed: Analysed) -> str:
    return f"Found {count(len(analysed.targets), 'target')}..."


def _result_lines(request: Request, built: Built) -> list[str]:
    """Return the lines that say where the outputs are, and which targets have none.

    Of more than --show_result only those that failed are named.
    """
    lines: list[str] = []
    failed, limit = set(built.failed), int(str(request.options.values.get("show_result", 1)))
    if not limit:
        return lines
    many = len(built.outputs) > limit
    for wanted, paths in built.outputs.items():
        if wanted in failed:
            lines.append(f"Target {wanted} failed to build")
        elif many:
            continue
        elif paths:
            lines.append(f"Target {wanted} up-to-date:")
            lines += [f"  {path}" for path in paths]
        else:
            lines.append(f"Target {wanted} up-to-date (nothing to build)")
    if many:
        good = count(len(built.outputs) - len(failed), "target")
        lines.append(f"{good} up-to-date (--show_result={len(built.outputs)} lists them)")
    return lines


def _remarks(built: Built) -> list[str]:
    """Return what a user must know of a build that succeeded."""
    remarks = built.analysed.analyser.remarks.texts()
    if any((target.reads or {}).get(SOURCE) == SAMPLE for target in built.analysed.targets.values()):
        remarks.append("This is a sample: stand-ins take the place of upstream's files. It is not deployable.")
    return remarks


def _report(request: Request, built: Built, began: float) -> None:
    terminal, outcome = request.terminal, built.outcome
    for line in _result_lines(request, built):
        terminal.note(line)
    if built.failed and not request.options.flag("verbose_failures"):
        terminal.note("Use --verbose_failures to see the descriptors of failed actions.")
    answer = measured(outcome, began)
    terminal.message("INFO", elapsed_line(answer.elapsed, answer.critical))
    terminal.message("INFO", answer.processes)
    if built.analysed.errors and not outcome.errors:
        terminal.message("ERROR", "command succeeded, but not all targets were analyzed")
    if built.errors:
        terminal.message("FAILED", "Build did NOT complete successfully")
        return
    for remark in _remarks(built):
        terminal.message("WARNING", remark)
    terminal.message("INFO", f"Build completed successfully, {answer.actions}")


def _remember(request: Request, opened: Session, built: Built, lines: list[str], program: list[Seen]) -> None:
    """Write the snapshot that will answer this request as long as nothing changes, and the plan for when it does."""
    from buildsys.execution import planning

    ELAPSED, CRITICAL, PROCESSES, ACTIONS = snapshot.PLACES  # noqa: N806
    tag = request.terminal.palette.tag
    text = "".join(f"{tag('INFO')} {line}\n" for line in _unchanged(lines))
    text += "".join(f"{line}\n" for line in _result_lines(request, built))
    text += f"{tag('INFO')} {elapsed_line(ELAPSED, CRITICAL)}\n{tag('INFO')} {PROCESSES}\n"
    text += "".join(f"{tag('WARNING')} {remark}\n" for remark in _remarks(built))
    text += f"{tag('INFO')} Build completed successfully, {ACTIONS}\n"
    inputs = chain(opened.files.seen.values(), built.seen, program, request.rc_seen)
    base = opened.place.output_base
    check = recording.write(request.argv, base, inputs, built.written, request.began_ns, text)
    if check:
        file = snapshot.file_of(base, request.argv, os.getcwd())
        planning.write(f"{file}.plan", check, opened.workspace.packages, built.outcome, built.paths)


def _unchanged(lines: list[str]) -> list[str]:
    """Return the first lines of a build as the next one will print them: nothing loaded, nothing configured."""
    *before, analysed, found = lines
    head = analysed.rpartition(" (")[0]
    return [*before, f"{head} (0 packages loaded, 0 targets configured).", found]
