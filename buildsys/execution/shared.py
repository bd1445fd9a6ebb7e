"""What all actions of a build have in common beside its blobs: connections, and whatever else is made once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildsys.model.action import Closable

C = TypeVar("C", bound="Closable")


class Shared:
    """Things by name, each made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Closable] = {}
        self._lock = threading.Lock()

    def get(self, name: str, make: Callable[[], C]) -> C:
        """Return the thing of a name; all who ask for it make the same."""
        with self._lock:
            if name not in self._made:
                self._made[name] = make()
            return cast("C", self._made[name])

    def close(self) -> None:
        """Close all."""
        with self._lock:
            for made in self._made.values():
                made.close()
            self._made.clear()
