"""Targets, packages and the workspace: what the BUILD.yaml files say, before any configuration is applied."""

from __future__ import annotations

import marshal
import zlib
from collections.abc import Mapping
from sys import intern
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from buildsys.model.document import node_of, unpack
from buildsys.model.label import Label

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildsys.errors import Location
    from buildsys.model.document import Mark, Node, Written
    from buildsys.model.parameter import Constraint, Parameter
    from buildsys.model.platform import Platform


WrittenTarget: TypeAlias = "tuple[dict[str, Written], tuple[Mark, ...]]"
"""The attributes of a target by name, and the places of the labels in them."""


class WrittenAttributes:
    """The attributes of all targets of a package as they are written: kept small, and unpacked when somebody asks.

    A target whose values are all plain is analysed without any of it, so most targets of a large graph never pay for
    their places.
    """

    __slots__ = ("_data", "_unpacked", "path")

    def __init__(self, data: bytes, path: str) -> None:
        self._data = data
        self.path = path
        self._unpacked: list[WrittenTarget] | None = None

    @staticmethod
    def pack(targets: list[WrittenTarget]) -> bytes:
        """Return the data for the attributes of targets."""
        return zlib.compress(marshal.dumps(targets), 1)

    def target(self, number: int) -> WrittenTarget:
        """Return what is written of the target with a number."""
        if self._unpacked is None:
            self._unpacked = marshal.loads(zlib.decompress(self._data))  # noqa: S302 - made by `pack`
        return self._unpacked[number]


class Attributes(Mapping[str, "Node"]):
    """The attributes of a target, in the order written; made into nodes when one of them is asked for."""

    __slots__ = ("_globbed", "_nodes", "_number", "_written")

    def __init__(self, written: WrittenAttributes, number: int, globbed: tuple[Mark, ...]) -> None:
        self._written = written
        self._number = number
        self._globbed = globbed
        self._nodes: dict[str, Node] | None = None

    def places(self) -> list[Location]:
        """Return the places of the labels in the attributes, and of the globs that matched further ones."""
        marks = (*self._written.target(self._number)[1], *self._globbed)
        return [unpack(mark, self._written.path) for mark in marks]

    def _made(self) -> dict[str, Node]:
        if self._nodes is None:
            values = self._written.target(self._number)[0]
            self._nodes = {name: node_of(value, self._written.path) for name, value in values.items()}
        return self._nodes

    def __getitem__(self, name: str) -> Node:
        return self._made()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made())

    def __len__(self) -> int:
        return len(self._made())


class Target(NamedTuple):
    """An instance of a rule. `settings` are the parameter values that its row of a `matrix` fixes.

    `refs` are the labels in its attributes, through any branch of any select, as `spelled`. `values` are there where
    every attribute is plain (no select, no glob), in the order of the rule's schema: text, truth, a number, tuples of
    them; labels as positions in `refs`; None where nothing is written.
    """

    label: Label
    rule: str
    at: Location
    attributes: Mapping[str, Node]
    refs: tuple[str, ...] = ()
    values: tuple[Any, ...] | None = None
    settings: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    visibility: tuple[str, ...] = ()

    @property
    def needs(self) -> list[Label]:
        """The labels that the target needs."""
        package = self.label.package
        return [label_of(ref, package) for ref in self.refs]

    @property
    def deps(self) -> list[tuple[Label, Location]]:
        """The labels that the target needs, each with its place (its own, where they are not known)."""
        attributes = self.attributes
        places = attributes.places() if isinstance(attributes, Attributes) else [self.at] * len(self.refs)
        return list(zip(self.needs, places, strict=True))

    @property
    def kind(self) -> str:
        """The kind as queries print it."""
        return intern(f"{self.rule} rule")


class Package(NamedTuple):
    """The targets of one BUILD.yaml, in the order written; `folder` and `build_file` are relative to the workspace.

    `globs` holds, for each glob written in the package (by its place), the files it matched.
    """

    name: str
    folder: str
    build_file: str
    targets: Mapping[str, Target]
    globs: Mapping[Location, tuple[str, ...]] = MappingProxyType({})


class Workspace(NamedTuple):
    """The workspace file: where packages are, which parameters and platforms there are, what is forbidden."""

    name: str
    root: str
    packages: str
    parameters: Mapping[str, Parameter]
    constraints: tuple[Constraint, ...] = ()
    platforms: tuple[Platform, ...] = ()
    rules: str = ""
    lockfile: str = "buildsys.lock"
    modules: Mapping[str, str] = MappingProxyType({})


def spelled(label: Label, package: str) -> str:
    """Return a label as `refs` have it: the name alone within its package."""
    return label.name if label.package == package else str(label)


def label_of(ref: str, package: str) -> Label:
    """Return the label that is spelled so in a package."""
    if ref.startswith("//"):
        head, _, name = ref[2:].partition(":")
        return Label(head, name)
    return Label(package, ref)
