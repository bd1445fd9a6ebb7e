"""What stands in the tables: rows about ranges of versions, settings and names; and how they are made out of data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from buildsys.adapters.versions import parse_range
from buildsys.errors import InternalError

if TYPE_CHECKING:
    from buildsys.adapters.versions import Range, Version

_T = TypeVar("_T")


class Row(NamedTuple):
    """One statement about a range of versions, and who says so."""

    range: Range
    values: Mapping[str, object]
    certainty: str
    source: str

    def text(self, column: str = "value") -> str:
        """Return the text in `column`. Raises InternalError when the table has none there."""
        found = self.values.get(column)
        if not isinstance(found, str):
            raise InternalError("B690", f"a table row for {self.range} has no text in '{column}'")
        return found

    def texts(self, column: str = "value") -> tuple[str, ...]:
        """Return the list of texts in `column`. Raises InternalError when the table has none there."""
        found = self.values.get(column)
        if not isinstance(found, list):
            raise InternalError("B690", f"a table row for {self.range} has no list in '{column}'")
        return tuple(str(item) for item in found)


class Table(NamedTuple):
    """Rows of which the first that holds a version counts; `by` says whose version that is."""

    doc: str
    by: str
    rows: tuple[Row, ...]

    def find(self, version: Version) -> Row | None:
        """Return the row that holds `version`, or None when the table says nothing about it."""
        return next((row for row in self.rows if row.range.contains(version)), None)


class Setting(NamedTuple):
    """A value that buildsys writes at `path` of the document `kind`, for the releases in `range` (None: every one)."""

    kind: str
    path: tuple[str, ...]
    range: Range | None
    value: object
    source: str


class Name(NamedTuple):
    """A flag or feature gate that only the releases in `range` know, and what to use outside of it."""

    range: Range
    instead: str
    source: str


class Made(Mapping[str, _T]):
    """A mapping whose values are made, out of what is under their key in `data`, when they are first asked for."""

    def __init__(self, data: Mapping[str, object], make: Callable[[object], _T]) -> None:
        self._data = data
        self._make = make
        self._made: dict[str, _T] = {}

    def __getitem__(self, key: str) -> _T:
        if key not in self._made:
            self._made[key] = self._make(self._data[key])
        return self._made[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)


def table(data: object) -> Table:
    """Return the table that `data` describes."""
    words = mapping(data)
    rows = tuple(_row(dict(mapping(row))) for row in sequence(words["rows"]))
    return Table(doc=str(words["doc"]), by=str(words.get("by", "kubernetes")), rows=rows)


def _row(row: dict[str, object]) -> Row:
    return Row(
        range=parse_range(str(row.pop("range"))),
        certainty=str(row.pop("certainty")),
        source=str(row.pop("source")),
        values=row,
    )


def setting(row: dict[str, object]) -> Setting:
    """Return the setting that a row describes."""
    kind, *path = str(row["set"]).split(".")
    only = parse_range(str(row["range"])) if "range" in row else None
    return Setting(kind=kind, path=tuple(path), range=only, value=row["value"], source=str(row["source"]))


def fields(ranges: object) -> tuple[tuple[Range, frozenset[str]], ...]:
    """Return the fields that a type has in each range of versions."""
    return tuple((parse_range(text), frozenset(_flat(names))) for text, names in mapping(ranges).items())


def _flat(names: object) -> list[str]:
    flat: list[str] = []
    for name in sequence(names):
        flat += _flat(name) if isinstance(name, list) else [str(name)]
    return flat


def names(data: object) -> dict[str, Name]:
    """Return flags or feature gates by name."""
    return {
        name: Name(range=parse_range(str(row["range"])), instead=str(row["instead"]), source=str(row["source"]))
        for name, row in ((name, mapping(row)) for name, row in mapping(data).items())
    }


def mapping(data: object) -> dict[str, object]:
    """Return `data` as a mapping. Raises InternalError for anything else."""
    if not isinstance(data, dict):
        raise InternalError("B690", f"a table is damaged: a mapping was expected, not {data!r:.80}")
    return data


def sequence(data: object) -> list[object]:
    """Return `data` as a list. Raises InternalError for anything else."""
    if not isinstance(data, list):
        raise InternalError("B690", f"a table is damaged: a list was expected, not {data!r:.80}")
    return data
