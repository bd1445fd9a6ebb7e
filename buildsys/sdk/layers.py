"""Layers of a rootfs: what a target puts where, and the merge of several, with every collision reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.errors import BuildError, BuildErrors, UserError
from buildsys.model.provider import ConfiguredTarget, LayerEntry, LayerInfo, TreeEntry
from buildsys.model.tree import link_fault, path_fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildsys.model.action import Artifact
    from buildsys.sdk.context import Context


def layer_of(target: ConfiguredTarget, ctx: Context) -> LayerInfo:
    """Return what a target puts into a rootfs: what it says, else its files at their names."""
    info = target.get(LayerInfo)
    if info is not None:
        return info
    at = target.at if target.at.line else ctx.at("layers")
    return LayerInfo(tuple(LayerEntry(artifact.name, artifact, target.label, at) for artifact in target.files))


def single_file(ctx: Context, target: ConfiguredTarget, attribute: str, item: str, purpose: str) -> Artifact:
    """Return the one file of the target that `item` of an attribute names, which it has "to" `purpose`.

    Raises `UserError` B220 when there are several, or none.
    """
    if len(target.files) == 1:
        return target.files[0]
    message = f"'{target.label}' must produce a single file to {purpose}, but has {len(target.files)}"
    hint = "name a target with one file, or a source file"
    return ctx.fail("B220", message, attribute=attribute, item=item, hint=hint)


def moved(layer: LayerInfo, prefix: str) -> LayerInfo:
    """Return a layer with everything below `prefix`."""
    return LayerInfo(
        tuple(entry._replace(path=f"{prefix}/{entry.path}") for entry in layer.entries),
        tuple(tree._replace(prefix=f"{prefix}/{tree.prefix}".rstrip("/")) for tree in layer.trees),
    )


def combine(ctx: Context, layers: Iterable[LayerInfo], overrides: Iterable[str] = ()) -> LayerInfo:
    """Merge layers, the later ones last.

    Raises `BuildErrors` with an error for each path that two layers claim with different contents (B225; in `overrides`
    the later one wins), and for each path that leaves the root (B226).
    """
    allowed = set(overrides)
    entries: dict[str, LayerEntry] = {}
    trees: list[TreeEntry] = []
    errors: list[BuildError] = []
    for layer in layers:
        trees.extend(layer.trees)
        for entry in layer.entries:
            fault = path_fault(entry.path) or (link_fault(entry.path, entry.link) if entry.link else "")
            if fault:
                hint = "destinations are relative and stay below the root of the rootfs"
                errors.append(
                    UserError("B226", f"{entry.origin}: invalid destination: {fault}", at=entry.at, hint=hint)
                )
                continue
            known = entries.get(entry.path)
            if known is not None and not _same(known, entry) and entry.path not in allowed:
                errors.append(_collision(ctx, known, entry))
            else:
                entries[entry.path] = entry
    for path, entry in entries.items():
        parent = path.rpartition("/")[0]
        while parent:
            above = entries.get(parent)
            if above is not None and (above.artifact is not None or above.link):
                errors.append(_collision(ctx, above, entry))
            parent = parent.rpartition("/")[0]
    if errors:
        raise BuildErrors(errors)
    return LayerInfo(tuple(entries.values()), tuple(dict.fromkeys(trees)))


def _same(one: LayerEntry, other: LayerEntry) -> bool:
    return (one.artifact, one.link, one.mode) == (other.artifact, other.link, other.mode)


def _collision(ctx: Context, one: LayerEntry, other: LayerEntry) -> UserError:
    what = f"'{other.path}' is put there by both {one.origin} and {other.origin}"
    hint = f'remove one of them, or let the later one win: overrides: ["{other.path}"]'
    if one.path != other.path:
        hint = "remove one of them, or give one of them another place"
        kind = "link" if one.link else "file"
        what = f"'{one.path}', a {kind} of {one.origin}, is also a folder, for '{other.path}' of {other.origin}"
    return UserError(
        "B225",
        f"{ctx.label}: two layers collide: {what}",
        at=other.at,
        hint=hint,
        notes=(f"the other one is declared at {one.at}",),
    )
