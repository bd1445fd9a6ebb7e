"""The files of an image divided among its layers, so that what changes often is not in a layer with what is large.

    large      files of a mebibyte or more: programs and archives, which change with a release
    separate   folders that have a layer of their own: `registry`
    shared     what stands alike in another tree, that of all architectures: these layers are then one blob
    rest       what is left, of one architecture and small

In this order, lowest first, since what runs images unpacks anew what lies above a layer that has changed. Each layer
states the folders that its files are in; put on top of each other, the layers are the tree again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.model.tree import DIRECTORY, FILE, Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buildsys.model.tree import Entry

LARGE_FILE = 1 << 20
"""Bytes of a file that stands in the layer of large files."""

WHITEOUT = ".wh."
"""How names begin that tell an unpacker to remove something (OCI image spec, layer.md, "Whiteouts")."""


class WhiteoutFault(ValueError):
    """A name that a layer cannot hold, since it means something else there; the text names it."""


def layer_names(separate: Sequence[str], *, shared: bool) -> tuple[str, ...]:
    """Return the names of the layers of an image, lowest first."""
    return ("large", *(f"{folder}/" for folder in separate), *(("shared",) if shared else ()), "rest")


def divide(tree: Tree, separate: Sequence[str] = (), shared: Tree | None = None) -> list[Tree]:
    """Return the tree of each layer, as `layer_names` names them; some may be empty.

    Raises `WhiteoutFault` for a name that begins as whiteouts do.
    """
    names = layer_names(separate, shared=shared is not None)
    alike = set(shared.entries) if shared else set()
    folders = {entry.path: entry for entry in tree.entries if entry.kind == DIRECTORY}
    inner = {parent for entry in tree.entries for parent in _parents(entry.path)}
    found: dict[str, dict[str, Entry]] = {name: {} for name in names}
    for entry in tree.entries:
        if entry.path.rpartition("/")[2].startswith(WHITEOUT):
            raise WhiteoutFault(f"'{entry.path}' is a whiteout in an image: it would remove a file instead")
        if entry.kind == DIRECTORY and entry.path in inner:
            continue  # stated by whatever is in it
        layer = found[_layer_of(entry, separate, is_shared=entry in alike)]
        layer[entry.path] = entry
        for parent in _parents(entry.path):
            layer[parent] = folders[parent]
    return [Tree.of(found[name].values()) for name in names]


def _layer_of(entry: Entry, separate: Sequence[str], *, is_shared: bool) -> str:
    for folder in separate:
        if entry.path == folder or entry.path.startswith(f"{folder}/"):
            return f"{folder}/"
    if is_shared:
        return "shared"
    return "large" if entry.kind == FILE and entry.size >= LARGE_FILE else "rest"


def _parents(path: str) -> list[str]:
    """Return the folders that a path is in, the nearest first."""
    found = []
    while path := path.rpartition("/")[0]:
        found.append(path)
    return found
