"""What a user changes in a configuration document: merging it in, and spelling it as an API version wants it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from buildsys.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildsys.errors import Location

ARGUMENTS = frozenset({"extraArgs", "kubeletExtraArgs"})
Document = dict[str, object]


def plain_mapping(value: Mapping[str, object]) -> Document:
    """Return a deep copy of `value` made of dicts, lists and scalars alone."""
    return {str(key): plain(inner) for key, inner in value.items()}


def plain(value: object) -> object:
    """Return a deep copy of `value` made of dicts, lists and scalars alone."""
    if isinstance(value, Mapping):
        return plain_mapping(value)
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def merge(base: Mapping[str, object], changes: Mapping[str, object]) -> Document:
    """Return `base` with `changes` in it: mappings are merged, null removes, anything else replaces.

    Arguments given as a list of {name, value} (v1beta4) are merged into the mapping form by name.
    """
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(old, dict) and key in ARGUMENTS and isinstance(value, list):
            kept = {name: argument for name, argument in old.items() if name not in set(_argument_names(value))}
            merged[key] = [*_listed(kept), *value]
        elif isinstance(value, dict):
            merged[key] = merge(old if isinstance(old, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def move(documents: Mapping[str, Document], source: str, target: str) -> None:
    """Move the value at the dotted path `source` (kind first) to `target`, unless something stands there already."""
    kind, *path = source.split(".")
    holder = _descend(documents.get(kind), path[:-1])
    if holder is None or path[-1] not in holder:
        return
    value = holder.pop(path[-1])
    kind, *path = target.split(".")
    put(documents[kind], path, value, keep=True)


def put(document: Document, path: Iterable[str], value: object, *, keep: bool = False) -> None:
    """Set the field at `path` to `value`, making the mappings on the way; `keep` leaves a value that is there."""
    *way, last = path
    for step in way:
        inner = document.setdefault(step, {})
        if not isinstance(inner, dict):
            return
        document = inner
    if not (keep and last in document):
        document[last] = value


def spell_arguments(value: Document, form: str, at: Location | None, path: str) -> Document:
    """Return `value` with every extraArgs in `form`: `mapping` (up to v1beta3) or `list` of {name, value} (v1beta4).

    Numbers and booleans become the strings that kubeadm wants flags to be.
    Raises UserError B604 for a list that no mapping can say: an argument given twice, or an item without a name.
    """
    spelt: Document = {}
    for key, inner in value.items():
        if key not in ARGUMENTS:
            spelt[key] = spell_arguments(inner, form, at, f"{path}.{key}") if isinstance(inner, dict) else inner
        elif form == "list" and isinstance(inner, dict):
            spelt[key] = _listed(inner)
        elif form == "mapping" and isinstance(inner, list):
            spelt[key] = _mapped(inner, at, f"{path}.{key}")
        elif isinstance(inner, dict):
            spelt[key] = {name: _argument(argument) for name, argument in inner.items()}
        else:
            spelt[key] = inner
    return spelt


def _listed(arguments: Mapping[str, object]) -> list[object]:
    return [{"name": name, "value": _argument(value)} for name, value in arguments.items()]


def _argument(value: object) -> object:
    """Return a flag's value as the string that kubeadm's types want."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _mapped(arguments: list[object], at: Location | None, path: str) -> Document:
    mapped: Document = {}
    for item in arguments:
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(name, str) or name in mapped:
            raise UserError(
                "B604",
                f"{path} must be a mapping for this kubeadm, and {item!r} cannot be an entry of one",
                at=at,
                hint="write each flag once, as name: value",
            )
        mapped[name] = _argument(item.get("value", ""))
    return mapped


def _argument_names(arguments: Iterable[object]) -> list[object]:
    return [item.get("name") for item in arguments if isinstance(item, dict)]


def _descend(document: object, path: Iterable[str]) -> Document | None:
    for step in path:
        document = document.get(step) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else None
