"""Versions and version ranges, over `packaging`: the only module that imports it.

Nearly all versions are numbers with dots, and nearly all ranges comparisons with such: these are compared here, as
`packaging` would. It takes 20 ms to import, and judges whatever is more than that.
"""

from __future__ import annotations

import re
from functools import lru_cache, total_ordering
from typing import TYPE_CHECKING, TypeAlias

from buildsys.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from packaging.specifiers import SpecifierSet
    from packaging.version import Version as _Version

    from buildsys.errors import Location

_Numbers: TypeAlias = tuple[int, ...]
"""The numbers of a version without the zeroes at its end, which change nothing: `(1, 31)` of `1.31.0`."""

_COMPARED: Mapping[str, Callable[[_Numbers, _Numbers], bool]] = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
}
"""What the operators of a range mean where no version on either side is more than numbers."""


@total_ordering
class Version:
    """A release as its project spells it, without a leading `v`: `1.23.4`, `1.31.0-rc.0`, `19.03.15`.

    Ordered by value; `str()` gives back the spelling, because the spelling names the download.
    """

    __slots__ = ("_numbers", "_value", "text")

    def __init__(self, text: str, value: _Version | None) -> None:
        self.text = text
        self._value = value
        """None where the text is numbers with dots."""
        self._numbers = _numbers(self.release)

    @property
    def minor(self) -> str:
        """The release line, `1.23` of `1.23.4`."""
        major, minor, *_ = (*self.release, 0)
        return f"{major}.{minor}"

    @property
    def release(self) -> tuple[int, ...]:
        """The numbers, `(1, 31, 0)` of `1.31.0-rc.0`."""
        return tuple(map(int, self.text.split("."))) if self._value is None else self._value.release

    @property
    def is_prerelease(self) -> bool:
        """Whether this is an alpha, a beta or a release candidate."""
        return self._value is not None and self._value.is_prerelease

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Version({self.text!r})"

    def __hash__(self) -> int:
        return hash(self._numbers)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Version):
            return False
        if self._value is None and other._value is None:
            return self._numbers == other._numbers
        return self._whole() == other._whole()

    def __lt__(self, other: Version) -> bool:
        if self._value is None and other._value is None:
            return self._numbers < other._numbers
        return self._whole() < other._whole()

    def _whole(self) -> _Version:
        from packaging.version import Version as Whole

        return Whole(self.text) if self._value is None else self._value

    def counted(self) -> _Numbers | None:
        """Return the numbers that a range without pre-releases compares; None where these do not say all."""
        value = self._value
        return self._numbers if value is None or (value.is_prerelease and not value.epoch) else None

    def within(self, clauses: SpecifierSet) -> bool:
        """Whether all `clauses` hold; a pre-release counts as its release unless a clause names a pre-release."""
        value = self._whole()
        if value.is_prerelease and not any(_names_prerelease(clause.version) for clause in clauses):
            value = type(value)(value.base_version)
        return clauses.contains(value, prereleases=True)


class Range:
    """A set of versions: `>=1.15,<1.23` or `>=1.15 <1.23`, every clause of which must hold.

    A pre-release belongs to the release it leads to: `>=1.31` holds `1.31.0-rc.0` and `<1.31` does not, since what a
    release changed is in its candidates. Only a bound that names a pre-release tells the two apart.
    """

    __slots__ = ("_clauses", "_plain", "text")

    def __init__(self, text: str, clauses: str) -> None:
        self.text = text
        self._clauses = clauses
        self._plain = _plain(clauses)

    def contains(self, version: Version) -> bool:
        """Whether `version` lies in this range."""
        numbers = version.counted()
        if self._plain is None or numbers is None:
            return version.within(_specifiers(self._clauses))
        return all(_COMPARED[operator](numbers, bound) for operator, bound in self._plain)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Range({self.text!r})"

    def __hash__(self) -> int:
        return hash(_specifiers(self._clauses))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Range) and _specifiers(self._clauses) == _specifiers(other._clauses)


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
    if _is_plain(spelling):
        return Version(spelling, None)
    from packaging.version import InvalidVersion
    from packaging.version import Version as Whole

    try:
        return Version(spelling, Whole(spelling))
    except InvalidVersion:
        return None


@lru_cache(maxsize=1024)
def _range(text: str) -> Range | None:
    clauses = re.sub(r"[\s,]+(?=[<>=!~])", ",", text.strip())
    if not clauses:
        return None
    clauses = re.sub(r"(?<=[<>=~])\s*v?(?=\d)", "", clauses)
    if _plain(clauses) is None:
        from packaging.specifiers import InvalidSpecifier

        try:
            _specifiers(clauses)
        except InvalidSpecifier:
            return None
    return Range(text, clauses)


@lru_cache(maxsize=1024)
def _specifiers(clauses: str) -> SpecifierSet:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(clauses)


def _plain(clauses: str) -> tuple[tuple[str, _Numbers], ...] | None:
    """Return operators and bounds where all bounds are numbers with dots."""
    found: list[tuple[str, _Numbers]] = []
    for clause in clauses.split(","):
        bound = clause.lstrip("<>=!~")
        operator = clause[: len(clause) - len(bound)]
        if operator not in _COMPARED or not _is_plain(bound):
            return None
        found.append((operator, _numbers(tuple(map(int, bound.split("."))))))
    return tuple(found)


def _is_plain(text: str) -> bool:
    return text.isascii() and all(map(str.isdecimal, text.split(".")))


def _numbers(release: tuple[int, ...]) -> _Numbers:
    end = len(release)
    while end and not release[end - 1]:
        end -= 1
    return release[:end]


def _names_prerelease(text: str) -> bool:
    from packaging.version import Version as Whole

    return not text.endswith(".*") and Whole(text).is_prerelease
