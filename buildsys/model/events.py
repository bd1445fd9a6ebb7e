"""Events: what a build tells whoever watches it. Reporters implement the protocol; the engine knows no terminal."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from buildsys.model.action import Action
    from buildsys.model.digest import Digest


class Events(Protocol):
    """A reporter of a running build. Called from the coordinating thread only, except `transferred` and `worked`."""

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Watch a part of the work, as long as the context lasts. Phases may contain others."""
        ...

    def started(self, action: Action) -> None:
        """An action begins to run."""
        ...

    def worked(self, action: Action, key: Digest, seconds: float, *, good: bool) -> None:
        """An action has just run, in the thread that calls this."""
        ...

    def finished(self, action: Action, seconds: float) -> None:
        """An action has run."""
        ...

    def answered(self, action: Action, key: Digest) -> None:
        """An action has a result already."""
        ...

    def critical(self, actions: Sequence[Action]) -> None:
        """All has ended; of what ran, these actions waited for each other and took longest."""
        ...

    def transferred(self, what: str, received: int, total: int | None) -> None:
        """Bytes of a download have arrived; `total` is None where the server did not say."""
        ...


class NoEvents:
    """The reporter that says nothing: what others say something of, they override."""

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Say nothing."""
        return nullcontext()

    def started(self, action: Action) -> None:
        """Say nothing."""

    def worked(self, action: Action, key: Digest, seconds: float, *, good: bool) -> None:
        """Say nothing."""

    def finished(self, action: Action, seconds: float) -> None:
        """Say nothing."""

    def answered(self, action: Action, key: Digest) -> None:
        """Say nothing."""

    def transferred(self, what: str, received: int, total: int | None) -> None:
        """Say nothing."""

    def critical(self, actions: Sequence[Action]) -> None:
        """Say nothing."""
