"""Asking a registry: login, redirects, a bound of requests at a time, other attempts and other places."""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import urljoin, urlsplit

from buildsys.adapters.docker_config import Logins
from buildsys.adapters.registry_access import endpoints, origin, own_endpoint
from buildsys.adapters.registry_auth import Doorkeeper
from buildsys.adapters.registry_fault import RegistryFault
from buildsys.adapters.registry_wire import Wire, drain, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from typing import BinaryIO

    import requests

    from buildsys.adapters.registry_access import Endpoint
    from buildsys.model.access import Access

T = TypeVar("T")

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
LONGEST_PAUSE = 30.0


class Ask(NamedTuple):
    """A request about a repository. `actions` is what a token must allow there, `also` a repository to pull from."""

    method: str
    repository: str
    expected: Collection[int]
    actions: str = "pull"
    also: str = ""
    headers: Mapping[str, str] = {}
    body: Callable[[], bytes | BinaryIO] | None = None
    """Makes the body, once for each time that it is sent."""
    patient: bool = False


class Exchange:
    """Requests to registries with all that surrounds them; safe for several threads."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._wire = Wire(access)
        self._door = Doorkeeper(self._wire, Logins(access.auth_files, must_exist=access.auth_files_must_exist))
        self._lock = threading.Lock()
        self._slots: defaultdict[str, threading.Semaphore] = defaultdict(
            lambda: threading.Semaphore(max(1, access.at_once))
        )
        self._last: set[Endpoint] = set()

    def close(self) -> None:
        """Close all connections."""
        self._wire.close()

    def places(self, host: str) -> tuple[Endpoint, ...]:
        """Return where to ask for images of `host`: those that have failed come after all others."""
        return tuple(sorted(endpoints(self.access, host), key=self._last.__contains__))

    def place_of(self, host: str) -> Endpoint:
        """Return the registry itself, for what a mirror has no say in."""
        return own_endpoint(self.access, host)

    def put_last(self, place: Endpoint) -> None:
        """Ask a place after all others from now on."""
        self._last.add(place)

    def each_place(
        self,
        host: str,
        pause: Callable[[float], None],
        attempt: Callable[[Endpoint], T],
        *,
        only: Endpoint | None = None,
    ) -> T:
        """Return what `attempt` gives at the first place that has it, trying again what may help.

        Raises `RegistryFault`: that of the registry itself, with notes of what its mirrors said.
        """
        own = only or self.place_of(host)
        faults: dict[Endpoint, RegistryFault] = {}
        for number in range(1, max(1, self.access.attempts) + 1):
            for place in (only,) if only else self.places(host):
                if place in faults and not faults[place].transient:
                    continue
                try:
                    return attempt(place)
                except RegistryFault as fault:
                    faults[place] = fault
                    if fault.kind in {"unreachable", "tls", "rate-limited"}:
                        self.put_last(place)
            hopeful = [fault.retry_after for fault in faults.values() if fault.transient]
            if not hopeful or number >= self.access.attempts or faults[own].kind == "missing":
                break
            pause(self.patience(number, min(hopeful)))
        raise self._summed_up(faults, own)

    def _summed_up(self, faults: dict[Endpoint, RegistryFault], own: Endpoint) -> RegistryFault:
        main = faults.pop(own)
        tried = f" ({self.access.attempts} attempts)" if main.transient and self.access.attempts > 1 else ""
        notes = (*main.notes, *(note for fault in faults.values() for note in (fault.message, *fault.notes)))
        return main.amended(main.message + tried, notes=notes)

    def patience(self, attempt: int, asked: float = 0.0) -> float:
        """Return the seconds to wait after the `attempt`-th failure: twice as long each time, never in step."""
        backoff = min(self.access.backoff_seconds * 2.0 ** (attempt - 1), LONGEST_PAUSE)
        return max(backoff * random.uniform(0.75, 1.25), asked * random.uniform(1.0, 1.1))  # noqa: S311 - no secret

    @contextmanager
    def open(self, place: Endpoint, ask: Ask, url: str) -> Iterator[requests.Response]:
        """Ask once, and give the answer, whose body is unread. Waits while too many ask the same place.

        The caller must not ask the same place meanwhile. Raises `RegistryFault`.
        """
        with self._lock:
            slot = self._slots[place.root]
        with slot:
            answer, where = self._follow(place, ask, self._let_in(place, ask, url), url)
            try:
                if answer.status_code not in ask.expected:
                    raise self._refused(place, ask, answer, where)
                yield answer
            finally:
                answer.close()

    def _let_in(self, place: Endpoint, ask: Ask, url: str) -> requests.Response:
        """Send a request with the login that the place wants; where that is refused, once more with a new token."""
        if origin(url) != place.origin:  # where to upload may be elsewhere: without our login
            return self._send(ask, url, "", "")
        scopes = (place.scope(ask.repository, ask.actions), *([place.scope(ask.also, "pull")] if ask.also else []))
        used = self._door.header(place, ask.repository, scopes)
        answer = self._send(ask, url, used, place.host)
        if answer.status_code == 401:
            try:
                renewed = self._door.renewed(place, ask.repository, scopes, answer, used)
            finally:
                answer.close()
            answer = self._send(ask, url, renewed, place.host)
        return answer

    def _send(self, ask: Ask, url: str, authorization: str, host: str) -> requests.Response:
        headers = {**ask.headers, "Authorization": authorization} if authorization else ask.headers
        body = ask.body() if ask.body else None
        return self._wire.send(ask.method, url, headers, host=host, body=body, patient=ask.patient)

    def _follow(self, place: Endpoint, ask: Ask, answer: requests.Response, url: str) -> tuple[requests.Response, str]:
        """Follow redirects of what is only read; return the answer and its address.

        Our login is for the place that asked for it: it goes along within it, and to nobody else.
        """
        for _ in range(_MOST_REDIRECTS):
            target = answer.headers.get("Location", "")
            if answer.status_code not in _REDIRECTS or ask.method not in {"GET", "HEAD"} or not target:
                break
            drain(answer)
            answer.close()
            url = self.sent_to(place, urljoin(url, target))
            kept = str(answer.request.headers.get("Authorization", "")) if origin(url) == place.origin else ""
            answer = self._send(ask, url, kept, place.host if origin(url) == place.origin else "")
        return answer, url

    def sent_to(self, place: Endpoint, url: str) -> str:
        """Return an address that a place has sent us to. Raises `RegistryFault` for one that is less safe."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise RegistryFault(f"{place.host}: sends us to '{url}', which is no address", "refused")
        safe = parts.scheme == "https" or place.root.startswith("http:") or parts.netloc in self.access.insecure
        if not safe:
            shown = f"{parts.scheme}://{parts.netloc}"
            raise RegistryFault(f"{place.host}: sends us to {shown}, by plain http: refused", "refused")
        return url

    def _refused(self, place: Endpoint, ask: Ask, answer: requests.Response, url: str) -> RegistryFault:
        if origin(url) != place.origin:
            fault = refusal(answer, f"{place.host}: sent us to {urlsplit(url).netloc}")
            return fault.amended(fault.message, kind="refused") if fault.kind == "login" else fault
        if answer.status_code in {401, 403}:
            return self._door.turned_away(place, ask.repository, answer)
        return refusal(answer, place.host)
