"""What rules want a build to say: each remark once, and one that differs in a version alone once for all of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from buildsys.analysis.choices import few

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Remarks:
    """Remarks in the order in which they were made."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, ...], dict[str, dict[str, None]]] = {}
        """By the text, in pieces with parameters in place of their values: these values, by parameter."""

    def add(self, texts: Iterable[str], chosen: Mapping[str, str]) -> None:
        """Add remarks of a configuration; `chosen` are the values that set it apart from others of the request."""
        names = {value: name for name, value in chosen.items()}
        words = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
        for text in texts:
            pieces = re.split(rf"(?<![\w.])({words})(?!\.?\w)", text) if words else [text]
            key = tuple(names[piece] if number % 2 else piece for number, piece in enumerate(pieces))
            versions = self._found.setdefault(key, {})
            for value in pieces[1::2]:
                versions.setdefault(names[value], {})[value] = None

    def texts(self) -> list[str]:
        """Return the remarks."""
        return [
            "".join(few(list(versions[part])) if number % 2 else part for number, part in enumerate(key))
            for key, versions in self._found.items()
        ]
