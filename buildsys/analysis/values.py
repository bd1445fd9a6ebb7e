"""Attribute values: from nodes without selects to the values that a rule's fields hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.errors import BuildError, BuildErrors, UserError
from buildsys.model.document import Mapping, Node, Scalar, Sequence
from buildsys.model.label import Label
from buildsys.sdk.rule import (
    BOOL,
    CHOICE,
    FILE,
    FILES,
    INT,
    LABEL_KINDS,
    RAW,
    STRING,
    STRING_DICT,
    STRINGS,
    TARGET,
    TARGET_DICT,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping as Names

    from buildsys.analysis.configuration import Reader
    from buildsys.errors import Location
    from buildsys.model.action import Artifact
    from buildsys.model.provider import ConfiguredTarget
    from buildsys.sdk.rule import Attribute


def labels(node: Node, attribute: Attribute, package: str, globs: Names[Location, tuple[str, ...]]) -> list[Label]:
    """Return the labels in the value of an attribute, globs replaced by what they matched."""
    if attribute.kind not in LABEL_KINDS:
        return []
    if isinstance(node, Scalar):
        return [Label.parse(node.text, package, at=node.at)]
    if isinstance(node, Mapping) and attribute.kind == TARGET_DICT:
        return [Label.parse(_text(item), package, at=item.at) for _, item in node.items]
    if isinstance(node, Mapping):
        return [Label(package, name) for name in globs.get(node.at, ())]
    return [label for item in node.items for label in labels(item, attribute, package, globs)]


def value(
    node: Node,
    attribute: Attribute,
    reader: Reader,
    package: str,
    globs: Names[Location, tuple[str, ...]],
    found: Callable[[Label], ConfiguredTarget],
) -> object:
    """Return the value of an attribute; `found` gives the configured targets of its labels."""
    kind = attribute.kind
    if kind in LABEL_KINDS:
        targets = [found(label) for label in labels(node, attribute, package, globs)]
        if kind == TARGET:
            return targets[0]
        if kind == TARGET_DICT:
            keys = [reader.expand(key.text, key.at) for key, _ in node.items] if isinstance(node, Mapping) else []
            return dict(zip(keys, targets, strict=True))
        if kind == FILE:
            return only_file(targets[0], attribute.name, node.at)
        if kind == FILES:
            files: dict[Artifact, None] = {}
            for target in targets:
                files.update(dict.fromkeys(target.files))
            return tuple(files)
        return tuple(targets)
    if kind == STRINGS:
        items = node.items if isinstance(node, Sequence) else ()
        return tuple(_expanded(reader, [(_text(item), item.at) for item in items]))
    if kind == STRING_DICT:
        pairs = node.items if isinstance(node, Mapping) else ()
        keys = _expanded(reader, [(key.text, key.at) for key, _ in pairs])
        return dict(zip(keys, _expanded(reader, [(_text(item), item.at) for _, item in pairs]), strict=True))
    text = _text(node)
    if kind == BOOL:
        return text.lower() == "true"
    if kind == INT:
        return int(text)
    if kind in {RAW, CHOICE}:
        return text
    assert kind == STRING, kind  # noqa: S101 - every kind of the schema is handled above
    return reader.expand(text, node.at)


def _expanded(reader: Reader, texts: list[tuple[str, Location]]) -> list[str]:
    """Expand several texts. Raises `BuildErrors` of what is wrong in any of them."""
    found: list[str] = []
    errors: list[BuildError] = []
    for text, at in texts:
        try:
            found.append(reader.expand(text, at))
        except BuildError as error:
            errors.append(error)
    if errors:
        raise BuildErrors(errors)
    return found


def default(attribute: Attribute, reader: Reader, at: Location) -> object:
    """Return the value of an attribute that is not written; `at` is where its target is."""
    if attribute.kind == STRING and isinstance(attribute.default, str):
        return reader.expand(attribute.default, at)
    return attribute.default


def only_file(target: ConfiguredTarget, attribute: str, at: Location | None) -> Artifact:
    """Return the one file of a target. Raises `UserError` B220 when it has none, or several."""
    files = target.files
    if len(files) != 1:
        raise UserError(
            "B220",
            f"'{target.label}' must produce a single file for attribute '{attribute}', but has {len(files)}",
            at=at,
            hint="name a target with one file, or a source file",
        )
    return files[0]


def _text(node: Node) -> str:
    return node.text if isinstance(node, Scalar) else ""
