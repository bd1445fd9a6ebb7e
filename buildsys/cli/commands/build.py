"""build, fetch, lock, test: make targets, or what they need."""

from __future__ import annotations

import os
import time
from itertools import chain
from typing import TYPE_CHECKING

from buildsys import recording, session, snapshot
from buildsys.cli import making
from buildsys.cli.making import BUILD_FAILURE
from buildsys.cli.measured import count, elapsed_line, measured
from buildsys.cli.terminal import failing
from buildsys.errors import UserError
from buildsys.model.provider import TestInfo
from buildsys.sdk.sample import SAMPLE, SOURCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildsys.analysis.choices import Wanted
    from buildsys.cli.making import Prepared
    from buildsys.cli.request import Request
    from buildsys.model.action import Artifact
    from buildsys.opened import Built, Session
    from buildsys.snapshot import Seen

TESTS_FAILED = 3
NO_TESTS_FOUND = 4
PASSED, FAILED, NO_STATUS = "PASSED", "FAILED", "NO STATUS"


def build(request: Request) -> int:
    """Make what target patterns name."""
    began = time.perf_counter()
    prepared = making.prepare(request)
    if prepared is None:
        return 0
    if not request.options.flag("build"):
        return _ended_early(request, prepared, began)
    if request.options.flag("check_up_to_date"):
        return _checked(request, prepared, began)
    built = making.build(request, prepared)
    report(request, built, began)
    if built.errors:
        return making.failure(built)
    if request.remembers:
        with request.events.phase("write the snapshot"):
            _remember(request, prepared.opened, built, prepared.lines, prepared.program)
    return 0


def fetch(request: Request) -> int:
    """Download what target patterns need, and make nothing else."""
    prepared = making.prepare(request)
    if prepared is None:
        return 0
    built = making.make(request, prepared, session.fetch)
    making.report_failures(request, built)
    if built.errors:
        return making.failure(built)
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
        prepared = making.prepare(request)
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
    prepared = making.prepare(request)
    if prepared is None:
        return 0
    tests = {
        label: info.passed
        for label, target in prepared.analysed.targets.items()
        if (info := target.get(TestInfo)) is not None
    }
    built = making.build(request, prepared, list(tests.values()))
    report(request, built, began)
    if not tests and not built.errors:
        request.terminal.message("ERROR", "No test targets were found, yet testing was requested")
        return NO_TESTS_FOUND
    states = _test_states(built, tests)
    for label, state in states.items():
        request.terminal.note(f"{label}  {state}")
    if built.errors and not built.analysed.errors and all(states.get(label) == FAILED for label in built.failed):
        return TESTS_FAILED if FAILED in states.values() else making.failure(built)
    return making.failure(built) if built.errors else 0


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


def _ended_early(request: Request, prepared: Prepared, began: float) -> int:
    """End a build after its analysis (`--nobuild`)."""
    request.terminal.message("INFO", f"Elapsed time: {time.perf_counter() - began:.3f}s")
    if prepared.analysed.errors:
        request.terminal.message("FAILED", "Build did NOT complete successfully")
        return BUILD_FAILURE
    request.terminal.message("INFO", "Build completed successfully, 0 total actions")
    return 0


def _checked(request: Request, prepared: Prepared, began: float) -> int:
    """End a build before it runs anything, and say whether it would have (`--check_up_to_date`)."""
    todo = session.preview(prepared.opened, prepared.analysed, prepared.config)
    if todo:
        raise UserError("B036", f"not up-to-date: {todo}", hint="build without --check_up_to_date")
    return _ended_early(request, prepared, began)


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


def report(request: Request, built: Built, began: float, *, delivered: bool = True) -> None:
    """Say what became of a build: where its outputs are, if they were `delivered`, and how long it took."""
    terminal, outcome = request.terminal, built.outcome
    if delivered:
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
