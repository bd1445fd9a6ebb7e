"""Merge: files, links, folders and whole trees into one tree. Copies nothing: only digests are put together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from buildsys.errors import ActionFailed
from buildsys.model.action import ActionIO, Artifact, BaseOperation, exempt
from buildsys.model.digest import Digest
from buildsys.model.provider import LayerInfo
from buildsys.model.tree import DIRECTORY, FILE, SYMLINK, Entry, PathFault, Tree


class MergedFile(NamedTuple):
    """A file of the tree; `mode` is -1 where it follows from the artifact's executable bit."""

    path: str
    artifact: Artifact
    mode: int = -1


class MergedTree(NamedTuple):
    """A tree whose entries stand below `prefix` ("" for the root)."""

    prefix: str
    artifact: Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge(BaseOperation):
    """One tree of all parts. A path that stands twice with different contents is B405; one outside the root B406."""

    MNEMONIC: ClassVar[str] = "Merge"
    VERSION: ClassVar[int] = 1
    PASSES: ClassVar[bool] = True

    files: tuple[MergedFile, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    directories: tuple[tuple[str, int], ...] = ()
    trees: tuple[MergedTree, ...] = ()
    overrides: tuple[str, ...] = ()
    origins: tuple[tuple[str, str], ...] = exempt("who put a part there, for messages", default=())

    def needs(self, io: ActionIO) -> Iterable[Digest]:
        """The canonical forms of the trees; no file is read."""
        return [io.value(part.artifact).digest for part in self.trees]

    def execute(self, io: ActionIO) -> None:
        """Write the merged tree."""
        entries = [Entry(path, DIRECTORY, mode) for path, mode in self.directories]
        entries += [Entry(path, SYMLINK, target=target) for path, target in self.links]
        for part in self.files:
            value = io.value(part.artifact)
            mode = part.mode if part.mode >= 0 else 0o755 if value.executable else 0o644
            entries.append(Entry(part.path, FILE, mode, value.digest, value.size))
        explicit = {entry.path: entry for entry in entries}
        for tree in self.trees:
            prefix = f"{tree.prefix}/" if tree.prefix else ""
            for entry in io.tree(tree.artifact).entries:
                moved = entry._replace(path=prefix + entry.path)
                known = explicit.get(moved.path)
                if known is None or known == moved:
                    explicit[moved.path] = moved
                elif not (known.kind == moved.kind == DIRECTORY or moved.path in self.overrides):
                    raise ActionFailed(
                        "B405",
                        f"'{moved.path}' is put there twice, with different contents: by the tree"
                        f" {tree.artifact.path} and by {self._origin(moved.path)}",
                        hint=f'remove one of them, or declare `overrides: ["{moved.path}"]`',
                    )
        try:
            io.write_tree(Tree.of(explicit.values()))
        except PathFault as fault:
            raise ActionFailed("B406", str(fault), hint="destinations are relative and stay below the root") from fault

    def _origin(self, path: str) -> str:
        return dict(self.origins).get(path, "another tree")


def merge_of(layer: LayerInfo, overrides: tuple[str, ...] = ()) -> Merge:
    """Return the operation that makes a tree of a layer."""
    files, links, directories = [], [], []
    for entry in sorted(layer.entries, key=lambda entry: entry.path):
        if entry.artifact is not None:
            files.append(MergedFile(entry.path, entry.artifact, -1 if entry.mode is None else entry.mode))
        elif entry.link:
            links.append((entry.path, entry.link))
        else:
            directories.append((entry.path, 0o755 if entry.mode is None else entry.mode))
    return Merge(
        files=tuple(files),
        links=tuple(links),
        directories=tuple(directories),
        trees=tuple(MergedTree(tree.prefix, tree.artifact) for tree in layer.trees),
        overrides=overrides,
        origins=tuple((entry.path, str(entry.origin)) for entry in layer.entries),
    )
