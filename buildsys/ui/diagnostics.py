"""Diagnostics: an error as text, with its place, the line it is about, a caret, the reason and the next step.

ERROR: context/rootfs/BUILD.yaml:12:5: //rootfs:x: no such attribute 'scr' in 'template' rule [B202]
    12 |     scr: etc/kubelet.service
       |     ^^^
  hint: did you mean 'src'?
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildsys.errors import BuildError, Location

RED, MAGENTA, GREEN, RESET = "\033[31m\033[1m", "\033[35m", "\033[32m", "\033[0m"


class Palette:
    """Colours, or none. Colour never carries meaning: every message starts with a word."""

    def __init__(self, *, colour: bool) -> None:
        self.colour = colour

    def tag(self, word: str) -> str:
        """Return `ERROR:`, `WARNING:`, `INFO:` or `FAILED:`, in colour where it is wanted."""
        colours = {"ERROR": RED, "FAILED": RED, "WARNING": MAGENTA, "INFO": GREEN}
        return f"{colours.get(word, '')}{word}:{RESET}" if self.colour else f"{word}:"


def describe(error: BuildError, root: str, palette: Palette) -> str:
    """Return an error as lines of text; `root` is the folder that places are relative to."""
    place = f"{error.at}: " if error.at and error.at.line else ""
    lines = [f"{palette.tag('ERROR')} {place}{error.message} [{error.code}]"]
    if error.at is not None:
        lines += _excerpt(error.at, root)
    for note in error.notes:
        lines += [f"  {line}" for line in note.splitlines()]
    if error.hint:
        lines.append(f"  hint: {error.hint}")
    return "\n".join(lines) + "\n"


def describe_all(errors: Iterable[BuildError], root: str, palette: Palette) -> str:
    """Return several errors, one after the other."""
    return "".join(describe(error, root, palette) for error in errors)


def _excerpt(at: Location, root: str) -> list[str]:
    """Return the line that an error is about, and a caret below the place."""
    try:
        with open(os.path.join(root, at.path), encoding="utf-8", errors="replace") as stream:
            text = next((line for number, line in enumerate(stream, 1) if number == at.line), "")
    except OSError:
        return []
    text = text.rstrip("\r\n").replace("\t", " ")
    if not text or at.column > len(text) + 1:
        return []
    margin = f"{at.line:>6}"
    width = max(1, min(at.width, len(text) - at.column + 1))
    return [f"{margin} | {text}", f"{' ' * len(margin)} | {' ' * (at.column - 1)}{'^' * width}"]
