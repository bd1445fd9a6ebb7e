"""Reading of one BUILD.yaml: the records of its targets, matrices expanded, and everything that is wrong in it.

Pure: what is read depends on the text, the rules and the parameters of the workspace. Nothing is looked up on disk.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from buildsys.adapters.versions import parse_version
from buildsys.errors import BuildError, BuildErrors, Location, UserError, did_you_mean
from buildsys.loading.attributes import Found, examine
from buildsys.loading.fields import Fields, mapping_of, text_fault
from buildsys.loading.place import WORKSPACE_FILE
from buildsys.loading.plain import PlainTargets
from buildsys.loading.record import Record, Row
from buildsys.loading.workspace import PACKAGE_KEYS, WORKSPACE_KEYS
from buildsys.model.condition import unknown_parameter
from buildsys.model.document import BOOLEAN, Mapping, Node, Scalar, Sequence, described, node_of, pack
from buildsys.model.label import Label, name_fault
from buildsys.model.parameter import BOOL, VERSION
from buildsys.model.target import WrittenAttributes, spelled
from buildsys.sdk.conditions import CONFIG_SETTING, setting_condition

if TYPE_CHECKING:
    from buildsys.model.document import Mark, Written
    from buildsys.model.target import Workspace, WrittenTarget
    from buildsys.sdk.rule import RuleSet

COMMON = ("rule", "name", "tags", "visibility", "matrix")
"""Keys that every target may have, beside the attributes of its rule."""

_VISIBILITIES = ("//visibility:public", "//visibility:private")


class Read(NamedTuple):
    """What a BUILD.yaml declares: its targets, their attributes as `WrittenAttributes` has them, and what is wrong."""

    records: list[Record]
    attributes: bytes
    errors: list[BuildError]


class PackageReader:
    """Reads one BUILD.yaml; errors do not stop the reading of what is right."""

    def __init__(self, name: str, path: str, workspace: Workspace, rules: RuleSet) -> None:
        self._name = name
        self._path = path
        self._workspace = workspace
        self._rules = rules
        self._plain = PlainTargets(rules, name)
        self._records: list[Record] = []
        self._written: list[WrittenTarget] = []
        self._errors: list[BuildError] = []

    def read(self, text: str) -> Read:
        """Return what a text declares, and everything that is wrong with it."""
        from buildsys.adapters import yaml

        try:
            written = yaml.parse(text, self._path)
            if written is not None:
                self._read(written)
        except BuildError as error:
            self._errors.append(error)
        except BuildErrors as errors:
            self._errors.extend(errors.errors)
        return Read(self._records, WrittenAttributes.pack(self._written), self._errors)

    def _read(self, written: Written) -> None:
        keys = PACKAGE_KEYS + WORKSPACE_KEYS if self._path == WORKSPACE_FILE else PACKAGE_KEYS
        header, items = _apart(written)
        node = mapping_of(node_of(header, self._path), "a package", Location(self._path, 1))
        fields = Fields(node, "a package", keys, self._errors)
        visibility = self._visibility(fields, "default_visibility")
        tags = tuple(text for text, _ in fields.strings("default_tags"))
        fields.items("targets")
        for item in items:
            plain = self._plain.record(item[1], tags, visibility) if type(item[1]) is tuple else None
            if plain is not None:
                self._records.append(plain[0])
                self._written.append(plain[1])
                continue
            with fields.collecting():
                self._declare(mapping_of(node_of(item, self._path), "a target"), item, visibility, tags)

    def _declare(self, node: Mapping, written: Written, visibility: tuple[str, ...], tags: tuple[str, ...]) -> None:
        """Examine a target that is not plain, or has errors."""
        rule = self._rule(node)
        name_node = node.get("name")
        if name_node is None:
            raise UserError("B202", f"a {rule} target has no name", at=node.at, hint="write `name: ...`")
        if fault := text_fault(name_node):
            raise fault
        name = name_node.text if isinstance(name_node, Scalar) else ""
        found = Found([], [], self._errors)
        attributes = self._attributes(node, f"{Label(self._name, name)}", rule, name_node.at, found)
        if rule == CONFIG_SETTING:
            with Fields(node, "", [key.text for key, _ in node.items], self._errors).collecting():
                setting_condition(attributes.get("values"), self._workspace.parameters)
        own = Fields(node, "", [key.text for key, _ in node.items], self._errors)
        own_tags = tuple(text for text, _ in own.strings("tags"))
        own_visibility = self._visibility(own, "visibility")
        texts = {key[1]: value for key, value in zip(written[1][::2], written[1][1::2], strict=True)}
        labels = dict.fromkeys(found.labels)
        record = Record(
            rule=rule,
            rows=(),
            mark=_mark(name_node.at),
            refs=tuple(spelled(label, self._name) for label, _ in labels),
            globs=tuple((*glob[:3], _mark(glob.at)) for glob in found.globs),
            tags=tags if node.get("tags") is None else own_tags,
            visibility=own_visibility or visibility,
        )
        rows: list[tuple[str, Row]] = []
        try:
            rows.extend((self._expanded(name, row, name_node.at), row) for row in self._rows(node))
        finally:
            self._records.append(record._replace(rows=tuple(rows)))
            marks = tuple(_mark(at) for _, at in labels)
            self._written.append(({word: texts[word] for word in attributes}, marks))

    def _attributes(self, node: Mapping, label: str, rule: str, at: Location, found: Found) -> dict[str, Node]:
        """Examine the attributes of a target; return those that its rule has."""
        schema = self._rules.schema(rule)
        attributes: dict[str, Node] = {}
        for key, value in node.items:
            if key.text in COMMON:
                continue
            attribute = schema.get(key.text)
            if attribute is None:
                known = [*schema, *COMMON]
                message = f"{label}: no such attribute '{key.text}' in '{rule}' rule"
                hint = did_you_mean(key.text, known) or f"its attributes are {', '.join(schema)}"
                self._errors.append(UserError("B202", message, at=key.at, hint=hint))
                continue
            attributes[key.text] = value
            examine(value, attribute, self._name, self._workspace.parameters, found)
        for attribute in schema.values():
            if attribute.required and attribute.name not in attributes:
                message = f"{label}: missing value for mandatory attribute '{attribute.name}'"
                hint = f"write `{attribute.name}: ...`: {attribute.doc}"
                self._errors.append(UserError("B202", f"{message} in '{rule}' rule", at=at, hint=hint))
        return attributes

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


def _apart(written: Written) -> tuple[Written, list[Written]]:
    """Return a package without its targets, and these."""
    parts, items = written[1], []
    if type(parts) is not tuple:
        return written, []
    kept: list[Written] = []
    for key, value in zip(parts[::2], parts[1::2], strict=True):
        if key[1] == "targets" and type(value[1]) is list:
            items = value[1]
            kept += (key, (value[0], []))
        else:
            kept += (key, value)
    return (written[0], tuple(kept)), items


def _mark(at: Location) -> Mark:
    return pack(at.line, at.column, at.width)
