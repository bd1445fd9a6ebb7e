"""One package: the targets that one BUILD.yaml declares, with their globs matched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.errors import BuildError, BuildErrors, UserError
from buildsys.loading import globs
from buildsys.loading.place import WORKSPACE_FILE
from buildsys.loading.record import Record, targets_of
from buildsys.model.digest import digest_bytes
from buildsys.model.document import Mark, unpack
from buildsys.model.target import Package, Target, WrittenAttributes

if TYPE_CHECKING:
    from buildsys.errors import Location
    from buildsys.loading.files import FileReader
    from buildsys.model.target import Workspace
    from buildsys.sdk.rule import RuleSet

BUILD_FILE = WORKSPACE_FILE


def language(workspace: Workspace, rules: RuleSet) -> str:
    """Return the digest of all that decides, besides its text and this program, how a BUILD.yaml is read."""
    parameters = [(parameter.name, parameter.kind, parameter.choices) for parameter in workspace.parameters.values()]
    return digest_bytes(repr((parameters, rules.identity())).encode("utf-8", "surrogateescape"))


class PackageLoader:
    """Loads one package; `load` gives it and everything that is wrong with it. `language` is as the function has it."""

    def __init__(
        self, name: str, folder: str, workspace: Workspace, rules: RuleSet, files: FileReader, language: str
    ) -> None:
        self._name = name
        self._folder = folder
        self._path = f"{folder}/{BUILD_FILE}" if folder != "." else BUILD_FILE
        self._workspace = workspace
        self._rules = rules
        self._files = files
        self._language = language
        self._errors: list[BuildError] = []
        self._targets: dict[str, Target] = {}
        self._globs: dict[Location, tuple[str, ...]] = {}

    def load(self) -> tuple[Package, list[BuildError]]:
        """Read the file. Errors do not stop the loading of what is right."""
        try:
            records, attributes = self._read(self._files.text(self._path))
            written = WrittenAttributes(attributes, self._path)
            for number, record in enumerate(records):
                for target in targets_of(record, number, written, self._name, self._match_globs(record)):
                    self._add(target)
        except BuildError as error:
            self._errors.append(error)
        except BuildErrors as errors:
            self._errors.extend(errors.errors)
        package = Package(
            name=self._name, folder=self._folder, build_file=self._path, targets=self._targets, globs=self._globs
        )
        return package, self._errors

    def _read(self, text: str) -> tuple[list[Record], bytes]:
        """Return the records of a text and its attributes: as they were read before, where nothing was wrong."""
        name = f"package {self._path}"
        key = f"{self._files.digest(self._path)} {self._name} {self._language}"
        known = self._files.parsed.find(name, key)
        if known is not None:
            return [Record._make(record) for record in known[0]], known[1]
        from buildsys.loading.reading import PackageReader  # with all that reads YAML

        records, attributes, self._errors = PackageReader(self._name, self._path, self._workspace, self._rules).read(
            text
        )
        if not self._errors:
            self._files.parsed.keep(name, key, ([tuple(record) for record in records], attributes))
        return records, attributes

    def _match_globs(self, record: Record) -> list[tuple[Mark, tuple[str, ...]]]:
        """Return the files that the globs of a record match, each with the place of its glob."""
        found: list[tuple[Mark, tuple[str, ...]]] = []
        for include, exclude, allow_empty, mark in record.globs:
            at = unpack(mark, self._path)
            matched = globs.matches(self._files, self._folder, include, exclude, BUILD_FILE)
            if not matched and not allow_empty:
                patterns = ", ".join(include)
                hint = "mend the pattern, or write `allow_empty: true` where nothing is fine"
                self._errors.append(UserError("B210", f"the glob {patterns} matches no file", at=at, hint=hint))
            self._errors += [
                UserError(
                    "B113",
                    f"the glob matches {path.encode('utf-8', 'surrogateescape')!r}, whose name is not UTF-8",
                    at=at,
                    hint="rename the file, or exclude it",
                )
                for path in matched
                if any("\udc80" <= letter <= "\udcff" for letter in path)
            ]
            self._globs[at] = tuple(matched)
            found.append((mark, tuple(matched)))
        return found

    def _add(self, target: Target) -> None:
        first = self._targets.setdefault(target.label.name, target)
        if first is target:
            return
        message = f"{target.rule} rule '{target.label.name}' conflicts with an existing {first.rule} rule"
        hint = "rename one of them"
        if first.at == target.at:
            hint = "let the name contain each parameter of the matrix, such as `{cri}-{arch}`"
        self._errors.append(UserError("B211", f"{message}, declared at {first.at}", at=target.at, hint=hint))
