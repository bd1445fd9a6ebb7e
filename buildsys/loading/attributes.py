"""Attributes as they are written: type checks, and the labels and globs that stand in them.

Values stay as nodes: which branch of a `select` holds is decided in analysis. Here every branch is checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buildsys.errors import BuildError, Location, UserError, did_you_mean
from buildsys.loading.fields import Fields, boolean_fault, text_fault
from buildsys.model.condition import is_condition
from buildsys.model.document import INTEGER, NULL, SELECT, Mapping, Node, Scalar, Sequence, described, select_branches
from buildsys.model.label import Label
from buildsys.sdk.conditions import DEFAULT, condition
from buildsys.sdk.rule import BOOL, CHOICE, FILE, FILES, INT, LIST_KINDS, STRING_DICT, STRINGS, TARGET, TARGET_DICT

if TYPE_CHECKING:
    from collections.abc import Mapping as Names

    from buildsys.model.parameter import Parameter
    from buildsys.sdk.rule import Attribute


class WrittenGlob(NamedTuple):
    """A glob as it is written."""

    include: tuple[str, ...]
    exclude: tuple[str, ...]
    allow_empty: bool
    at: Location


class Found(NamedTuple):
    """What was found in the attributes of a target: labels, globs and errors, in the order written."""

    labels: list[tuple[Label, Location]]
    globs: list[WrittenGlob]
    errors: list[BuildError]


def examine(node: Node, attribute: Attribute, package: str, parameters: Names[str, Parameter], found: Found) -> None:
    """Check the value of an attribute and collect what stands in it."""
    branches = select_branches(node)
    if branches is not None:
        _select(branches, package, parameters, found)
        for _, value in branches.items:
            if not (isinstance(value, Scalar) and value.kind == NULL):  # an empty branch: the default holds
                examine(value, attribute, package, parameters, found)
        return
    if isinstance(node, Mapping) and node.get(SELECT) is not None:
        found.errors.append(
            UserError(
                "B204",
                "a select is a mapping of conditions to values",
                at=node.at,
                hint="write {select: {CONDITION: VALUE}}",
            )
        )
        return
    kind = attribute.kind
    if kind in LIST_KINDS:
        _list(node, attribute, package, parameters, found)
    elif kind in {STRING_DICT, TARGET_DICT}:
        _dict(node, attribute, package, found)
    elif kind in {FILE, TARGET}:
        _label(node, package, found)
    elif kind == BOOL:
        _add(found, boolean_fault(node))
    elif kind == INT:
        if not (isinstance(node, Scalar) and node.kind == INTEGER and node.text.lstrip("-").isdigit()):
            message = f"expected a whole number, not {described(node)}"
            found.errors.append(UserError("B204", message, at=node.at, hint="write digits, without quotes"))
    else:
        _add(found, text_fault(node, "version" if attribute.name == "version" else "string"))
        if kind == CHOICE and isinstance(node, Scalar) and node.text not in attribute.choices:
            hint = did_you_mean(node.text, attribute.choices) or f"the words are {', '.join(attribute.choices)}"
            found.errors.append(UserError("B204", f"'{node.text}' is no {attribute.name}", at=node.at, hint=hint))


def _select(branches: Mapping, package: str, parameters: Names[str, Parameter], found: Found) -> None:
    for key, _ in branches.items:
        if key.text == DEFAULT:
            continue
        try:
            if is_condition(key.text):
                condition(key.text, parameters, key.at)
            else:
                found.labels.append((Label.parse(key.text, package, at=key.at), key.at))
        except BuildError as error:
            found.errors.append(error)


def _list(node: Node, attribute: Attribute, package: str, parameters: Names[str, Parameter], found: Found) -> None:
    if isinstance(node, Mapping) and attribute.kind == FILES:
        _glob(node, found)
        return
    if not isinstance(node, Sequence):
        message = f"'{attribute.name}' must be a list, not {described(node)}"
        found.errors.append(UserError("B204", message, at=node.at, hint="put it in brackets: [ ... ]"))
        return
    for item in node.items:
        if select_branches(item) is not None:
            examine(item, attribute, package, parameters, found)
        elif isinstance(item, Mapping) and attribute.kind == FILES:
            _glob(item, found)
        elif attribute.kind == STRINGS:
            _add(found, text_fault(item))
        else:
            _label(item, package, found)


def _dict(node: Node, attribute: Attribute, package: str, found: Found) -> None:
    if not isinstance(node, Mapping):
        message = f"'{attribute.name}' must be a mapping, not {described(node)}"
        found.errors.append(UserError("B204", message, at=node.at, hint="write `name: value` lines"))
        return
    for _, value in node.items:
        if select_branches(value) is not None:
            message = f"a select chooses the whole mapping '{attribute.name}', not one of its values"
            hint = f"write {attribute.name}: {{select: {{CONDITION: {{name: value, ...}}}}}}"
            found.errors.append(UserError("B204", message, at=value.at, hint=hint))
        elif attribute.kind == TARGET_DICT:
            _label(value, package, found)
        else:
            _add(found, text_fault(value))


def _label(node: Node, package: str, found: Found) -> None:
    if fault := text_fault(node, "label"):
        found.errors.append(fault)
    elif isinstance(node, Scalar):
        try:
            found.labels.append((Label.parse(node.text, package, at=node.at), node.at))
        except BuildError as error:
            found.errors.append(error)


def _glob(node: Mapping, found: Found) -> None:
    before = len(found.errors)
    fields = Fields(node, "a glob", ("glob", "exclude", "allow_empty"), found.errors)
    include = tuple(text for text, _ in fields.strings("glob"))
    exclude = tuple(text for text, _ in fields.strings("exclude"))
    glob = WrittenGlob(include, exclude, fields.boolean("allow_empty", False), node.at)
    if len(found.errors) > before:
        return
    if include:
        found.globs.append(glob)
    else:
        found.errors.append(UserError("B204", "a glob without patterns", at=node.at, hint='write {glob: ["etc/**"]}'))


def _add(found: Found, fault: UserError | None) -> None:
    if fault is not None:
        found.errors.append(fault)
