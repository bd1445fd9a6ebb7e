"""Dispatch: startup options, rc files, the command, and the one place where errors become text and exit codes."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from typing import TYPE_CHECKING

from buildsys import snapshot
from buildsys.cli import options as options_module
from buildsys.cli import rc
from buildsys.cli.options import MAKING, QUERYING
from buildsys.cli.request import Request
from buildsys.cli.terminal import Terminal
from buildsys.errors import BuildError, BuildErrors, EnvironmentFault, Interrupted, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

INTERNAL = 37


def dispatch(argv: list[str]) -> int:
    """Run a command line; return the exit code. Nothing is raised but SystemExit."""
    terminal = Terminal(color="auto", show_progress=False)
    try:
        signal.signal(signal.SIGTERM, _interrupt)
        request = _request(argv)
        terminal = request.terminal
        code = command(request.command)(request)
        sys.stdout.flush()
        return code
    except BuildErrors as errors:
        terminal.errors(errors.errors)
        return errors.exit_code
    except BuildError as error:
        terminal.errors([error])
        return error.exit_code
    except KeyboardInterrupt:
        terminal.errors([Interrupted("B801", "interrupted", hint="run it again: what was finished is kept")])
        return Interrupted.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        fault = EnvironmentFault(
            "B504", f"{where}{error.strerror or error}", hint="look at the disk and the permissions"
        )
        terminal.errors([fault])
        return fault.exit_code
    except Exception:  # noqa: BLE001 - our own fault, whatever it is: say so and keep the traceback
        return _internal(terminal)


def _request(argv: list[str]) -> Request:
    began = snapshot.now_ns()
    split = _command_position(argv)
    startup = options_module.parse(argv[:split], "startup")
    name = argv[split] if split < len(argv) else "help"
    if name not in rc.COMMANDS:
        hint = did_you_mean(name, rc.COMMANDS) or "`buildsys help` lists the commands"
        raise UsageError("B001", f"Command '{name}' not found. Try 'buildsys help'.", hint=hint)
    root = _root()
    files = rc.rc_files(root, startup.values, dict(os.environ))
    lines, seen = rc.read_rc(files, root)
    startup_tokens = [token for line in lines if line.command == "startup" for token in line.options]
    if startup_tokens:
        startup = options_module.parse([*startup_tokens, *argv[:split]], "startup")
    given = argv[split + 1 :]
    tokens = rc.options_from_rc(lines, name, given)
    parsed = options_module.parse(tokens, name)
    terminal = Terminal(
        color=parsed.text("color"),
        show_progress=parsed.flag("show_progress"),
        subcommands=bool(parsed.values.get("subcommands")),
    )
    if parsed.flag("announce_rc"):
        extra = " ".join(tokens[: len(tokens) - len(given)])
        terminal.message("INFO", f"Options from rc files for '{name}': {extra or 'none'}")
    return Request(argv, name, parsed, startup, terminal, seen, began)


def _command_position(argv: list[str]) -> int:
    """Return where the command stands: the first word that is neither a startup option nor the value of one."""
    known = options_module.options_of("startup")
    position = 0
    while position < len(argv) and argv[position].startswith("-"):
        name, equals, _ = argv[position].removeprefix("--").partition("=")
        takes_value = name in known and known[name].kind != options_module.BOOL and not equals
        position += 2 if takes_value else 1
    return min(position, len(argv))


def _root() -> str | None:
    from buildsys.loading.workspace import find_root

    return find_root(os.getcwd())


def command(name: str) -> Callable[[Request], int]:
    """Return the function of a command; its docstring says in one line what the command does."""
    from importlib import import_module

    module = "answers"
    if name in MAKING:
        module = "build"
    elif name in {*QUERYING, "explain"}:
        module = "querying"
    elif name == "help":
        module = "help"
    found: Callable[[Request], int] = getattr(import_module(f"buildsys.cli.commands.{module}"), name)
    return found


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _internal(terminal: Terminal) -> int:
    with tempfile.NamedTemporaryFile("w", prefix="buildsys-", suffix=".log", delete=False) as stream:
        stream.write(f"command line: {sys.argv}\n")
        traceback.print_exc(file=stream)
    terminal.message("ERROR", f"buildsys has failed on its own account: {sys.exc_info()[1]!r} [B900]")
    terminal.note(f"  hint: this is a defect; please report it, with {stream.name}")
    return INTERNAL
