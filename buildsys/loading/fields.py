"""Typed reading of the mappings in BUILD.yaml: what is there, of which type, and what should not be there."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from buildsys.errors import BuildError, BuildErrors, Location, UserError, did_you_mean
from buildsys.model.document import BOOLEAN, FLOAT, INTEGER, SELECT, STRING, Mapping, Node, Scalar, Sequence, described

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence as Words


def mapping_of(node: Node | None, what: str, at: Location | None = None) -> Mapping:
    """Return `node` when it is a mapping. Raises `UserError` B204 otherwise."""
    if isinstance(node, Mapping):
        return node
    if node is None:
        raise UserError("B204", f"{what} is empty", at=at, hint="write at least one key")
    hint = "write `key: value` lines"
    raise UserError("B204", f"{what} must be a mapping, not {described(node)}", at=node.at, hint=hint)


def text_fault(node: Node, wanted: str = STRING) -> UserError | None:
    """Say why `node` cannot be read as text (`wanted`: string, version, ...), or return None.

    Numbers are taken as text only where YAML's reading of them cannot differ from what was written: `5000` can be,
    `1.20` (which YAML reads as 1.2) cannot.
    """
    if not isinstance(node, Scalar):
        hint = f"write a single {wanted} here"
        if isinstance(node, Mapping) and len(node.items) == 1:
            hint = did_you_mean(node.items[0][0].text, [SELECT]) or hint
        return UserError("B204", f"expected a {wanted}, not {described(node)}", at=node.at, hint=hint)
    if node.kind == STRING or (node.kind == INTEGER and wanted != "version" and node.text == str(_integer(node.text))):
        return None
    if node.kind == "null":
        return UserError("B204", f"expected a {wanted}, not nothing", at=node.at, hint='write "" for an empty text')
    from buildsys.adapters.yaml import boolean, number

    hint = f'write "{node.text}" in quotes'
    if node.kind in {INTEGER, FLOAT}:
        message = f"unquoted {wanted} {node.text}: YAML reads it as the number {number(node)}"
        return UserError("B203", message, at=node.at, hint=hint)
    if node.kind == BOOLEAN:
        message = f"unquoted {wanted} {node.text}: YAML reads it as {boolean(node)}"
        return UserError("B203", message, at=node.at, hint=hint)
    return UserError("B204", f"expected a {wanted}, not {described(node)}", at=node.at, hint=hint)


def boolean_fault(node: Node) -> UserError | None:
    """Say why `node` cannot be read as true or false, or return None."""
    if isinstance(node, Scalar) and node.kind == BOOLEAN and node.text.lower() in {"true", "false"}:
        return None
    return UserError("B204", f"expected true or false, not {described(node)}", at=node.at, hint="write true or false")


class Fields:
    """The keys of one mapping. What is wrong is added to `errors`, so that everything is reported in one go."""

    def __init__(self, document: Mapping, what: str, known: Words[str], errors: list[BuildError]) -> None:
        self.document = document
        self.what = what
        self._errors = errors
        for key, _ in document.items:
            if key.text not in known:
                hint = did_you_mean(key.text, known) or f"the keys are {', '.join(known)}"
                errors.append(UserError("B202", f"unknown key '{key.text}' in {what}", at=key.at, hint=hint))

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Add errors raised inside to the list, and go on."""
        try:
            yield
        except BuildError as error:
            self._errors.append(error)
        except BuildErrors as errors:
            self._errors.extend(errors.errors)

    def at(self, key: str) -> Location:
        """Return the place of a key's value, or of the mapping when the key is not there."""
        node = self.document.get(key)
        return node.at if node is not None else self.document.at

    def text(self, key: str, default: str, *, wanted: str = STRING) -> str:
        """Return the text under `key`."""
        node = self.document.get(key)
        if node is None:
            return default
        if isinstance(node, Scalar) and wanted == "bool" and node.kind == BOOLEAN:
            return node.text.lower()
        if fault := text_fault(node, wanted):
            self._errors.append(fault)
            return default
        return node.text if isinstance(node, Scalar) else default

    def boolean(self, key: str, default: bool) -> bool:
        """Return true or false."""
        node = self.document.get(key)
        if node is None:
            return default
        if fault := boolean_fault(node):
            self._errors.append(fault)
            return default
        return isinstance(node, Scalar) and node.text.lower() == "true"

    def items(self, key: str) -> tuple[Node, ...]:
        """Return the items of the list under `key`; none when it is not there."""
        node = self.document.get(key)
        if node is None or (isinstance(node, Scalar) and node.kind == "null"):
            return ()
        if not isinstance(node, Sequence):
            hint = "begin each item with `- `, or put them in brackets: [ ... ]"
            message = f"'{key}' must be a list, not {described(node)}"
            self._errors.append(UserError("B204", message, at=node.at, hint=hint))
            return ()
        return node.items

    def strings(self, key: str) -> list[tuple[str, Location]]:
        """Return the texts of the list under `key`, each with its place."""
        found = []
        for node in self.items(key):
            if fault := text_fault(node):
                self._errors.append(fault)
            elif isinstance(node, Scalar):
                found.append((node.text, node.at))
        return found

    def entries(self, key: str) -> tuple[tuple[Scalar, Node], ...]:
        """Return the keys and values of the mapping under `key`; none when it is not there."""
        node = self.document.get(key)
        if node is None:
            return ()
        if not isinstance(node, Mapping):
            message = f"'{key}' must be a mapping, not {described(node)}"
            self._errors.append(UserError("B204", message, at=node.at, hint="write `key: value` lines"))
            return ()
        return node.items


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
