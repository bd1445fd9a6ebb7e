"""Targets, packages and the workspace: what the BUILD.yaml files say, before any configuration is applied."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildsys.errors import Location
    from buildsys.model.document import Node
    from buildsys.model.label import Label
    from buildsys.model.parameter import Constraint, Parameter
    from buildsys.model.platform import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An instance of a rule. `settings` are the parameter values that its row of a `matrix` fixes."""

    label: Label
    rule: str
    at: Location
    attributes: Mapping[str, Node]
    deps: tuple[tuple[Label, Location], ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    visibility: tuple[str, ...] = ()

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
