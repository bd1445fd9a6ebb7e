"""The body of a blob, from wherever it can be had, taken up again where it breaks off."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

from buildsys.adapters.http import chunks_of, hang_up
from buildsys.adapters.registry_exchange import Ask
from buildsys.adapters.registry_fault import RegistryFault
from buildsys.model.digest import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

    from buildsys.adapters.registry_access import Endpoint
    from buildsys.adapters.registry_exchange import Exchange

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class BlobBody:
    """A blob of `size` bytes from byte `offset` on: iterate over it once.

    Iterating raises `RegistryFault`: kind `mismatch` when the registry has another size, and never gives more than
    `size` bytes in all.
    """

    def __init__(
        self,
        exchange: Exchange,
        sleep: Callable[[float], None],
        host: str,
        repository: str,
        digest: str,
        size: int,
        offset: int,
    ) -> None:
        self._exchange = exchange
        self._sleep = sleep
        self._host = host
        self._repository = repository
        self._digest = digest
        self._size = size
        self._before = offset
        self._place = offset
        self._sources: list[Endpoint] = []
        self._current = ExitStack()
        self._answer: requests.Response | None = None
        self._aborted = False

    def __iter__(self) -> Iterator[bytes]:
        fruitless = 0
        while self._place < self._size:
            begun = self._place
            self._exchange.each_place(self._host, self._sleep, self._open)
            for chunk in self._skipped():
                if self._place + len(chunk) > self._size:
                    raise self._other_size("more")
                self._place += len(chunk)
                yield chunk
            self.close()
            if self._place == self._size:
                return
            self._check_abort()
            fruitless = 1 if self._place - begun >= CHUNK else fruitless + 1
            if fruitless >= max(1, self._exchange.access.attempts):
                message = f"{self._sources[-1].host}: {self._digest} broke off at byte {self._place} of {self._size}"
                tried = f" ({fruitless} attempts)" if fruitless > 1 else ""
                raise RegistryFault(message + tried, "unreachable", transient=True)
            self._sleep(self._exchange.patience(fruitless))

    def abort(self) -> None:
        """End it at once; for another thread, since the one that reads may be waiting for the server."""
        self._aborted = True
        answer = self._answer
        if answer is not None:
            hang_up(answer)

    def close(self) -> None:
        """Give up the connection."""
        self._answer = None
        self._current.close()

    def check(self, hexdigest: str) -> None:
        """Compare the digest of what has arrived, as hexadecimal digits, with that of the blob.

        Raises `RegistryFault`, kind `mismatch`; it is transient when another attempt, from byte 0 on, may help: where
        some bytes were there before, or where it will ask another place, since those that this came from are asked
        last from now on.
        """
        algorithm, _, wanted = self._digest.partition(":")
        if hexdigest == wanted:
            return
        names = ", ".join(dict.fromkeys(place.host for place in self._sources)) or self._host
        message = f"{names}: {self._repository}: the blob {self._digest} arrived as {algorithm}:{hexdigest}"
        if self._before:
            message = f"{message}, with {self._before} bytes that were here before"
            raise RegistryFault(message, "mismatch", transient=True)
        for place in self._sources:
            self._exchange.put_last(place)
        elsewhere = self._exchange.places(self._host)[0] not in self._sources
        raise RegistryFault(message, "mismatch", transient=elsewhere)

    def _open(self, place: Endpoint) -> None:
        """Ask a place for the rest."""
        self._check_abort()
        headers = {"Range": f"bytes={self._place}-"} if self._place else {}
        ask = Ask("GET", self._repository, {200, 206, 416}, headers=headers)
        url = place.url(self._repository, f"blobs/{self._digest}")
        with ExitStack() as stack:
            answer = stack.enter_context(self._exchange.open(place, ask, url))
            self._check_size(place, answer)
            self._current = stack.pop_all()
        self._answer = answer
        if place not in self._sources[-1:]:
            self._sources.append(place)
        self._check_abort()

    def _check_size(self, place: Endpoint, answer: requests.Response) -> None:
        """Compare the size that an answer states. The body of 416 is not read: its length is often a lie."""
        first, total = 0, ""
        if answer.status_code != 200:
            match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            first, total = (int(match[1] or -1), match[2]) if match else (-1, "")
        else:
            total = answer.headers.get("Content-Length", "")
        if total.isascii() and total.isdigit() and int(total) != self._size:
            raise self._other_size(total, place)
        if answer.status_code == 416 or (answer.status_code == 206 and first != self._place):
            message = f"{place.host}: {self._digest}: does not answer with the bytes from {self._place} on"
            raise RegistryFault(message, "mismatch")

    def _skipped(self) -> Iterator[bytes]:
        """Yield the chunks of the answer, without what we have already where the server sends everything again."""
        assert self._answer is not None  # noqa: S101 - `_open` has set it or raised
        skip = self._place if self._answer.status_code == 200 else 0
        for chunk in chunks_of(self._answer):
            if skip < len(chunk):
                yield chunk[skip:] if skip else chunk
            skip = max(0, skip - len(chunk))

    def _other_size(self, size: str, place: Endpoint | None = None) -> RegistryFault:
        place = place or self._sources[-1]
        message = f"{place.host}: {self._repository}: the blob {self._digest} has {size} bytes there, not {self._size}"
        return RegistryFault(message, "mismatch")

    def _check_abort(self) -> None:
        if self._aborted:
            raise RegistryFault(f"{self._host}: {self._digest}: given up", "unreachable")
