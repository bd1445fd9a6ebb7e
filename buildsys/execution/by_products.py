"""By-products in the making: each is made once, by a helper, whoever asks for it and however often.

A by-product (a compressed frame) is known by a key that names all that shapes its bytes. It is kept in the store, so
that later builds need not make it; here is only what is being made now.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from buildsys.model.action import ActionResult, action_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from buildsys.execution.threads import Threads
    from buildsys.model.action import Value
    from buildsys.store.local import LocalStore


class _Making:
    """A by-product that a helper makes: what came of it, once it is done."""

    __slots__ = ("done", "error", "value")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.value: Value | None = None
        self.error: BaseException | None = None


class ByProducts:
    """The by-products of one build."""

    def __init__(self, store: LocalStore, helpers: Threads, fetchers: Threads) -> None:
        self._store = store
        self._helpers = helpers
        self._fetchers = fetchers
        self._making: dict[str, _Making] = {}
        self._lock = threading.Lock()

    def recall(self, keys: Iterable[str]) -> dict[str, Value]:
        """Return those by-products that are kept and whose blobs are still in the store."""
        digests = {action_key(key): key for key in keys}
        found = self._store.actions.get_all(digests)
        missing = set(self._store.blobs.missing({result.outputs[0].digest for result in found.values()}))
        return {
            digests[digest]: result.outputs[0]
            for digest, result in found.items()
            if result.outputs[0].digest not in missing
        }

    def remember(self, key: str, value: Value) -> None:
        """Keep a by-product."""
        self._store.actions.put(action_key(key), ActionResult((value,)), key)

    def begin(self, key: str, make: Callable[[], Value], *, fetched: bool = False) -> Callable[[], Value]:
        """Have a by-product made and kept that is not; return what waits for it. `fetched` ones wait for the network.

        Who asks first hears of what goes wrong; where it was another one, it is tried anew.
        """
        with self._lock:
            making = self._making.get(key)
            is_new = making is None
            if making is None:
                making = self._making[key] = _Making()
        if is_new:
            (self._fetchers if fetched else self._helpers).submit(lambda: self._make(key, make, making))
        return lambda: self._wait(key, make, making, is_first=is_new)

    def _make(self, key: str, make: Callable[[], Value], making: _Making) -> None:
        try:
            making.value = self.recall([key]).get(key)  # it may have been made since it was last asked for
            if making.value is None:
                value = make()
                self.remember(key, value)
                making.value = value
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            making.error = error
        finally:
            with self._lock:
                del self._making[key]
            making.done.set()

    def _wait(self, key: str, make: Callable[[], Value], making: _Making, *, is_first: bool) -> Value:
        making.done.wait()
        if making.error is not None and is_first:
            raise making.error
        if making.value is None:
            making.value = make()
            self.remember(key, making.value)
        return making.value
