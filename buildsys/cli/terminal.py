"""The terminal: where messages, answers and progress go."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from buildsys.cli.defect import recorded
from buildsys.errors import BuildError, BuildErrors
from buildsys.model.events import NoEvents
from buildsys.ui.diagnostics import Palette, describe_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from buildsys.model.action import Action
    from buildsys.model.events import Events
    from buildsys.ui.progress import Progress


class Reported(Exception):
    """The command has said all there is to say and ends with `code`."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Terminal:
    """Messages on stderr, answers on stdout."""

    def __init__(self, *, color: str, show_progress: bool, subcommands: bool = False) -> None:
        wanted = color == "yes" or (color == "auto" and sys.stderr.isatty() and not os.environ.get("NO_COLOR"))
        self.palette = Palette(colour=wanted)
        self.root = ""
        self._progress = _progress() if show_progress and sys.stderr.isatty() else None
        self._subcommands = subcommands

    @property
    def events(self) -> Events:
        """The reporter of a running build."""
        inner = self._progress or NoEvents()
        return _Subcommands(inner, self.note) if self._subcommands else inner

    def message(self, word: str, text: str) -> None:
        """Print a message with a tag: INFO, WARNING, ERROR or FAILED."""
        self.note(f"{self.palette.tag(word)} {text}")

    def note(self, text: str) -> None:
        """Print a line without a tag."""
        if self._progress is not None:
            self._progress.clear()
        print(text, file=sys.stderr)

    def errors(self, errors: Iterable[BuildError]) -> None:
        """Print errors."""
        if self._progress is not None:
            self._progress.clear()
        sys.stderr.write(describe_all(recorded(errors), self.root, self.palette))

    def answer(self, text: str, end: str = "\n", *, now: bool = False) -> None:
        """Print a line of an answer; `now`, for who waits for it."""
        sys.stdout.write(text + end)
        if now:
            sys.stdout.flush()


def _progress() -> Progress:
    import shutil

    from buildsys.ui.progress import Progress

    return Progress(sys.stderr, shutil.get_terminal_size().columns)


class _Subcommands(NoEvents):
    """Says what each action does before it runs (`--subcommands`), and passes everything on."""

    def __init__(self, inner: Events, note: Callable[[str], None]) -> None:
        self._inner = inner
        self._note = note

    def started(self, action: Action) -> None:
        """An action begins to run."""
        config = f", configuration: {action.config}" if action.config else ""
        self._note(f"SUBCOMMAND: # {action.owner} [action '{action.progress}'{config}]")
        self._note(f"{{{action.static}")
        self._inner.started(action)

    def finished(self, action: Action, seconds: float) -> None:
        """An action has run."""
        self._inner.finished(action, seconds)

    def transferred(self, what: str, received: int, total: int | None) -> None:
        """Bytes of a download have arrived."""
        self._inner.transferred(what, received, total)


@contextmanager
def failing(terminal: Terminal) -> Iterator[None]:
    """End the command, with its errors and Bazel's last line, when what stops the build as a whole is raised."""
    try:
        yield
    except (BuildError, BuildErrors) as error:
        problems = BuildErrors([error] if isinstance(error, BuildError) else error.errors)
        terminal.errors(problems.errors)
        terminal.message("FAILED", "Build did NOT complete successfully")
        raise Reported(problems.exit_code) from error
