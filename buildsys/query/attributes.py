"""Attributes as queries see them: every branch of every select, labels absolute, defaults where nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.model.document import Node, Scalar, Sequence, select_branches
from buildsys.model.label import Label
from buildsys.sdk.rule import BOOL, LABEL_KINDS, LIST_KINDS, TARGET_DICT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildsys.model.target import Package, Target
    from buildsys.sdk.rule import Attribute


def labels(target: Target, attribute: Attribute, package: Package) -> list[Label]:
    """Return the labels in an attribute, through every branch of any select, each once."""
    node = target.attributes.get(attribute.name)
    if node is None or attribute.kind not in LABEL_KINDS:
        return []
    return list(dict.fromkeys(_labels(node, attribute.kind, package)))


def texts(target: Target, attribute: Attribute, package: Package) -> list[str]:
    """Return every value that an attribute may have, as text: lists in brackets, truth as 1 or 0 (as Bazel does)."""
    node = target.attributes.get(attribute.name)
    if node is None:
        return [_default(attribute)]
    return [_text(branch, attribute, package) for branch in _branches(node)]


def items(target: Target, attribute: Attribute) -> list[str]:
    """Return the texts in a list of texts, through every branch of any select."""
    node = target.attributes.get(attribute.name)
    if node is None:
        return [str(item) for item in attribute.default] if isinstance(attribute.default, tuple) else []
    return list(_items(node))


def common(target: Target, name: str) -> str | None:
    """Return the text of an attribute that every target has, or None when `name` is another."""
    if name == "name":
        return target.label.name
    if name == "tags":
        return _listed(target.tags)
    if name == "visibility":
        return _listed(target.visibility)
    return None


def _items(node: Node) -> Iterator[str]:
    for branch in _branches(node):
        if isinstance(branch, Sequence):
            for item in branch.items:
                yield from _items(item)
        elif isinstance(branch, Scalar) and branch.kind != "null":
            yield branch.text


def _labels(node: Node, kind: str, package: Package) -> Iterator[Label]:
    for branch in _branches(node):
        if isinstance(branch, Scalar):
            if branch.kind != "null":
                yield Label.parse(branch.text, package.name, at=branch.at)
        elif isinstance(branch, Sequence):
            for item in branch.items:
                yield from _labels(item, kind, package)
        elif kind == TARGET_DICT:
            for _, item in branch.items:
                yield from _labels(item, kind, package)
        else:
            yield from (Label(package.name, name) for name in package.globs.get(branch.at, ()))


def _branches(node: Node) -> Iterator[Node]:
    """Yield the node itself, or, where it is a select, each of its branches."""
    branches = select_branches(node)
    if branches is None:
        yield node
        return
    for _, value in branches.items:
        yield from _branches(value)


def _text(node: Node, attribute: Attribute, package: Package) -> str:
    kind = attribute.kind
    if kind in LABEL_KINDS:
        found = [str(label) for label in _labels(node, kind, package)]
        return _listed(found) if kind in LIST_KINDS or kind == TARGET_DICT else "".join(found)
    if isinstance(node, Scalar):
        return ("1" if node.text.lower() == "true" else "0") if kind == BOOL else node.text
    if isinstance(node, Sequence):
        return _listed([_text(inner, attribute, package) for item in node.items for inner in _branches(item)])
    return "{" + ", ".join(f"{key.text}={_text(item, attribute, package)}" for key, item in node.items) + "}"


def _default(attribute: Attribute) -> str:
    value = attribute.default
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, tuple):
        return _listed([str(item) for item in value])
    return str(value) if isinstance(value, str | int) else "{}"


def _listed(items: tuple[str, ...] | list[str]) -> str:
    return f"[{', '.join(items)}]"
