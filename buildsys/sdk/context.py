"""The context of an analysis: all that a rule may ask and do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buildsys.errors import Location
    from buildsys.kubernetes.pins import LockedImage
    from buildsys.kubernetes.tables import Tables
    from buildsys.model.action import Artifact, Operation
    from buildsys.model.digest import Digest
    from buildsys.model.label import Label


class Context(Protocol):
    """One target under one configuration. Everything that is read through it is recorded."""

    label: Label
    tables: Tables
    lockfile: str
    sources: str
    """The folder that messages show source files below: that of the packages, relative to the workspace."""

    def at(self, attribute: str = "", item: str = "") -> Location:
        """Return the place of an attribute's value (or of an item or key in it), or of the target."""
        ...

    def param(self, name: str, attribute: str = "", item: str = "") -> str:
        """Return the value of a parameter of the workspace.

        An unknown name is an error at the target, or where `attribute` (and `item`) say that it is named.
        """
        ...

    def has_param(self, name: str) -> bool:
        """Tell whether the workspace declares a parameter."""
        ...

    def expand(self, text: str, attribute: str = "") -> str:
        """Replace `{name}` by parameters and facts, as is done with attributes."""
        ...

    def pin(self, name: str, version: str, arch: str) -> Digest | None:
        """Return the locked digest of an external file."""
        ...

    def images(self) -> tuple[LockedImage, ...]:
        """Return the images of the lock file."""
        ...

    def shown(self, artifact: Artifact) -> str:
        """Return the path of an artifact as messages show it: source files relative to the workspace."""
        ...

    def declare(self, name: str, attribute: str = "out", item: str = "") -> Artifact:
        """Name an output; `name` is relative to the package and is where a layer places the file by default.

        `attribute` (and `item`, a key or item in it) say where the name is written, for errors.
        """
        ...

    def remark(self, text: str) -> None:
        """Have a build say something that its user should know, though nothing is wrong."""
        ...

    def register(self, operation: Operation, outputs: Sequence[Artifact], progress: str = "") -> None:
        """Register the action that makes `outputs`."""
        ...

    def mode(self, text: str, attribute: str = "mode") -> int | None:
        """Return the file mode that `text` writes in octal; None for the empty text."""
        ...

    def fail(self, code: str, message: str, *, attribute: str = "", item: str = "", hint: str = "") -> NoReturn:
        """Report an error at an attribute (or an item or key in it), or at the target."""
        ...
