"""Events: what a build tells whoever watches it. Reporters implement the protocol; the engine knows no terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from buildsys.model.action import Action


class Events(Protocol):
    """A reporter of a running build. Called from the coordinating thread only, except `transferred`."""

    def started(self, action: Action) -> None:
        """An action begins to run."""
        ...

    def finished(self, action: Action, seconds: float) -> None:
        """An action has run."""
        ...

    def transferred(self, what: str, received: int, total: int | None) -> None:
        """Bytes of a download have arrived; `total` is None where the server did not say."""
        ...


class NoEvents:
    """The reporter that says nothing."""

    def started(self, action: Action) -> None:
        """Say nothing."""

    def finished(self, action: Action, seconds: float) -> None:
        """Say nothing."""

    def transferred(self, what: str, received: int, total: int | None) -> None:
        """Say nothing."""
