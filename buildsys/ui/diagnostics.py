"""Diagnostics: an error as text, with its place, the line it is about, a caret, the reason and the next step.

ERROR: context/rootfs/BUILD.yaml:12:5: //rootfs:x: no such attribute 'scr' in 'template' rule [B202]
    12 |     scr: etc/kubelet.service
       |     ^^^
  hint: did you mean 'src'?
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from unicodedata import combining, east_asian_width

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildsys.errors import BuildError, Location

LONGEST, SHOWN = 200, 60
"""Characters of a line that are shown after the place, and before it when the line is longer."""

CASES = 3
"""So many of the configurations that have an error are named; the others are counted."""

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
    first, *rest = error.message.split("\n")
    lines = [f"{palette.tag('ERROR')} {place}{first} [{error.code}]", *rest]
    if error.at is not None:
        lines += _excerpt(error.at, root)
    for note in error.notes:
        lines += [f"  {line}" for line in note.splitlines()]
    if error.cases:
        more = f" and {len(error.cases) - CASES} more" if len(error.cases) > CASES else ""
        lines.append(f"  with {'; '.join(sorted(error.cases, key=_natural)[:CASES])}{more}")
    if error.hint:
        lines.append(f"  hint: {error.hint}")
    return printable("\n".join(lines), palette) + "\n"


def _natural(text: str) -> list[tuple[int, str]]:
    """Order `1.28.2` before `1.28.10`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]


def printable(text: str, palette: Palette) -> str:
    """Return text whose control characters (other than our colours and line ends) a terminal will not obey."""
    if text.isprintable():
        return text
    colours = {RED, MAGENTA, GREEN, RESET} if palette.colour else set()
    pieces = (
        re.split("(" + "|".join(map(re.escape, sorted(colours, key=len, reverse=True))) + ")", text)
        if colours
        else [text]
    )
    return "".join(piece if piece in colours else _escaped(piece) for piece in pieces)


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


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
    text = "".join(c if c.isprintable() else " " for c in text.rstrip("\r\n"))
    if not text or at.column > len(text) + 1:
        return []
    margin = f"{at.line:>6}"
    start = at.column - 1
    marked = text[start : start + max(1, at.width)] or " "
    if start > LONGEST:
        text, start = "..." + text[start - SHOWN :], SHOWN + 3
    before = _columns(text[:start])
    text = text if len(text) <= start + LONGEST else text[: start + LONGEST] + "..."
    return [f"{margin} | {text}", f"{' ' * len(margin)} | {' ' * before}{'^' * _columns(marked[:LONGEST])}"]


def _columns(text: str) -> int:
    """Return how many columns a terminal needs for a text: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)
