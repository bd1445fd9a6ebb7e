"""What commands that make something have in common: from a request to analysed targets, and from these to results."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buildsys import recording, session
from buildsys.cli.measured import count
from buildsys.cli.terminal import failing
from buildsys.errors import BuildErrors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from buildsys.analysis.configuration import Configuration
    from buildsys.cli.request import Request
    from buildsys.model.action import Artifact
    from buildsys.opened import Analysed, Built, Session
    from buildsys.snapshot import Seen

BUILD_FAILURE = 1


class Prepared(NamedTuple):
    """A request up to the end of its analysis, the lines that said so, and the program's files as they were before."""

    opened: Session
    config: Configuration
    """One of the configurations: where outputs stand follows from what they have in common."""
    analysed: Analysed
    lines: list[str]
    program: list[Seen]


def prepare(request: Request, patterns: list[str] | None = None) -> Prepared | None:
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
    return Prepared(opened, configs[0], analysed, lines, program)


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


def make(request: Request, prepared: Prepared, by: Callable[..., Built], *more: Sequence[Artifact]) -> Built:
    """Build, or fetch, what was analysed, while no other command of this workspace does."""
    opened, analysed, config = prepared.opened, prepared.analysed, prepared.config
    with failing(request.terminal), request.alone(opened.place):
        return by(opened, analysed, config, request.execution(), request.events, request.text, *more)


def build(request: Request, prepared: Prepared, kept: Sequence[Artifact] = ()) -> Built:
    """Build what was analysed, and print what was wrong; the artifacts `kept` are made too."""
    built = make(request, prepared, session.build, kept)
    report_failures(request, built)
    return built


def failure(built: Built) -> int:
    """Return the exit code of a build that failed."""
    return BuildErrors(built.errors).exit_code if not built.analysed.errors else BUILD_FAILURE


def report_failures(request: Request, built: Built) -> None:
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
