"""The loader: packages by name, the packages that targets need, and what every label in them refers to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from buildsys.errors import BuildError, BuildErrors, Location, UserError, did_you_mean
from buildsys.loading.package import BUILD_FILE, PackageLoader, language

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from buildsys.loading.files import FileReader
    from buildsys.model.label import Label
    from buildsys.model.target import Package, Target, Workspace
    from buildsys.sdk.rule import RuleSet

IGNORE_FILE = ".buildsysignore"


class Loader:
    """Loads packages when they are first asked for; errors are collected per package and reported once."""

    def __init__(self, workspace: Workspace, rules: RuleSet, files: FileReader) -> None:
        self.workspace = workspace
        self.files = files
        self._rules = rules
        self._language = language(workspace, rules)
        self._packages: dict[str, Package | None] = {}
        self._errors: dict[str, list[BuildError]] = {}
        self._references: list[BuildError] = []
        self._unresolved: set[Label] = set()
        self._ignored: tuple[str, ...] | None = None

    @property
    def packages(self) -> dict[str, Package]:
        """The packages loaded so far."""
        return {name: package for name, package in self._packages.items() if package is not None}

    def folder(self, package: str) -> str:
        """Return the folder of a package, relative to the workspace's root."""
        return os.path.normpath(os.path.join(self.workspace.packages, package))

    def is_package(self, name: str) -> bool:
        """Tell whether a folder is a package."""
        folder = self.folder(name)
        if name and any(name == i or name.startswith(i + "/") for i in self._ignore()):
            return False
        return self.files.is_file(f"{folder}/{BUILD_FILE}" if folder != "." else BUILD_FILE)

    def package(self, name: str, at: Location | None = None) -> Package:
        """Return a package. Raises `BuildError` B212 when there is none; errors in it are kept for `errors()`."""
        if name not in self._packages:
            if not self.is_package(name):
                known = self.package_names()
                reason = f"{BUILD_FILE} not found in {self.folder(name)}"
                file = f"{self.folder(name)}/{BUILD_FILE}"
                if self.files.is_folder(file):
                    reason = f"{file} is a folder"
                elif link := self.files.dangling(file):
                    reason = f"{file} is a symbolic link to '{link}', which does not exist"
                raise UserError(
                    "B212",
                    f"no such package '{name}': {reason}",
                    at=at,
                    hint=did_you_mean(name, known) or f"add a {BUILD_FILE} to a folder to make it a package",
                )
            loader = PackageLoader(name, self.folder(name), self.workspace, self._rules, self.files, self._language)
            self._packages[name], self._errors[name] = loader.load()
        package = self._packages[name]
        assert package is not None  # noqa: S101 - a missing package raised above
        return package

    def package_names(self, below: str = "") -> list[str]:
        """Return the names of all packages at or below a folder, in order."""
        return sorted(self._walk(below))

    def target(self, label: Label) -> Target | None:
        """Return a target of a package that has been loaded; None for source files."""
        package = self._packages.get(label.package)
        return package.targets.get(label.name) if package else None

    def resolve(self, label: Label, at: Location | None = None) -> Target | None:
        """Return the target that `label` names, or None when it names a source file.

        Raises `UserError` when it names neither, and what is wrong in its package when that may be why.
        """
        package = self.package(label.package, at)
        found = package.targets.get(label.name)
        if found is not None:
            return found
        if self._errors[label.package]:
            raise BuildErrors(self._errors[label.package])
        self._check_source(label, package, at)
        return None

    def load_closure(self, labels: Iterable[Label]) -> None:
        """Load every package that `labels` need, through any branch of any select; what is wrong is in `errors()`."""
        followed: set[Label] = set()
        seen: set[tuple[Label, Location | None]] = set()
        stack: list[tuple[Label, Location | None]] = [(label, None) for label in labels]
        while stack:
            label, at = stack.pop()
            target = self._lead(label, at)
            if target is None or label in followed:
                continue
            followed.add(label)
            if all(self._is_own_file(ref, target) for ref in target.refs):
                continue  # most targets of a large graph: their places are not worth making
            fresh = [need for need in target.deps if need not in seen]
            seen.update(fresh)
            stack.extend(fresh)
        self.files.forget_listings()

    def _lead(self, label: Label, at: Location | None) -> Target | None:
        """Return the target that a label names; note the error when it leads nowhere."""
        try:
            return self.resolve(label, at)
        except BuildErrors:
            self._unresolved.add(label)  # the errors are those of its package
        except BuildError as error:
            self._unresolved.add(label)
            self._references.append(error)
        return None

    def _is_own_file(self, ref: str, target: Target) -> bool:
        """Tell whether a label names a source file that stands beside the BUILD.yaml of `target`, which needs it."""
        package = target.label.package
        found = self._packages[package]
        return (
            "/" not in ref
            and found is not None
            and ref not in found.targets
            and not self._errors[package]
            and ref in self.files.listing(found.folder if found.folder != "." else "")[0]
        )

    def closure(self, labels: Iterable[Label]) -> list[Target]:
        """Return the targets that `labels` may need, of what has been loaded."""
        found: dict[Label, Target | None] = {}
        stack = list(labels)
        while stack:
            label = stack.pop()
            if label not in found:
                target = found[label] = self.target(label)
                stack += [dependency for dependency, _ in target.deps] if target else []
        return [target for target in found.values() if target is not None]

    def errors(self) -> list[BuildError]:
        """Return what is wrong in the packages loaded so far, and the labels in them that name nothing."""
        return [*(error for found in self._errors.values() for error in found), *self._references]

    def broken(self, label: Label) -> bool:
        """Tell whether a label names nothing, or something in a package that has errors."""
        return label in self._unresolved or bool(self._errors.get(label.package))

    def _walk(self, name: str) -> Iterator[str]:
        folder = self.folder(name)
        if self.is_package(name):
            yield name
        for sub in self.files.listing("" if folder == "." else folder)[1]:
            if sub.startswith(("buildsys-", ".")):
                continue
            inner = f"{name}/{sub}" if name else sub
            if not any(inner == ignored for ignored in self._ignore()):
                yield from self._walk(inner)

    def _check_source(self, label: Label, package: Package, at: Location | None) -> None:
        parts = label.name.split("/")
        for count in range(len(parts) - 1, 0, -1):
            inner = "/".join([*([label.package] if label.package else []), *parts[:count]])
            if self.is_package(inner):
                rest = "/".join(parts[count:])
                raise UserError(
                    "B209",
                    f"the label '{label}' crosses the boundary of package '{inner}'",
                    at=at,
                    hint=f"write //{inner}:{rest}",
                )
        path = f"{package.folder}/{label.name}" if package.folder != "." else label.name
        if self.files.is_file(path):
            return
        if self.files.is_folder(path):
            hint = f'name its files, for example with {{glob: ["{label.name}/**"]}}'
            raise UserError("B208", f"'{label}' is a folder, not a file", at=at, hint=hint)
        if link := self.files.dangling(path):
            message = f"missing input file '{path}': it is a symbolic link to '{link}', which does not exist"
            raise UserError("B208", message, at=at, hint="mend or remove the link")
        names = [*package.targets]
        folder, _, _ = path.rpartition("/")
        prefix = label.name.rpartition("/")[0]
        files = [f"{prefix}/{name}" if prefix else name for name in self.files.listing(folder)[0]]
        hint = did_you_mean(label.name, [*names, *files])
        if "." in label.name or "/" in label.name:
            message = f"missing input file '{path}', named by '{label}'"
            raise UserError("B208", message, at=at, hint=hint or "add the file, or mend the label")
        raise UserError(
            "B213",
            f"no such target '{label}': target '{label.name}' not declared in package '{label.package}'"
            f" defined by {package.build_file}",
            at=at,
            hint=hint or _targets_hint(package),
        )

    def _ignore(self) -> tuple[str, ...]:
        if self._ignored is None:
            lines = self.files.text(IGNORE_FILE).splitlines() if self.files.is_file(IGNORE_FILE) else []
            self._ignored = tuple(line.strip().strip("/") for line in lines if line.strip() and line[0] != "#")
        return self._ignored


def _targets_hint(package: Package) -> str:
    if not package.targets:
        return f"{package.build_file} declares no targets"
    return f"`buildsys query //{package.name}:all` lists its targets"
