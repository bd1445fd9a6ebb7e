"""The tables under data/, and how they are read; `rows.py` says what stands in them.

A file is read when something in it is first asked for, and a table made when it is: most builds ask for few, and many
for none.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from buildsys.adapters.versions import parse_range
from buildsys.kubernetes import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from buildsys.adapters.versions import Range
    from buildsys.kubernetes.releases import Release
    from buildsys.kubernetes.rows import Name, Setting, Table

_OLDEST = "oldest_kubernetes"
_DATA = os.path.join(os.path.dirname(__file__), "data")


class Tables:
    """Everything buildsys knows about Kubernetes releases and container runtimes.

    `read` returns what the YAML file of a name holds; `recall` returns what was made under a name before, by this
    program, or has it made.
    """

    def __init__(
        self, read: Callable[[str], object], recall: Callable[[str, Callable[[], str]], str] | None = None
    ) -> None:
        self._read = read
        self._recall = recall

    def derived(self, name: str, make: Callable[[], str]) -> str:
        """Return the text that `make` makes out of the tables and of all that `name` names, and nothing else."""
        return make() if self._recall is None else self._recall(name, make)

    @classmethod
    def load(cls) -> Tables:
        """Return the tables that are shipped with buildsys."""
        return cls(read)

    @cached_property
    def releases(self) -> Mapping[str, Release]:
        """The releases by version, oldest first."""
        from buildsys.kubernetes.releases import parse_release, release_lines

        return rows.Made(release_lines(_text("releases.tsv")), lambda line: parse_release(str(line)))

    @cached_property
    def kubeadm(self) -> Mapping[str, Table]:
        """What kubeadm of a release reads and wants."""
        return rows.Made(rows.mapping(self._read("kubeadm.yaml")), rows.table)

    @cached_property
    def runtimes(self) -> Mapping[str, Table]:
        """Versions that go together, and how a runtime is configured."""
        return rows.Made(rows.mapping(self._read("runtimes.yaml")), rows.table)

    @cached_property
    def combinations(self) -> Mapping[str, Table]:
        """What does not work together."""
        return rows.Made({k: v for k, v in self._combinations.items() if k != _OLDEST}, rows.table)

    @cached_property
    def oldest_kubernetes(self) -> Range:
        """The releases that images can be made for."""
        return parse_range(f">={rows.mapping(self._combinations[_OLDEST])['value']}")

    @cached_property
    def _combinations(self) -> dict[str, object]:
        return rows.mapping(self._read("combinations.yaml"))

    @cached_property
    def settings(self) -> tuple[Setting, ...]:
        """What buildsys writes into the documents of kubeadm.yml."""
        return tuple(rows.setting(rows.mapping(row)) for row in rows.sequence(self._read("settings.yaml")))

    @cached_property
    def fields(self) -> Mapping[str, tuple[tuple[Range, frozenset[str]], ...]]:
        """The fields of each kind and type, by versions."""
        found = rows.mapping(self._fields["kubeadm"]) | self._fields
        return rows.Made({kind: found[kind] for kind in found if kind not in {"kubeadm", "types"}}, rows.fields)

    @cached_property
    def types(self) -> Mapping[str, Mapping[str, str]]:
        """The type of each field that is a mapping of known fields itself, by kind."""
        types = rows.mapping(self._fields["types"])
        return {kind: {field: str(type_) for field, type_ in rows.mapping(of).items()} for kind, of in types.items()}

    @cached_property
    def _fields(self) -> dict[str, object]:
        return rows.mapping(self._read("fields.yaml"))

    @cached_property
    def flags(self) -> Mapping[str, Mapping[str, Name]]:
        """Flags that not every release knows, by component."""
        return {component: rows.names(names) for component, names in rows.mapping(self._flags["flags"]).items()}

    @cached_property
    def feature_gates(self) -> Mapping[str, Name]:
        """Feature gates that not every release knows."""
        return rows.names(self._flags["feature_gates"])

    @cached_property
    def _flags(self) -> dict[str, object]:
        return rows.mapping(self._read("flags.yaml"))


def _text(name: str) -> str:
    with open(os.path.join(_DATA, name), encoding="utf-8") as file:
        return file.read()


def read(name: str) -> object:
    """Read a YAML file of the tables: with `releases.tsv`, the only I/O of this package."""
    from buildsys.adapters import yaml

    return yaml.load(_text(name), f"buildsys/kubernetes/data/{name}")
