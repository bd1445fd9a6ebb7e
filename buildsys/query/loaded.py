"""The universe of `query`: targets as they are written, every branch of every select among their dependencies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from buildsys.errors import BuildError, BuildErrors
from buildsys.query.universe import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from buildsys.errors import Location
    from buildsys.model.label import Label
    from buildsys.model.target import Package, Target
    from buildsys.sdk.rule import Attribute


class Packages(Protocol):
    """Loads packages when they are first asked for."""

    def package(self, name: str, at: Location | None = None) -> Package: ...
    def resolve(self, label: Label, at: Location | None = None) -> Target | None: ...
    def broken(self, package: str) -> bool: ...


class LoadedUniverse:
    """Targets and source files. With `keep_going`, what cannot be loaded is left out, and `errors` says why."""

    def __init__(
        self,
        packages: Packages,
        expand: Callable[[str], Sequence[Label]],
        schema: Callable[[str], Mapping[str, Attribute]],
        *,
        keep_going: bool,
    ) -> None:
        self.errors: list[BuildError] = []
        self._packages = packages
        self._expand = expand
        self._schema = schema
        self._keep_going = keep_going
        self._successors: dict[Node, list[Node]] = {}

    def matching(self, pattern: str) -> list[Node]:
        """Return the nodes that a target pattern names."""
        try:
            return [Node(label) for label in self._expand(pattern)]
        except (BuildError, BuildErrors) as error:
            self._report(error)
            return []

    def everything(self) -> list[Node]:
        """Return all targets of the workspace; source files are found below them."""
        return self.matching("//...")

    def successors(self, node: Node) -> list[Node]:
        """Return the direct dependencies of a node, loading their packages."""
        known = self._successors.get(node)
        if known is None:
            target = self.target(node.label)
            wanted = dict(target.deps) if target is not None else {}
            known = [Node(label) for label, at in wanted.items() if self._exists(label, at)]
            self._successors[node] = known
        return known

    def nodes(self, label: Label) -> list[Node]:
        """Return the node with this label."""
        return [Node(label)]

    def target(self, label: Label) -> Target | None:
        """Return the target with this label; None for source files."""
        return self._packages.package(label.package).targets.get(label.name)

    def package(self, name: str) -> Package:
        """Return a package."""
        return self._packages.package(name)

    def schema(self, rule: str) -> Mapping[str, Attribute]:
        """Return the attributes of a rule."""
        return self._schema(rule)

    def _exists(self, label: Label, at: Location) -> bool:
        try:
            self._packages.resolve(label, at)
        except (BuildError, BuildErrors) as error:
            code = error.code if isinstance(error, BuildError) else ""
            if code == "B212" or not self._packages.broken(label.package):
                self._report(error)
            return False
        return True

    def _report(self, error: BuildError | BuildErrors) -> None:
        if not self._keep_going:
            raise error
        self.errors.extend(error.errors if isinstance(error, BuildErrors) else [error])
