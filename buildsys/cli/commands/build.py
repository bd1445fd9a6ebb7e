"""build, fetch: make targets."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from buildsys import session, snapshot
from buildsys.errors import BuildError, BuildErrors, UsageError

if TYPE_CHECKING:
    from buildsys.analysis.configuration import Configuration
    from buildsys.cli.request import Request
    from buildsys.execution.executor import Options
    from buildsys.model.label import Label
    from buildsys.session import Analysed, Built, Session

BUILD_FAILURE = 1


def build(request: Request) -> int:
    """Make what target patterns name."""
    began = time.perf_counter()
    if not request.patterns:
        request.terminal.message("WARNING", "Usage: buildsys build <options> <targets>.")
        request.terminal.note("Invoke `buildsys help build` for full description of usage and options.")
        return 0
    terminal = request.terminal
    options = request.execution()
    opened = request.open()
    session.prepare(opened.place)
    config = session.configuration(opened, request.params())
    try:
        return _build(request, opened, config, options, began)
    except (BuildError, BuildErrors) as error:
        problems = BuildErrors([error] if isinstance(error, BuildError) else error.errors)
        terminal.errors(problems.errors)
        terminal.message("FAILED", "Build did NOT complete successfully")
        return problems.exit_code


def _build(request: Request, opened: Session, config: Configuration, options: Options, began: float) -> int:
    """Load, analyse and execute; what stops the build as a whole is raised."""
    terminal = request.terminal
    keep_going = request.options.flag("keep_going")
    labels = session.resolve(opened, request.patterns, keep_going=keep_going)
    analysed = session.analyse(opened, labels, config, keep_going=keep_going)
    lines = [_analysed_line(opened, labels, analysed), _found_line(analysed)]
    for line in lines:
        terminal.message("INFO", line)
    if analysed.errors:
        _report_skipped(request, labels, analysed)
    if not request.options.flag("build"):
        return BUILD_FAILURE if analysed.errors else 0
    built = session.build(opened, analysed, config, options, terminal.events, " ".join(request.argv))
    terminal.errors(BuildErrors(built.outcome.errors).errors)
    _report(request, built, began)
    if built.errors:
        return BuildErrors(built.errors).exit_code if not analysed.errors else BUILD_FAILURE
    _remember(request, opened, built, lines)
    return 0


def _report_skipped(request: Request, labels: list[Label], analysed: Analysed) -> None:
    """Say what is wrong, and which targets are not built for it though the others are."""
    terminal = request.terminal
    terminal.errors(analysed.errors)
    for label in labels:
        if label not in analysed.targets:
            terminal.message("WARNING", f"errors encountered while analyzing target '{label}': it will not be built")
    if len(analysed.targets) < len(labels):
        terminal.message(
            "INFO", f"Analysis succeeded for only {len(analysed.targets)} of {len(labels)} top-level targets"
        )


def fetch(request: Request) -> int:
    """Download what target patterns need, and make nothing else."""
    raise UsageError("B014", "fetch is not there yet", hint="`buildsys build` fetches what it needs")


def _analysed_line(opened: Session, labels: list[Label], analysed: Analysed) -> str:
    what = f"target {labels[0]}" if len(labels) == 1 else f"{len(labels)} targets"
    loaded, configured = len(opened.loader.packages), len(analysed.analyser.targets)
    return f"Analyzed {what} ({_count(loaded, 'package')} loaded, {_count(configured, 'target')} configured)."


def _found_line(analysed: Analysed) -> str:
    return f"Found {_count(len(analysed.targets), 'target')}..."


def _result_lines(request: Request, built: Built) -> list[str]:
    """Return the lines that say where the outputs are, and which targets have none."""
    lines: list[str] = []
    if len(built.outputs) > request.options.number("show_result"):
        return lines
    for label, paths in built.outputs.items():
        if label in built.failed:
            lines.append(f"Target {label} failed to build")
        elif paths:
            lines.append(f"Target {label} up-to-date:")
            lines += [f"  {path}" for path in paths]
        else:
            lines.append(f"Target {label} up-to-date (nothing to build)")
    return lines


def _remarks(built: Built) -> list[str]:
    """Return what a user must know of a build that succeeded."""
    sample = any((target.reads or {}).get("source") == "sample" for target in built.analysed.targets.values())
    return ["This is a sample: stand-ins take the place of upstream's files. It is not deployable."] if sample else []


def _report(request: Request, built: Built, began: float) -> None:
    terminal, outcome = request.terminal, built.outcome
    for line in _result_lines(request, built):
        terminal.note(line)
    if built.failed and not request.options.flag("verbose_failures"):
        terminal.note("Use --verbose_failures to see the descriptors of failed actions.")
    elapsed = f"{time.perf_counter() - began:.3f}"
    critical = max((ran.seconds for ran in outcome.ran), default=0.0)
    terminal.message("INFO", f"Elapsed time: {elapsed}s, Critical Path: {critical:.2f}s")
    terminal.message("INFO", _processes(len(outcome.ran), outcome.hits))
    if built.analysed.errors and not outcome.errors:
        terminal.message("ERROR", "command succeeded, but not all targets were analyzed")
    if built.errors:
        terminal.message("FAILED", "Build did NOT complete successfully")
        return
    for remark in _remarks(built):
        terminal.message("WARNING", remark)
    terminal.message("INFO", f"Build completed successfully, {_count(len(outcome.ran), 'total action')}")


def _processes(ran: int, hits: int) -> str:
    parts = [f"{hits} action cache hit"] if hits else []
    parts += [f"{ran} local"] if ran else []
    return f"{ran + hits} process{'' if ran + hits == 1 else 'es'}" + (f": {', '.join(parts)}." if parts else ".")


def _remember(request: Request, opened: Session, built: Built, lines: list[str]) -> None:
    """Write the snapshot that will answer this request as long as nothing changes."""
    tag = request.terminal.palette.tag
    text = "".join(f"{tag('INFO')} {line}\n" for line in _unchanged(lines))
    text += "".join(f"{line}\n" for line in _result_lines(request, built))
    text += f"{tag('INFO')} Elapsed time: {{elapsed}}s, Critical Path: 0.00s\n{tag('INFO')} 0 processes.\n"
    text += "".join(f"{tag('WARNING')} {remark}\n" for remark in _remarks(built))
    text += f"{tag('INFO')} Build completed successfully, 0 total actions\n"
    inputs = [*opened.files.seen.values(), *built.seen, *snapshot.program()]
    inputs += [snapshot.look(path) for path in request.rc_files]
    snapshot.write(request.argv, opened.place.output_base, inputs, built.written, request.began_ns, text)


def _unchanged(lines: list[str]) -> list[str]:
    """Return the first lines of a build as the next one will print them: nothing loaded, nothing configured."""
    head = lines[0].partition(" (")[0]
    return [f"{head} (0 packages loaded, 0 targets configured).", *lines[1:]]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
