"""The tables under data/: what a row is, how they are read, and how the row for a version is found."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildsys.adapters import yaml
from buildsys.adapters.versions import Range, Version, parse_range
from buildsys.errors import InternalError
from buildsys.kubernetes.releases import Release, parse_releases

if TYPE_CHECKING:
    from collections.abc import Mapping

_DATA = os.path.join(os.path.dirname(__file__), "data")


@dataclass(frozen=True, slots=True)
class Row:
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


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of which the first that holds a version counts; `by` says whose version that is."""

    doc: str
    by: str
    rows: tuple[Row, ...]

    def find(self, version: Version) -> Row | None:
        """Return the row that holds `version`, or None when the table says nothing about it."""
        return next((row for row in self.rows if row.range.contains(version)), None)


@dataclass(frozen=True, slots=True)
class Setting:
    """A value that buildsys writes at `path` of the document `kind`, for the releases in `range` (None: every one)."""

    kind: str
    path: tuple[str, ...]
    range: Range | None
    value: object
    source: str


@dataclass(frozen=True, slots=True)
class Name:
    """A flag or feature gate that only the releases in `range` know, and what to use outside of it."""

    range: Range
    instead: str
    source: str


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything buildsys knows about Kubernetes releases and container runtimes."""

    releases: Mapping[str, Release]
    kubeadm: Mapping[str, Table]
    runtimes: Mapping[str, Table]
    combinations: Mapping[str, Table]
    settings: tuple[Setting, ...]
    fields: Mapping[str, tuple[tuple[Range, frozenset[str]], ...]]
    types: Mapping[str, Mapping[str, str]]
    flags: Mapping[str, Mapping[str, Name]]
    feature_gates: Mapping[str, Name]
    oldest_kubernetes: Range

    @classmethod
    def load(cls) -> Tables:
        """Read the tables that are shipped with buildsys; the only I/O of this package."""
        fields = _mapping(_read("fields.yaml"))
        flags = _mapping(_read("flags.yaml"))
        combinations = _mapping(_read("combinations.yaml"))
        oldest = _mapping(combinations.pop("oldest_kubernetes"))
        types = _mapping(fields.pop("types"))
        kinds = {**_mapping(fields.pop("kubeadm")), **fields}
        return cls(
            releases=parse_releases(_text("releases.tsv")),
            kubeadm=_tables(_read("kubeadm.yaml")),
            runtimes=_tables(_read("runtimes.yaml")),
            combinations=_tables(combinations),
            settings=tuple(_setting(_mapping(row)) for row in _sequence(_read("settings.yaml"))),
            fields={kind: _fields(ranges) for kind, ranges in kinds.items()},
            types={kind: {field: str(type_) for field, type_ in _mapping(of).items()} for kind, of in types.items()},
            flags={component: _names(names) for component, names in _mapping(flags["flags"]).items()},
            feature_gates=_names(flags["feature_gates"]),
            oldest_kubernetes=parse_range(f">={oldest['value']}"),
        )


def _text(name: str) -> str:
    with open(os.path.join(_DATA, name), encoding="utf-8") as file:
        return file.read()


def _read(name: str) -> object:
    return yaml.load(_text(name), f"buildsys/kubernetes/data/{name}")


def _tables(data: object) -> dict[str, Table]:
    return {name: _table(_mapping(table)) for name, table in _mapping(data).items()}


def _table(table: dict[str, object]) -> Table:
    rows = tuple(_row(dict(_mapping(row))) for row in _sequence(table["rows"]))
    return Table(doc=str(table["doc"]), by=str(table.get("by", "kubernetes")), rows=rows)


def _row(row: dict[str, object]) -> Row:
    return Row(
        range=parse_range(str(row.pop("range"))),
        certainty=str(row.pop("certainty")),
        source=str(row.pop("source")),
        values=row,
    )


def _setting(row: dict[str, object]) -> Setting:
    kind, *path = str(row["set"]).split(".")
    only = parse_range(str(row["range"])) if "range" in row else None
    return Setting(kind=kind, path=tuple(path), range=only, value=row["value"], source=str(row["source"]))


def _fields(ranges: object) -> tuple[tuple[Range, frozenset[str]], ...]:
    return tuple((parse_range(text), frozenset(_flat(names))) for text, names in _mapping(ranges).items())


def _flat(names: object) -> list[str]:
    flat: list[str] = []
    for name in _sequence(names):
        flat += _flat(name) if isinstance(name, list) else [str(name)]
    return flat


def _names(data: object) -> dict[str, Name]:
    return {
        name: Name(range=parse_range(str(row["range"])), instead=str(row["instead"]), source=str(row["source"]))
        for name, row in ((name, _mapping(row)) for name, row in _mapping(data).items())
    }


def _mapping(data: object) -> dict[str, object]:
    if not isinstance(data, dict):
        raise InternalError("B690", f"a table is damaged: a mapping was expected, not {data!r:.80}")
    return data


def _sequence(data: object) -> list[object]:
    if not isinstance(data, list):
        raise InternalError("B690", f"a table is damaged: a list was expected, not {data!r:.80}")
    return data
