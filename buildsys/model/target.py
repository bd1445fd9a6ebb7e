"""Targets, packages and the workspace: what the BUILD.yaml files say, before any configuration is applied."""

from __future__ import annotations

import marshal
from collections.abc import Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import TYPE_CHECKING, Any

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

    def places(self) -> list[Location]:
        """Return the places of the labels in the attributes, in the order of the `needs` of their target."""
        return [unpack(mark, self._path) for mark in self._loaded()[1]]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An instance of a rule. `settings` are the parameter values that its row of a `matrix` fixes.

    `needs` are the labels in its attributes, through any branch of any select. `values` are there where every attribute
    is plain (no select, no glob), in the order of the rule's schema: text, truth, a number, tuples of them; labels as
    positions in `needs`; None where nothing is written.
    """

    label: Label
    rule: str
    at: Location
    attributes: Mapping[str, Node]
    needs: tuple[Label, ...] = ()
    values: tuple[Any, ...] | None = None
    settings: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    visibility: tuple[str, ...] = ()

    @property
    def deps(self) -> list[tuple[Label, Location]]:
        """The labels that the target needs, each with its place (its own, where they are not known)."""
        attributes = self.attributes
        places = attributes.places() if isinstance(attributes, Attributes) else [self.at] * len(self.needs)
        return list(zip(self.needs, places, strict=True))

    @property
    def kind(self) -> str:
        """The kind as queries print it."""
        return intern(f"{self.rule} rule")


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
