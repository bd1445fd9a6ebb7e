"""OciSplit: a tree divided among the layers of an image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from buildsys.errors import ActionFailed
from buildsys.model.action import ActionIO, Artifact, BaseOperation
from buildsys.model.digest import Digest
from buildsys.oci.division import WhiteoutFault, divide


@dataclass(frozen=True, slots=True, kw_only=True)
class OciSplit(BaseOperation):
    """The trees of the layers of `tree`, as `oci.division` divides it. A name that a layer cannot hold is B709."""

    MNEMONIC: ClassVar[str] = "OciSplit"
    VERSION: ClassVar[int] = 1
    PASSES: ClassVar[bool] = True

    tree: Artifact
    shared: Artifact | None = None
    separate: tuple[str, ...] = ()

    def needs(self, io: ActionIO) -> Iterable[Digest]:
        """The canonical forms of the trees; no file is read."""
        return [io.value(tree).digest for tree in (self.tree, self.shared) if tree]

    def execute(self, io: ActionIO) -> None:
        """Write a tree for each layer."""
        shared = io.tree(self.shared) if self.shared else None
        try:
            trees = divide(io.tree(self.tree), self.separate, shared)
        except WhiteoutFault as fault:
            hint = "give it another name, or leave it out of the image's tree"
            raise ActionFailed("B709", f"cannot make layers of '{self.tree.path}': {fault}", hint=hint) from fault
        for number, tree in enumerate(trees):
            io.write_tree(tree, number)
