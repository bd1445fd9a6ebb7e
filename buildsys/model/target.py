"""Targets, packages and the workspace: what the BUILD.yaml files say, before any configuration is applied."""

from __future__ import annotations

import marshal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

from buildsys.model.document import node_of, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildsys.errors import Location
    from buildsys.model.document import Mark, Node, Written
    from buildsys.model.label import Label
    from buildsys.model.parameter import Constraint, Parameter
    from buildsys.model.platform import Platform


class Attributes(Mapping[str, "Node"]):
    """The attributes of a target as they are written, in that order; made into nodes when one of them is asked for.

    `data` is marshalled: what is written, by name, and the places of the labels in it. A target whose values are all
    plain is analysed without any of that, so most targets of a large graph never pay for their places.
    """

    __slots__ = ("_data", "_nodes", "_path")

    def __init__(self, data: bytes, path: str) -> None:
        self._data = data
        self._path = path
        self._nodes: dict[str, Node] | None = None

    def marks(self) -> tuple[Mark, ...]:
        """Return the places of the labels in the attributes."""
        return self._loaded()[1]

    def place(self, mark: Mark) -> Location:
        """Return the place that a mark in these attributes means."""
        return unpack(mark, self._path)

    def _loaded(self) -> tuple[dict[str, Written], tuple[Mark, ...]]:
        found: tuple[dict[str, Written], tuple[Mark, ...]] = marshal.loads(self._data)  # noqa: S302 - the loader's own
        return found

    def _decoded(self) -> dict[str, Node]:
        if self._nodes is None:
            self._nodes = {name: node_of(value, self._path) for name, value in self._loaded()[0].items()}
        return self._nodes

    def __getitem__(self, name: str) -> Node:
        return self._decoded()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._decoded())

    def __len__(self) -> int:
        return len(self._decoded())


class Dependencies(Sequence["tuple[Label, Location]"]):
    """The labels in the attributes of a target, through any branch of any select, each with its place."""

    __slots__ = ("_attributes", "labels")

    def __init__(self, labels: tuple[Label, ...], attributes: Attributes) -> None:
        self.labels = labels
        self._attributes = attributes

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, index: int) -> tuple[Label, Location]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[Label, Location]]: ...
    def __getitem__(self, index: int | slice) -> tuple[Label, Location] | list[tuple[Label, Location]]:
        return list(self)[index]

    def __iter__(self) -> Iterator[tuple[Label, Location]]:
        places = map(self._attributes.place, self._attributes.marks())
        return zip(self.labels, places, strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An instance of a rule. `settings` are the parameter values that its row of a `matrix` fixes.

    `values` are there where every attribute is plain (no select, no glob), in the order of the rule's schema: text,
    truth, a number, tuples of them; labels as positions in `deps`; None where nothing is written.
    """

    label: Label
    rule: str
    at: Location
    attributes: Mapping[str, Node]
    deps: Sequence[tuple[Label, Location]] = ()
    values: tuple[Any, ...] | None = None
    settings: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    visibility: tuple[str, ...] = ()

    @property
    def needs(self) -> tuple[Label, ...]:
        """The labels of `deps`, without their places."""
        if isinstance(self.deps, Dependencies):
            return self.deps.labels
        return tuple([label for label, _ in self.deps])

    @property
    def kind(self) -> str:
        """The kind as queries print it."""
        return f"{self.rule} rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """The targets of one BUILD.yaml, in the order written; `folder` and `build_file` are relative to the workspace.

    `globs` holds, for each glob written in the package (by its place), the files it matched.
    """

    name: str
    folder: str
    build_file: str
    targets: Mapping[str, Target]
    globs: Mapping[Location, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """The workspace file: where packages are, which parameters and platforms there are, what is forbidden."""

    name: str
    root: str
    packages: str
    parameters: Mapping[str, Parameter]
    constraints: tuple[Constraint, ...] = ()
    platforms: tuple[Platform, ...] = ()
    rules: str = ""
    lockfile: str = "buildsys.lock"
    modules: Mapping[str, str] = field(default_factory=dict)
