"""How a registry lets us in: challenges, and tokens that are kept for as long as they are good.

Sources: RFC 9110 section 11, RFC 7617; distribution project, "Token Authentication Specification" and "OAuth2 Token
Authentication".
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urlsplit

from buildsys.adapters.registry_fault import RegistryFault
from buildsys.adapters.registry_wire import drain, read_all, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from buildsys.adapters.docker_config import Login, Logins
    from buildsys.adapters.registry_access import Endpoint
    from buildsys.adapters.registry_wire import Wire

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'({_NAME})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(_NAME)
_MAX_TOKEN = 1 << 20
_SHORTEST_LIFE = 60.0
"""What a token lives at least, in seconds, and where the server does not say."""
_USED_LIFE = 0.9
"""The part of its life in which a token is used: clocks differ, and a request takes its time."""


class Challenge(NamedTuple):
    """What a server asks for before it answers: `scheme` and the names of `parameters` are in lower case."""

    scheme: str
    parameters: dict[str, str]


def challenges(header: str) -> list[Challenge]:
    """Parse a WWW-Authenticate header, which may hold several challenges (RFC 9110 section 11.6.1)."""
    found: list[Challenge] = []
    place = 0
    while place < len(header):
        if parameter := _PARAMETER.match(header, place):
            place = parameter.end()
            if found:
                quoted, bare = parameter[2], parameter[3]
                value = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                found[-1].parameters.setdefault(parameter[1].lower(), value)
        elif scheme := _SCHEME.match(header, place):
            place = scheme.end()
            found.append(Challenge(scheme[0].lower(), {}))
        else:
            place += 1
    return [challenge for challenge in found if challenge.scheme in {"basic", "bearer"}]


class _Token(NamedTuple):
    value: str
    until: float


class Doorkeeper:
    """Knows what each registry asks for, and has what it takes; safe for several threads.

    Nothing is sent to a registry before it asks; then it is sent with each request.
    """

    def __init__(self, wire: Wire, logins: Logins, clock: Callable[[], float] = time.monotonic) -> None:
        self._wire = wire
        self._logins = logins
        self._clock = clock
        self._asked: dict[str, Challenge] = {}
        self._more: dict[tuple[str, str], tuple[str, ...]] = {}
        """Scopes that a registry has asked for beside those that we know a repository needs."""
        self._tokens: dict[tuple[str, str, tuple[str, ...], str], _Token] = {}
        self._locks: defaultdict[tuple[str, str, tuple[str, ...], str], threading.Lock] = defaultdict(threading.Lock)

    def header(self, endpoint: Endpoint, repository: str, scopes: tuple[str, ...]) -> str:
        """Return the Authorization header that the registry is known to want; empty if it has not asked.

        Raises `RegistryFault`.
        """
        asked = self._asked.get(endpoint.root)
        return "" if asked is None else self._answer(endpoint, repository, scopes, asked)

    def renewed(
        self, endpoint: Endpoint, repository: str, scopes: tuple[str, ...], refused: requests.Response, used: str
    ) -> str:
        """Return the header to try after a 401 to a request that had the header `used`. Raises `RegistryFault`."""
        asked = challenges(refused.headers.get("WWW-Authenticate", ""))
        best = next((c for c in asked if c.scheme == "bearer" and c.parameters.get("realm")), None)
        best = best or next((c for c in asked if c.scheme == "basic"), None)
        if best is None:
            raise refusal(refused, endpoint.host)
        self._asked[endpoint.root] = best
        ours = {scope.rpartition(":")[0] for scope in scopes}
        wanted = best.parameters.get("scope", "").split()
        self._more[endpoint.root, repository] = tuple(s for s in wanted if s.rpartition(":")[0] not in ours)
        header = self._answer(endpoint, repository, scopes, best, stale=used)
        if header == used:
            raise self.turned_away(endpoint, repository, refused)
        drain(refused)
        return header

    def turned_away(self, endpoint: Endpoint, repository: str, answer: requests.Response) -> RegistryFault:
        """Return the fault for an answer of 401 or 403: whose login that was, or where none was found."""
        said = refusal(answer, endpoint.host)
        login, remarks = self._logins.find(endpoint.host, endpoint.prefix + repository)
        return said.amended(f"{said.message}; {self._tried(login)}", kind="login", notes=remarks)

    def _tried(self, login: Login | None) -> str:
        if login is not None:
            return f"sent was {login}"
        return f"there is no login for it in {', '.join(self._logins.files) or 'any file'}"

    def _answer(
        self, endpoint: Endpoint, repository: str, scopes: tuple[str, ...], asked: Challenge, *, stale: str = ""
    ) -> str:
        login, remarks = self._logins.find(endpoint.host, endpoint.prefix + repository)
        if asked.scheme == "basic":
            if login is None or not login.basic:
                why = f"{login} has no password" if login else self._tried(None)
                raise RegistryFault(f"{endpoint.host}: wants a login: {why}", "login", notes=remarks)
            return login.basic
        if login is not None and login.registry_token:
            return f"Bearer {login.registry_token}"
        more = self._more.get((endpoint.root, repository), ())
        return self._token(endpoint, asked, (*scopes, *more), login, stale)

    def _token(
        self, endpoint: Endpoint, asked: Challenge, scopes: tuple[str, ...], login: Login | None, stale: str
    ) -> str:
        realm, service = asked.parameters["realm"], asked.parameters.get("service", "")
        key = (realm, service, scopes, login.source + login.user if login else "")
        with self._locks[key]:
            known = self._tokens.get(key)
            if known is None or known.until <= self._clock() or f"Bearer {known.value}" == stale:
                known = self._tokens[key] = self._fetch(endpoint, realm, service, scopes, login)
            return f"Bearer {known.value}"

    def _fetch(
        self, endpoint: Endpoint, realm: str, service: str, scopes: tuple[str, ...], login: Login | None
    ) -> _Token:
        parts = urlsplit(realm)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise RegistryFault(f"{endpoint.host}: wants a token from '{realm}', which is no address", "refused")
        if parts.scheme == "http" and endpoint.root.startswith("https:"):
            message = f"{endpoint.host}: wants a token from {realm}, by plain http: nothing is sent there"
            raise RegistryFault(message, "login")
        begun = self._clock()
        with self._request(realm, service, scopes, login) as answer:
            if answer.status_code in {400, 401, 403, 404}:
                said = refusal(answer, parts.netloc)
                raise said.amended(f"{endpoint.host}: no token from {said.message}; {self._tried(login)}", kind="login")
            if answer.status_code != 200:
                raise refusal(answer, parts.netloc)
            body = read_all(answer, parts.netloc, _MAX_TOKEN)
        try:
            content = json.loads(body)
            value = content.get("token") or content.get("access_token")
            life = content.get("expires_in", 0)
        except (ValueError, AttributeError):
            value = life = None
        if not isinstance(value, str) or not value.isprintable() or not value.isascii():
            raise RegistryFault(f"{endpoint.host}: {parts.netloc} has not answered with a token", "refused")
        seconds = float(life) if isinstance(life, int | float) else 0.0
        return _Token(value, begun + max(seconds, _SHORTEST_LIFE) * _USED_LIFE)

    def _request(self, realm: str, service: str, scopes: tuple[str, ...], login: Login | None) -> requests.Response:
        if login is not None and login.identity_token:
            form = {
                "grant_type": "refresh_token",
                "service": service,
                "client_id": "buildsys",
                "scope": " ".join(scopes),
                "refresh_token": login.identity_token,
            }
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            return self._wire.send("POST", realm, kind, body=urlencode(form).encode())
        query = [("service", service)] if service else []
        query += [("scope", scope) for scope in scopes]
        basic = login.basic if login is not None else ""
        if login is not None and basic:
            query.append(("account", login.user))
        address = realm + ("&" if "?" in realm else "?") + urlencode(query)
        return self._wire.send("GET", address, {"Authorization": basic} if basic else {})
