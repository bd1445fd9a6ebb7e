"""Dispatch: startup options, rc files, the command, and the one place where errors become text and exit codes."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from buildsys import snapshot
from buildsys.cli import options as options_module
from buildsys.cli import rc
from buildsys.cli.defect import internal
from buildsys.cli.options import MAKING, QUERYING
from buildsys.cli.request import Request
from buildsys.cli.terminal import Reported, Terminal
from buildsys.errors import BuildError, BuildErrors, Interrupted, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildsys.snapshot import Snapshot

ALIASES = {"--help": ["help"], "-h": ["help"], "--version": ["version"]}
"""What everybody tries first."""


def dispatch(argv: list[str], found: Snapshot | None = None, began: float | None = None) -> int:
    """Run a command line; return the exit code. Nothing is raised but SystemExit.

    `found` is the snapshot of this request where nothing but the content of known files has changed; `began` is when
    the program did.
    """
    entered = time.perf_counter()
    began = entered if began is None else began
    terminal = Terminal(color="auto", show_progress=False)
    try:
        signal.signal(signal.SIGINT, _interrupt)
        signal.signal(signal.SIGTERM, _interrupt)
        root = _root()
        terminal.root = root or ""
        request = _request(argv, root)
        terminal = request.terminal
        terminal.root = root or ""
        if request.options.values.get("profile"):
            from buildsys.cli.profiling import run_profiled

            code = run_profiled(request, root, perform, began, entered)
        else:
            code = perform(request, found)
        sys.stdout.flush()
        return code
    except Reported as reported:
        return reported.code
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
        from buildsys.store.fault import store_fault

        trouble = store_fault(error, "a file")
        terminal.errors([trouble])
        return trouble.exit_code
    except Exception as error:  # noqa: BLE001 - our own fault, whatever it is: say so and keep the traceback
        fault = internal(error)
        terminal.errors([fault])
        return fault.exit_code


def perform(request: Request, found: Snapshot | None) -> int:
    """Run a command; return the exit code. `found` is as in `dispatch`."""
    if found is not None and request.command == "build":
        with request.events.phase("import the command"):
            from buildsys.cli.rebuild import rebuild

        code = rebuild(request, found)
        if code is not None:
            return code
    with request.events.phase("import the command"):
        function = command(request.command)
    return function(request)


def _request(argv: list[str], root: str | None) -> Request:
    began = snapshot.now_ns()
    argv = ALIASES.get(argv[0], argv[:1]) + argv[1:] if argv else argv
    split = _command_position(argv)
    startup = options_module.parse(argv[:split], "startup")
    name = argv[split] if split < len(argv) else "help"
    if name not in rc.COMMANDS:
        hint = did_you_mean(name, rc.COMMANDS) or "`buildsys help` lists the commands"
        raise UsageError("B001", f"Command '{name}' not found. Try 'buildsys help'.", hint=hint)
    files = rc.rc_files(root, startup.values, dict(os.environ))
    lines, seen = rc.read_rc(files, root)
    startup_tokens = [token for line in lines if line.command == "startup" for token in rc.checked(line, "startup")]
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
    plain, remembers = given, True
    if parsed.values.get("profile"):
        plain = options_module.without("profile", given, name)
        remembers = not options_module.parse(rc.options_from_rc(lines, name, plain), name).values["profile"]
    return Request(
        argv=[*argv[: split + 1], *plain],
        typed=argv,
        command=name,
        options=parsed,
        startup=startup,
        terminal=terminal,
        events=terminal.events,
        rc_seen=seen,
        began_ns=began,
        remembers=remembers,
    )


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
    from buildsys.loading.place import find_root

    return find_root(os.getcwd())


def command(name: str) -> Callable[[Request], int]:
    """Return the function of a command; its docstring says in one line what the command does."""
    from importlib import import_module

    module = "answers"
    if name in {"help", "cache", "serve", "run"}:
        module = name
    elif name in MAKING:
        module = "build"
    elif name in {*QUERYING, "explain"}:
        module = "querying"
    found: Callable[[Request], int] = getattr(import_module(f"buildsys.cli.commands.{module}"), name)
    return found


def _interrupt(number: int, frame: object) -> None:
    """Stop in an orderly way; whoever asks a second time wants out at once, and what is half-written is in `tmp`."""
    signal.signal(number, _leave)
    raise KeyboardInterrupt


def _leave(number: int, frame: object) -> None:
    os._exit(Interrupted.exit_code)
