"""rc files: options by default and by `--config=NAME`, in Bazel's order and syntax.

Files: /etc/buildsys.buildsysrc, .buildsysrc of the workspace, ~/.buildsysrc, those in $BUILDSYSRC (comma-separated),
those of --buildsysrc. Lines: `startup|always|common|COMMAND[:CONFIG] OPTION...`, `import FILE`, `try-import FILE`;
quoting as in the shell, `#` comments, a backslash at the end joins lines. Later lines win; the command line beats all.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from buildsys.cli.options import BUILDING, is_known, parse
from buildsys.errors import Location, UsageError, did_you_mean
from buildsys.snapshot import look

if TYPE_CHECKING:
    from buildsys.snapshot import Seen

COMMANDS = (
    *(
        "build",
        "test",
        "run",
        "fetch",
        "query",
        "cquery",
        "aquery",
        "lock",
        "serve",
        "explain",
        "info",
        "cache",
        "clean",
    ),
    *("help", "version", "shutdown"),
)


class Line(NamedTuple):
    """One line of an rc file: the command (or startup, always, common) it is for, its configuration, its options."""

    command: str
    config: str
    options: tuple[str, ...]
    at: Location
    text: str = ""


def rc_files(root: str | None, startup: dict[str, object], environ: dict[str, str]) -> list[str]:
    """Return the rc files that there are or could be, in the order in which they are read."""
    if startup["ignore_all_rc_files"]:
        return []
    found: list[str] = []
    if startup["system_rc"]:
        found.append("/etc/buildsys.buildsysrc")
    if root is not None and startup["workspace_rc"]:
        found.append(os.path.join(root, ".buildsysrc"))
    if startup["home_rc"] and environ.get("HOME"):
        found.append(os.path.join(environ["HOME"], ".buildsysrc"))
    found += [path for path in environ.get("BUILDSYSRC", "").split(",") if path]
    given = startup["buildsysrc"]
    for path in given if isinstance(given, tuple) else ():
        if path == "/dev/null":
            break
        if not os.path.exists(path):
            raise UsageError("B012", f"cannot read the rc file {path}", hint="check --buildsysrc")
        found.append(str(path))
    return list(dict.fromkeys(os.path.abspath(path) for path in found))


def read_rc(paths: list[str], root: str | None) -> tuple[list[Line], list[Seen]]:
    """Return the lines of all rc files, and what `stat` said of every file before it was read or missed."""
    lines: list[Line] = []
    seen: list[Seen] = []
    for path in paths:
        _read(path, root, lines, seen, ())
    return lines, seen


def options_from_rc(lines: list[Line], command: str, tokens: list[str]) -> list[str]:
    """Return the options for a command that rc files give, then `tokens` with each --config expanded in its place.

    Raises `UsageError` B013 for a configuration that no file defines, or that contains itself.
    """
    given: list[str] = []
    for section in _sections(command):
        for line in lines:
            if line.command == section and not line.config:
                given += _usable(line, command)
    return _expand([*given, *tokens], lines, command, ())


def _expand(tokens: list[str], lines: list[Line], command: str, within: tuple[str, ...]) -> list[str]:
    result: list[str] = []
    position = 0
    while position < len(tokens):
        token = tokens[position]
        position += 1
        if token == "--":
            return [*result, *tokens[position - 1 :]]
        name = token.removeprefix("--config=") if token.startswith("--config=") else ""
        if token == "--config" and position < len(tokens):
            name = tokens[position]
            position += 1
        if not name:
            result.append(token)
            continue
        if name in within:
            path = " -> ".join((*within, name))
            message = f"the configuration '{name}' contains itself: {path}"
            raise UsageError("B013", message, hint="remove one --config of these in the rc files")
        defined = [line for line in lines if line.config == name]
        if not defined:
            hint = did_you_mean(name, {line.config for line in lines if line.config})
            known = ", ".join(sorted({line.config for line in lines if line.config}))
            hint = hint or (
                f"the configurations are {known}" if known else "define it in .buildsysrc: build:NAME --option"
            )
            raise UsageError("B013", f"Config value '{name}' is not defined in any .rc file", hint=hint)
        for section in _sections(command):
            for line in defined:
                if line.command == section:
                    result += _expand(_usable(line, command), lines, command, (*within, name))
    return result


def _sections(command: str) -> tuple[str, ...]:
    """Return the sections that a command takes its options from, the general ones first."""
    inherited = ("build",) if command in BUILDING and command != "build" else ()
    return ("always", "common", *inherited, command)


def _usable(line: Line, command: str) -> list[str]:
    """Return the options of a line; those that only other commands know are left out of general sections."""
    if line.command == command:
        return checked(line, command)
    usable: list[str] = []
    keep = True
    for token in line.options:
        if token.startswith("-"):
            keep = is_known(token, command)
            if not keep and not any(is_known(token, other) for other in COMMANDS):
                error = UsageError("B010", f"Unrecognized option: {token}", hint="mend the rc file")
                raise _placed(error, line)
        if keep:
            usable.append(token)
    return usable


def checked(line: Line, command: str) -> list[str]:
    """Return the options of a line. Raises `UsageError` at the line for what the command does not take."""
    try:
        parse(list(line.options), command)
    except UsageError as error:
        raise _placed(error, line) from error
    return list(line.options)


def _placed(error: UsageError, line: Line) -> UsageError:
    """Return an error at the option in the line that it is about."""
    named = re.search(r"--?[A-Za-z_]+", error.message)
    column = line.text.find(named[0]) if named else -1
    error.at = line.at if column < 0 or not named else Location(line.at.path, line.at.line, column + 1, len(named[0]))
    return error


def _read(path: str, root: str | None, lines: list[Line], seen: list[Seen], within: tuple[str, ...]) -> None:
    seen.append(look(path))
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except FileNotFoundError:
        return
    except OSError as error:
        hint = "check what is there, or leave it out with --ignore_all_rc_files"
        raise UsageError("B012", f"cannot read the rc file {path}: {error.strerror}", hint=hint) from error
    except UnicodeDecodeError as error:
        message = f"cannot read the rc file {path}: it is not UTF-8 text"
        raise UsageError("B012", message, hint="save it as UTF-8") from error
    import shlex  # here, since most builds read no rc file

    shown = os.path.relpath(path, root) if root and path.startswith(root + os.sep) else path
    pending, first = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        first = first or number
        if raw.endswith("\\"):
            pending += raw[:-1]
            continue
        at = Location(shown, first)
        try:
            words = shlex.split(pending + raw, comments=True)
        except ValueError as error:
            raise UsageError("B012", f"{error}", at=at, hint="close the quotation") from error
        first_line = not pending
        pending, first = "", 0
        if words:
            _line(words, at, root, lines, seen, (*within, path))
            if lines and lines[-1].at == at:
                lines[-1] = lines[-1]._replace(text=raw if first_line else "")


def _line(
    words: list[str], at: Location, root: str | None, lines: list[Line], seen: list[Seen], within: tuple[str, ...]
) -> None:
    if words[0] in {"import", "try-import"}:
        target = os.path.abspath(" ".join(words[1:]).replace("%workspace%", root or ""))
        if target in within:
            raise UsageError("B012", f"rc files import each other: {target}", at=at, hint="remove one import")
        if words[0] == "import" and not os.path.exists(target):
            raise UsageError("B012", f"cannot read the rc file {target}", at=at, hint="or write try-import")
        _read(target, root, lines, seen, within)
        return
    command, _, config = words[0].partition(":")
    if command not in {*COMMANDS, "startup", "always", "common"}:
        hint = did_you_mean(command, [*COMMANDS, "startup", "always", "common"])
        hint = hint or "begin the line with a command, startup, always or common"
        raise UsageError("B012", f"'{command}' is no command", at=at, hint=hint)
    lines.append(Line(command, config, tuple(words[1:]), at))
