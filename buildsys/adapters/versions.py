"""Versions and version ranges, over `packaging`: the only module that imports it."""

from __future__ import annotations

import re
from functools import lru_cache, total_ordering
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion
from packaging.version import Version as _Version

from buildsys.errors import UserError

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

    from buildsys.errors import Location

_CLAUSES = re.compile(r"[\s,]+(?=[<>=!~])")


@total_ordering
class Version:
    """A release as its project spells it, without a leading `v`: `1.23.4`, `1.31.0-rc.0`, `19.03.15`.

    Ordered by value; `str()` gives back the spelling, because the spelling names the download.
    """

    __slots__ = ("_value", "text")

    def __init__(self, text: str, value: _Version) -> None:
        self.text = text
        self._value = value

    @property
    def minor(self) -> str:
        """The release line, `1.23` of `1.23.4`."""
        return f"{self._value.major}.{self._value.minor}"

    @property
    def release(self) -> tuple[int, ...]:
        """The numbers, `(1, 31, 0)` of `1.31.0-rc.0`."""
        return self._value.release

    @property
    def is_prerelease(self) -> bool:
        """Whether this is an alpha, a beta or a release candidate."""
        return self._value.is_prerelease

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Version({self.text!r})"

    def __hash__(self) -> int:
        return hash(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._value == other._value

    def __lt__(self, other: Version) -> bool:
        return self._value < other._value

    def within(self, clauses: SpecifierSet) -> bool:
        """Whether all `clauses` hold; a pre-release counts as its release unless a clause names a pre-release."""
        value = self._value
        if value.is_prerelease and not any(_names_prerelease(clause.version) for clause in clauses):
            value = _Version(value.base_version)
        return clauses.contains(value, prereleases=True)


class Range:
    """A set of versions: `>=1.15,<1.23` or `>=1.15 <1.23`, every clause of which must hold.

    A pre-release belongs to the release it leads to: `>=1.31` holds `1.31.0-rc.0` and `<1.31` does not, since what a
    release changed is in its candidates. Only a bound that names a pre-release tells the two apart.
    """

    __slots__ = ("_clauses", "text")

    def __init__(self, text: str, clauses: SpecifierSet) -> None:
        self.text = text
        self._clauses = clauses

    def contains(self, version: Version) -> bool:
        """Whether `version` lies in this range."""
        return version.within(self._clauses)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Range({self.text!r})"

    def __hash__(self) -> int:
        return hash(self._clauses)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Range) and self._clauses == other._clauses


def parse_version(text: str, at: Location | None = None) -> Version:
    """Return the version that `text` spells, with or without a leading `v`.

    Raises UserError B600 when it is none.
    """
    version = try_version(text)
    if version is None:
        raise UserError("B600", f"'{text}' is not a version", at=at, hint="write it like 1.23.4 or v1.31.0-rc.0")
    return version


def parse_range(text: str, at: Location | None = None) -> Range:
    """Return the range that `text` spells; clauses are separated by commas or blanks.

    Raises UserError B605 when it is none.
    """
    found = _range(text)
    if found is None:
        raise UserError("B605", f"'{text}' is not a version range", at=at, hint="write it like '>=1.26,<1.31'")
    return found


@lru_cache(maxsize=4096)
def try_version(text: str) -> Version | None:
    """Return the version that `text` spells, with or without a leading `v`, or None when it spells none."""
    spelling = text.removeprefix("v")
    if not spelling[:1].isdecimal():
        return None
    try:
        return Version(spelling, _Version(spelling))
    except InvalidVersion:
        return None


@lru_cache(maxsize=1024)
def _range(text: str) -> Range | None:
    # Here, since it is ten times slower to import than the rest and a lock file is read without it.
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    clauses = _CLAUSES.sub(",", text.strip())
    try:
        return Range(text, SpecifierSet(re.sub(r"(?<=[<>=~])\s*v?(?=\d)", "", clauses))) if clauses else None
    except InvalidSpecifier:
        return None


def _names_prerelease(text: str) -> bool:
    return not text.endswith(".*") and _Version(text).is_prerelease
