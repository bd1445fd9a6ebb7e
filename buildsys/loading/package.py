"""One package: the targets that one BUILD.yaml declares, with matrices expanded and globs matched."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from buildsys.adapters.versions import parse_version
from buildsys.errors import BuildError, BuildErrors, Location, UserError, did_you_mean
from buildsys.loading import globs
from buildsys.loading.attributes import Found, examine
from buildsys.loading.fields import Fields, mapping_of, text_fault
from buildsys.loading.place import WORKSPACE_FILE
from buildsys.loading.workspace import PACKAGE_KEYS, WORKSPACE_KEYS
from buildsys.model.condition import unknown_parameter
from buildsys.model.document import BOOLEAN, Mapping, Node, Scalar, Sequence, described
from buildsys.model.label import Label, name_fault
from buildsys.model.parameter import BOOL, VERSION
from buildsys.model.target import Package, Target
from buildsys.sdk.conditions import CONFIG_SETTING, setting_condition

if TYPE_CHECKING:
    from buildsys.loading.files import FileReader
    from buildsys.model.target import Workspace
    from buildsys.sdk.rule import RuleSet

BUILD_FILE = WORKSPACE_FILE
COMMON = ("rule", "name", "tags", "visibility", "matrix")
"""Keys that every target may have, beside the attributes of its rule."""

_VISIBILITIES = ("//visibility:public", "//visibility:private")

Row = tuple[tuple[str, str], ...]


class PackageLoader:
    """Reads one BUILD.yaml; `load` gives the package and everything that is wrong with it."""

    def __init__(self, name: str, folder: str, workspace: Workspace, rules: RuleSet, files: FileReader) -> None:
        self._name = name
        self._folder = folder
        self._path = f"{folder}/{BUILD_FILE}" if folder != "." else BUILD_FILE
        self._workspace = workspace
        self._rules = rules
        self._files = files
        self._errors: list[BuildError] = []
        self._targets: dict[str, Target] = {}
        self._globs: dict[Location, tuple[str, ...]] = {}

    def load(self) -> tuple[Package, list[BuildError]]:
        """Read the file. Errors do not stop the loading of what is right."""
        try:
            self._load()
        except BuildError as error:
            self._errors.append(error)
        except BuildErrors as errors:
            self._errors.extend(errors.errors)
        package = Package(
            name=self._name, folder=self._folder, build_file=self._path, targets=self._targets, globs=self._globs
        )
        return package, self._errors

    def _load(self) -> None:
        node = self._files.document(self._path)
        if node is None:
            return
        keys = PACKAGE_KEYS + WORKSPACE_KEYS if self._path == WORKSPACE_FILE else PACKAGE_KEYS
        fields = Fields(mapping_of(node, "a package", Location(self._path, 1)), "a package", keys, self._errors)
        visibility = self._visibility(fields, "default_visibility")
        tags = tuple(text for text, _ in fields.strings("default_tags"))
        for item in fields.items("targets"):
            with fields.collecting():
                self._declare(mapping_of(item, "a target"), visibility, tags)

    def _declare(self, node: Mapping, visibility: tuple[str, ...], tags: tuple[str, ...]) -> None:
        rule = self._rule(node)
        schema = self._rules.schema(rule)
        name_node = node.get("name")
        if name_node is None:
            raise UserError("B202", f"a {rule} target has no name", at=node.at, hint="write `name: ...`")
        if fault := text_fault(name_node):
            raise fault
        name = name_node.text if isinstance(name_node, Scalar) else ""
        found = Found([], [], self._errors)
        attributes: dict[str, Node] = {}
        for key, value in node.items:
            if key.text in COMMON:
                continue
            attribute = schema.get(key.text)
            if attribute is None:
                known = [*schema, *COMMON]
                message = f"{Label(self._name, name)}: no such attribute '{key.text}' in '{rule}' rule"
                hint = did_you_mean(key.text, known) or f"its attributes are {', '.join(schema)}"
                self._errors.append(UserError("B202", message, at=key.at, hint=hint))
                continue
            attributes[key.text] = value
            examine(value, attribute, self._name, self._workspace.parameters, found)
        for attribute in schema.values():
            if attribute.required and attribute.name not in attributes:
                message = f"{Label(self._name, name)}: missing value for mandatory attribute '{attribute.name}'"
                hint = f"write `{attribute.name}: ...`: {attribute.doc}"
                self._errors.append(UserError("B202", f"{message} in '{rule}' rule", at=name_node.at, hint=hint))
        if rule == CONFIG_SETTING:
            with Fields(node, "", [key.text for key, _ in node.items], self._errors).collecting():
                setting_condition(attributes.get("values"), self._workspace.parameters)
        self._match_globs(found)
        own = Fields(node, "", [key.text for key, _ in node.items], self._errors)
        own_tags = tuple(text for text, _ in own.strings("tags"))
        own_visibility = self._visibility(own, "visibility")
        for row in self._rows(node):
            label = Label(self._name, self._expanded(name, row, name_node.at))
            target = Target(
                label=label,
                rule=rule,
                at=name_node.at,
                attributes=attributes,
                deps=tuple(dict.fromkeys(found.labels)),
                settings=row,
                tags=tags if node.get("tags") is None else own_tags,
                visibility=own_visibility or visibility,
            )
            self._add(target)

    def _visibility(self, fields: Fields, key: str) -> tuple[str, ...]:
        found = fields.strings(key)
        for text, at in found:
            place, _, name = text.partition(":")
            known = place.startswith("//") and name in {"__pkg__", "__subpackages__"}
            if not known and text not in _VISIBILITIES:
                hint = did_you_mean(text, _VISIBILITIES) or (
                    "write //visibility:public, //visibility:private, //package:__pkg__ or //package:__subpackages__"
                )
                self._errors.append(UserError("B223", f"'{text}' says nothing about visibility", at=at, hint=hint))
        return tuple(text for text, _ in found)

    def _rule(self, node: Mapping) -> str:
        rule = node.get("rule")
        if rule is None:
            raise UserError("B202", "a target has no rule", at=node.at, hint="write `rule: ...`")
        if fault := text_fault(rule):
            raise fault
        name = rule.text if isinstance(rule, Scalar) else ""
        if name not in self._rules:
            hint = did_you_mean(name, self._rules.names()) or f"the rules are {', '.join(self._rules.names())}"
            raise UserError("B201", f"unknown rule '{name}'", at=rule.at, hint=hint)
        return name

    def _match_globs(self, found: Found) -> None:
        for glob in found.globs:
            matched = globs.matches(self._files, self._folder, glob.include, glob.exclude, BUILD_FILE)
            if not matched and not glob.allow_empty:
                patterns = ", ".join(glob.include)
                hint = "mend the pattern, or write `allow_empty: true` where nothing is fine"
                self._errors.append(UserError("B210", f"the glob {patterns} matches no file", at=glob.at, hint=hint))
            self._errors += [
                UserError(
                    "B113",
                    f"the glob matches {path.encode('utf-8', 'surrogateescape')!r}, whose name is not UTF-8",
                    at=glob.at,
                    hint="rename the file, or exclude it",
                )
                for path in matched
                if any("\udc80" <= letter <= "\udcff" for letter in path)
            ]
            self._globs[glob.at] = tuple(matched)
            found.labels.extend((Label(self._name, path), glob.at) for path in matched)

    def _rows(self, node: Mapping) -> list[Row]:
        """Return the rows of the matrix of a target: one empty row when it has none."""
        matrix = node.get("matrix")
        if matrix is None:
            return [()]
        names, columns = [], []
        for key, values in mapping_of(matrix, "'matrix'").items:
            parameter = self._workspace.parameters.get(key.text)
            if parameter is None:
                raise unknown_parameter(key.text, self._workspace.parameters, key.at)
            if not isinstance(values, Sequence):
                message = f"'{key.text}' must be a list, not {described(values)}"
                raise UserError("B204", message, at=values.at, hint="put the values in brackets: [ ... ]")
            texts = []
            for value in values.items:
                is_bool = parameter.kind == BOOL and isinstance(value, Scalar) and value.kind == BOOLEAN
                if not is_bool and (fault := text_fault(value, parameter.kind)):
                    raise fault
                text = value.text if isinstance(value, Scalar) else ""
                if parameter.kind == VERSION:
                    parse_version(text, value.at)
                if reason := parameter.fault(text):
                    raise UserError("B207", f"'{key.text}': {reason}", at=value.at, hint=parameter.hint(text))
                if text in texts:
                    raise UserError("B207", f"'{text}' stands twice", at=value.at, hint="remove one of the two")
                texts.append(text)
            names.append(key.text)
            columns.append(texts)
        return [tuple(zip(names, row, strict=True)) for row in product(*columns)]

    def _expanded(self, name: str, row: Row, at: Location) -> str:
        for key, value in row:
            name = name.replace("{" + key + "}", value)
        if fault := name_fault(name) or ("{" in name and f"'{name}' names a parameter that its matrix lacks"):
            hint = "names hold letters, digits and `-_.+/`; `{parameter}` stands for the value of a matrix row"
            raise UserError("B101", f"invalid target name: {fault}", at=at, hint=hint)
        return name

    def _add(self, target: Target) -> None:
        first = self._targets.setdefault(target.label.name, target)
        if first is target:
            return
        message = f"{target.rule} rule '{target.label.name}' conflicts with an existing {first.rule} rule"
        hint = "rename one of them"
        if first.at == target.at:
            hint = "let the name contain each parameter of the matrix, such as `{cri}-{arch}`"
        self._errors.append(UserError("B211", f"{message}, declared at {first.at}", at=target.at, hint=hint))
