"""Mentions: where a text names a container image, and what in it decides which images will be asked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from buildsys.oci.reference import Reference, ReferenceFault

if TYPE_CHECKING:
    from collections.abc import Callable

UNKNOWN = "\ufffc"
"""Stands in a text for what is known on a node only, such as the value of a variable."""

TOOL = re.compile(r"(?<![\w.-])(?:docker|podman|nerdctl|ctr|crictl)(?![\w.-])")
"""The programs that pull images."""

_EXCERPT = 160
"""Characters of a line that are kept, to be shown."""


class Mention(NamedTuple):
    """A piece of a text: lines and columns count from 1; `excerpt` is its line.

    Until it is `placed`, it is known to begin somewhere between `line` and `last_line`.
    """

    text: str
    line: int
    column: int = 1
    last_line: int = 0
    excerpt: str = ""


KUBEADM, CALICO = "ClusterConfiguration", "Installation"


class Configuration(NamedTuple):
    """What the configuration of a program says about the images that it asks for, key by key.

    `kind` is where the document says what it is (KUBEADM, CALICO); `without` are the images that it does without.
    """

    kind: Mention
    said: tuple[tuple[str, Mention], ...] = ()
    without: tuple[str, ...] = ()

    def get(self, key: str) -> Mention | None:
        """Return what is said under a key; None where nothing is."""
        return next((mention for name, mention in self.said if name == key), None)

    def moved(self, move: Callable[[Mention], Mention]) -> Configuration:
        """Return the configuration with every place moved."""
        said = tuple((name, move(mention)) for name, mention in self.said)
        return Configuration(move(self.kind), said, self.without)


class Found(NamedTuple):
    """All that a text says about images."""

    mentions: tuple[Mention, ...] = ()
    configurations: tuple[Configuration, ...] = ()


def reference_in(text: str) -> Reference | None:
    """Return the reference that a text is, or None."""
    try:
        return None if UNKNOWN in text else Reference.parse(text)
    except ReferenceFault:
        return None


def is_reference(text: str) -> bool:
    """Tell whether a text is a reference, be it but a word: for places where nothing else can stand."""
    return reference_in(text) is not None


def is_explicit(text: str) -> bool:
    """Tell whether a text is a reference and says its tag or digest: for places where other texts may stand."""
    if ":" not in text.rpartition("/")[2] and "@" not in text:
        return False
    return is_reference(text)


def placed(mention: Mention, lines: list[str]) -> Mention:
    """Return a mention with the line and column where its text stands, and that line."""
    first, last = mention.line, max(mention.line, mention.last_line)
    for number in range(first, min(last, len(lines)) + 1):
        column = lines[number - 1].find(mention.text, mention.column - 1 if number == first else 0)
        if column < 0:
            column = lines[number - 1].find(mention.text)
        if column >= 0:
            return Mention(mention.text, number, column + 1, number, _excerpt(lines[number - 1]))
    line = lines[first - 1] if first <= len(lines) else ""
    column = min(mention.column, len(line) or 1)
    return Mention(mention.text, first, column, first, _excerpt(line))


def _excerpt(line: str) -> str:
    line = line.strip()
    return line if len(line) <= _EXCERPT else f"{line[:_EXCERPT]}..."
