"""Uploading a blob: a session at the registry that takes it in pieces, and knows how far it has come.

Source: OCI distribution spec 1.1, "Pushing blobs", "Pushing a blob in chunks", "Mounting a blob from another
repository".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Self, cast
from urllib.parse import urlencode, urljoin

from buildsys.adapters.registry_exchange import Ask
from buildsys.adapters.registry_fault import RegistryFault
from buildsys.adapters.registry_wire import drain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

    from buildsys.adapters.registry_access import Endpoint
    from buildsys.adapters.registry_exchange import Exchange

_ACTIONS = "pull,push"
_BYTES = {"Content-Type": "application/octet-stream"}
_SESSION_LOST = frozenset({404, 416})
"""What registries say of a session that is over, or is at another byte than we think."""
_STEP = 1 << 16


class Payload(NamedTuple):
    """A blob to send: `open_at` opens it at an offset, `sent` is told how many bytes are over."""

    digest: str
    size: int
    open_at: Callable[[int], BinaryIO]
    sent: Callable[[int], None]


class _Session(NamedTuple):
    """Where an upload goes on, and how many bytes the registry has."""

    address: str
    taken: int


class Upload:
    """Writes blobs to one repository of a registry. All methods raise `RegistryFault`."""

    def __init__(self, exchange: Exchange, sleep: Callable[[float], None], host: str, repository: str) -> None:
        self._exchange = exchange
        self._sleep = sleep
        self._host = host
        self._repository = repository
        self._place = exchange.place_of(host)

    def has(self, digest: str) -> bool:
        """Tell whether the repository has a blob."""
        url = self._place.url(self._repository, f"blobs/{digest}")
        return self._insist(Ask("HEAD", self._repository, {200, 404}, _ACTIONS), url)[0] == 200

    def _arrived(self, digest: str) -> bool:
        url = self._place.url(self._repository, f"blobs/{digest}")
        try:
            return self._once(Ask("HEAD", self._repository, {200, 404}, _ACTIONS), url)[0] == 200
        except RegistryFault:
            return False

    def mount(self, source: str, digest: str) -> bool:
        """Have the registry take a blob from another repository; False where it would rather have it uploaded."""
        query = urlencode({"mount": digest, "from": source})
        url = self._place.url(self._repository, f"blobs/uploads/?{query}")
        status, session = self._insist(Ask("POST", self._repository, {201, 202}, _ACTIONS, also=source), url)
        if status == 202 and session:
            self._cancel(session)
        return status == 201

    def run(self, payload: Payload, chunk: int) -> None:
        """Upload a blob in pieces of `chunk` bytes; what is not taken is sent again, in a new session if need be."""
        session: _Session | None = None
        fruitless = 0
        while True:
            if session is None:
                session = self._begin()
            try:
                if session.taken == payload.size or (session.taken == 0 and payload.size <= chunk):
                    self._finish(session, payload)
                    return
                session = self._append(session, payload, min(payload.size, session.taken + chunk))
                fruitless = 0
            except RegistryFault as fault:
                fruitless += 1
                if not fault.transient and fault.status not in _SESSION_LOST:
                    raise
                if fruitless >= max(1, self._exchange.access.attempts):
                    raise fault.amended(f"{fault.message} ({fruitless} attempts)") from fault
                self._sleep(self._exchange.patience(fruitless, fault.retry_after))
                if self._arrived(payload.digest):
                    return  # only the answer was lost
                session = self._resumed(session)

    def _begin(self) -> _Session:
        url = self._place.url(self._repository, "blobs/uploads/")
        session = self._insist(Ask("POST", self._repository, {202}, _ACTIONS), url)[1]
        if session is None:
            raise RegistryFault(f"{self._host}: does not say where to upload to", "refused")
        return session._replace(taken=0)

    def _append(self, session: _Session, payload: Payload, end: int) -> _Session:
        """Send a piece."""
        headers = {**_BYTES, "Content-Range": f"{session.taken}-{end - 1}"}
        with _Piece(payload, session.taken, end) as piece:
            ask = Ask("PATCH", self._repository, {202, 204}, _ACTIONS, headers=headers, body=piece.open)
            after = self._once(ask, session.address)[1]
        if after is None:
            return _Session(session.address, end)
        if after.taken > end:
            message = f"{self._host}: {payload.digest}: has {after.taken} bytes where {end} were sent"
            raise RegistryFault(message, "mismatch")
        return after if after.taken >= 0 else after._replace(taken=end)

    def _finish(self, session: _Session, payload: Payload) -> None:
        """Send what is missing, and say that it is all."""
        url = session.address + ("&digest=" if "?" in session.address else "?digest=") + payload.digest
        try:
            with _Piece(payload, session.taken, payload.size) as piece:
                ask = Ask("PUT", self._repository, {201, 204}, _ACTIONS, headers=_BYTES, body=piece.open, patient=True)
                self._once(ask, url)
        except RegistryFault as fault:
            if fault.status == 400:
                raise fault.amended(f"{fault.message}: sent was {payload.digest}", kind="mismatch") from fault
            raise
        payload.sent(payload.size)

    def _resumed(self, session: _Session) -> _Session | None:
        """Ask a session how far it has come; None where it is lost."""
        try:
            _, found = self._once(Ask("GET", self._repository, {200, 204}, _ACTIONS), session.address)
        except RegistryFault:
            return None
        return found if found and found.taken >= 0 else None

    def _cancel(self, session: _Session) -> None:
        """End a session; a registry that does not know how will forget it by itself."""
        try:
            self._once(Ask("DELETE", self._repository, {200, 202, 204}, _ACTIONS), session.address)
        except RegistryFault:
            return

    def _insist(self, ask: Ask, url: str) -> tuple[int, _Session | None]:
        """Ask as often as may help."""

        def attempt(_: Endpoint) -> tuple[int, _Session | None]:
            return self._once(ask, url)

        return self._exchange.each_place(self._host, self._sleep, attempt, only=self._place)

    def _once(self, ask: Ask, url: str) -> tuple[int, _Session | None]:
        """Ask; return the status, and the session that the answer tells of."""
        with self._exchange.open(self._place, ask, url) as answer:
            drain(answer)
            target = answer.headers.get("Location", "")
            if not target:
                return answer.status_code, None
            address = self._exchange.sent_to(self._place, urljoin(url, target))
            return answer.status_code, _Session(address, _taken(answer))


def _taken(answer: requests.Response) -> int:
    """Return how many bytes a session has, by its Range header; -1 where there is none.

    `0-0` is one byte by the letter; registries mean none, which is right or costs one byte.
    """
    match = re.fullmatch(r"(?:bytes=)?0-(\d+)", answer.headers.get("Range", ""))
    if not match:
        return -1
    return int(match[1]) + 1 if match[1] != "0" else 0


class _Piece:
    """Bytes of a payload from `first` to before `end`, as a body that can be sent again; closes what it has opened."""

    def __init__(self, payload: Payload, first: int, end: int) -> None:
        self._payload = payload
        self._first = first
        self._place = first
        self._end = end
        self._stream: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()

    def open(self) -> bytes | BinaryIO:
        """Begin anew."""
        self.__exit__()
        if self._first == self._end:
            return b""
        self._place = self._first
        self._stream = self._payload.open_at(self._first)
        return cast("BinaryIO", self)

    def __len__(self) -> int:
        return self._end - self._first

    def __iter__(self) -> Iterator[bytes]:
        """Yield pieces of it; requests wants a body to have this, and reads."""
        while data := self.read(_STEP):
            yield data

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes. Raises `RegistryFault` where the blob ends too early."""
        assert self._stream is not None  # noqa: S101 - only `open` gives this away as a body
        left = self._end - self._place
        data = self._stream.read(left if size < 0 else min(size, left))
        if left and not data:
            message = f"the blob {self._payload.digest} ends after {self._place} of {self._payload.size} bytes"
            raise RegistryFault(message, "mismatch")
        self._place += len(data)
        self._payload.sent(self._place)
        return data
