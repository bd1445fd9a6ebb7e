"""Durations: how long an action is likely to take, by what it and its kind have taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from buildsys.model.action import Action

NETWORK = "network"
"""The POOL of an operation that waits for servers and not for a processor."""

QUICK_SECONDS = 0.002
"""An operation that takes no longer is run together with others."""

NOTED_SECONDS = 0.1
"""An action that takes so long is remembered by its name, others by their kind alone."""

_UNKNOWN, _UNKNOWN_NETWORK = 0.05, 5.0
_WEIGHT = 0.1
"""How much the last of a kind counts in its mean."""


class Durations:
    """Seconds by kind (mnemonic) and name of actions; the empty name stands for the mean of a kind."""

    def __init__(self, known: Iterable[tuple[str, str, float]] = ()) -> None:
        self._named: dict[str, dict[str, float]] = {}
        self._means: dict[str, float] = {}
        self._measured: set[str] = set()
        for kind, name, seconds in known:
            if name:
                self._named.setdefault(kind, {})[name] = seconds
            else:
                self._means[kind] = seconds

    def seconds(self, action: Action) -> float:
        """Return how long an action is likely to take."""
        kind = action.operation.MNEMONIC
        named = self._named.get(kind)
        if named is not None and (seconds := named.get(action.name)) is not None:
            return seconds
        default = _UNKNOWN_NETWORK if getattr(action.operation, "POOL", "") == NETWORK else _UNKNOWN
        return self._means.get(kind, default)

    def is_quick(self, action: Action) -> bool:
        """Tell whether actions like this one have taken next to no time in this build."""
        kind = action.operation.MNEMONIC
        return kind in self._measured and self._means[kind] < QUICK_SECONDS

    def add(self, action: Action, seconds: float) -> None:
        """Take in how long an action took."""
        kind = action.operation.MNEMONIC
        if kind in self._measured:
            self._means[kind] += (seconds - self._means[kind]) * _WEIGHT
        else:
            self._measured.add(kind)
            self._means[kind] = seconds
        if seconds >= NOTED_SECONDS:
            self._named.setdefault(kind, {})[action.name] = seconds

    def learnt(self) -> Iterator[tuple[str, str, float]]:
        """Yield what is to be remembered: kind, name and seconds."""
        for kind in self._measured:
            yield kind, "", self._means[kind]
            for name, seconds in self._named.get(kind, {}).items():
                yield kind, name, seconds
