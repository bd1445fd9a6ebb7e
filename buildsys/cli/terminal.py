"""The terminal: where messages, answers and progress go."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from buildsys.cli.defect import recorded
from buildsys.model.events import NoEvents
from buildsys.ui.diagnostics import Palette, describe_all
from buildsys.ui.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildsys.errors import BuildError
    from buildsys.model.events import Events


class Terminal:
    """Messages on stderr, answers on stdout."""

    def __init__(self, *, color: str, show_progress: bool) -> None:
        wanted = color == "yes" or (color == "auto" and sys.stderr.isatty() and not os.environ.get("NO_COLOR"))
        self.palette = Palette(colour=wanted)
        self.root = ""
        self._progress = (
            Progress(sys.stderr, shutil.get_terminal_size().columns) if show_progress and sys.stderr.isatty() else None
        )

    @property
    def events(self) -> Events:
        """The reporter of a running build."""
        return self._progress or NoEvents()

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

    def answer(self, text: str, end: str = "\n") -> None:
        """Print a line of an answer."""
        sys.stdout.write(text + end)
