"""One request to one host: connections that are kept, certificates, proxies, and faults in the words of a registry."""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from buildsys.adapters.http import CONNECT_SECONDS, IDLE_SECONDS, TRANSIENT, seconds_asked, short_reason
from buildsys.adapters.registry_access import certificates, origin
from buildsys.adapters.registry_fault import RegistryFault

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from typing import BinaryIO

    import requests
    from requests.adapters import HTTPAdapter

    from buildsys.adapters.registry_access import Certificates
    from buildsys.adapters.registry_fault import FaultKind
    from buildsys.model.access import Access

PATIENT_SECONDS = 300.0
"""How long a registry may be silent while it checks what was uploaded."""

LONGEST_WAIT = 120.0
"""A server that asks to come back later than this is not waited for."""

_MAX_SMALL = 1 << 20
"""Bytes that are read of an answer that is no manifest and no blob."""

_KINDS: dict[int, FaultKind] = {
    401: "login",
    403: "login",
    404: "missing",
    413: "too-large",
    429: "rate-limited",
}


class Wire:
    """Connections to registries and whomever they send us to; safe for several threads.

    A login is given with each request or not at all: no ~/.netrc, no cookies, and no redirect is followed here.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._sessions: dict[tuple[str, bool, str], tuple[requests.Session, dict[str, str]]] = {}

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        host: str = "",
        body: bytes | BinaryIO | None = None,
        patient: bool = False,
    ) -> requests.Response:
        """Send a request and return the answer with its body unread; the caller closes it.

        `host` is the registry or mirror that the address belongs to, as the user named it; empty for any other.
        Raises `RegistryFault`: no answer, or no trust.
        """
        import requests

        name = host or urlsplit(url).netloc
        session, proxies = self._session(name, url, known=bool(host))
        scale = self._access.timeout_scale
        silence = PATIENT_SECONDS if patient else IDLE_SECONDS
        try:
            return session.request(
                method,
                url,
                headers={"Accept-Encoding": "identity", "User-Agent": "buildsys", **headers},
                data=body,
                stream=True,
                allow_redirects=False,
                proxies=proxies,
                timeout=(CONNECT_SECONDS * scale, silence * scale),
            )
        except requests.exceptions.SSLError as error:
            raise RegistryFault(f"{name}: {_tls_reason(short_reason(error))}", "tls") from error
        except (requests.ConnectionError, requests.Timeout) as error:
            message = f"{name}: unreachable: {short_reason(error)}"
            raise RegistryFault(message, "unreachable", transient=True) from error
        except requests.RequestException as error:
            raise RegistryFault(f"{name}: {short_reason(error)}", "refused") from error

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for session, _ in self._sessions.values():
                _close(session)
            self._sessions.clear()

    def _session(self, name: str, url: str, *, known: bool) -> tuple[requests.Session, dict[str, str]]:
        import requests

        key = (name, known, origin(url))
        with self._lock:
            if key not in self._sessions:
                session = requests.Session()
                session.trust_env = False
                session.cookies.set_policy(_no_cookies())
                if url.startswith("https:"):
                    found = certificates(self._access, name, known=known)
                    session.mount("https://", _secure_adapter(_context(name, found), self._access.at_once))
                else:
                    session.mount("http://", _plain_adapter(self._access.at_once))
                self._sessions[key] = session, requests.utils.get_environ_proxies(url)
            return self._sessions[key]


def _close(session: requests.Session) -> None:
    """Close what is kept open; requests leaves that to whoever collects what nobody needs any more."""
    for adapter in session.adapters.values():
        managers = [adapter.poolmanager, *adapter.proxy_manager.values()]  # type: ignore[attr-defined] # an HTTPAdapter
        for manager in managers:
            for key in manager.pools.keys():  # noqa: SIM118 - no mapping to iterate over
                manager.pools[key].close()
    session.close()


def _no_cookies() -> Any:
    from http.cookiejar import DefaultCookiePolicy

    return DefaultCookiePolicy(allowed_domains=[])


def _plain_adapter(size: int) -> HTTPAdapter:
    from requests.adapters import HTTPAdapter

    return HTTPAdapter(pool_maxsize=size)


def _secure_adapter(context: ssl.SSLContext, size: int) -> HTTPAdapter:
    """Return an adapter that trusts what `context` does, where requests knows its own list or one file only."""
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, ssl_context=context, **options)

        def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
            return super().proxy_manager_for(proxy, ssl_context=context, **options)

        def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
            """Leave it to the context, which verifies."""

    return Adapter(pool_maxsize=size)


def _context(name: str, found: Certificates) -> ssl.SSLContext:
    """Trust the system's certificates, those that requests brings, and those found for the host."""
    import os
    import ssl

    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    context = ssl.create_default_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    path = ""
    try:
        for path in found.authorities:
            context.load_verify_locations(**{"capath" if os.path.isdir(path) else "cafile": path})
        if found.client:
            path = " with ".join(dict.fromkeys(found.client))
            context.load_cert_chain(*found.client)
    except OSError as error:  # ssl.SSLError is one
        why = error.strerror or "it is no certificate in PEM form"
        if isinstance(error, ssl.SSLError):
            why = f"it is no certificate in PEM form, or not its key ({error.reason or 'no data'})"
        raise RegistryFault(f"{name}: {path} cannot be used: {why}", "tls") from error
    return context


def _tls_reason(text: str) -> str:
    """Say whose fault it is that there is no safe connection."""
    plain = re.sub(r"^\[.*?\] | \(_ssl\.c:\d+\)$", "", text)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return f"the certificate cannot be trusted: {plain.removeprefix('certificate verify failed: ')}"
    if "ALERT" in text:
        return f"the server refuses our certificate, or the lack of one: {plain}"
    return f"the server does not speak TLS as it should: {plain}"


def read_all(answer: requests.Response, name: str, limit: int) -> bytes:
    """Read a body of at most `limit` bytes. Raises `RegistryFault` where it is larger, or breaks off."""
    from urllib3.exceptions import HTTPError

    length = answer.headers.get("Content-Length", "")
    total = int(length) if length.isascii() and length.isdigit() else None
    data = bytearray()
    try:
        while len(data) <= limit and (total is None or total <= limit):
            chunk = answer.raw.read(limit + 1 - len(data), decode_content=False)
            if not chunk:
                break
            data += chunk
    except (HTTPError, OSError) as error:
        raise _broken_off(name) from error
    if len(data) > limit or (total is not None and total > limit):
        raise RegistryFault(f"{name}: the answer has more than {limit} bytes", "too-large")
    if total is not None and len(data) < total:
        raise _broken_off(name)
    return bytes(data)


def _broken_off(name: str) -> RegistryFault:
    return RegistryFault(f"{name}: the answer broke off", "unreachable", transient=True)


def drain(answer: requests.Response) -> bytes:
    """Read a small body, so that the connection can be used again; whatever goes wrong is no matter."""
    try:
        return read_all(answer, "", _MAX_SMALL)
    except RegistryFault:
        return b""


def refusal(answer: requests.Response, name: str) -> RegistryFault:
    """Return the fault for an answer that is no success; reads its body, which may say why.

    Not that of 416, whose stated length is often that of the file, not of the body.
    """
    status = answer.status_code
    reason = "" if status == 416 else _reason(drain(answer))
    message = f"{name}: the server answered {status} {answer.reason or ''}".rstrip() + (f": {reason}" if reason else "")
    seconds = seconds_asked(answer.headers.get("Retry-After", ""))
    kind = _KINDS.get(status, "unreachable" if status in TRANSIENT else "refused")
    if seconds > LONGEST_WAIT:
        return RegistryFault(f"{message} (and to come back in {seconds:.0f} s)", kind, status=status)
    return RegistryFault(message, kind, transient=status in TRANSIENT, retry_after=seconds, status=status)


def _reason(body: bytes) -> str:
    """Return the first error of a registry's answer (OCI distribution spec, "Error Codes")."""
    try:
        answer = json.loads(body)
        error = answer["errors"][0]
        text = str(error.get("message") or error.get("code") or "")
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
    return "".join(char if char.isprintable() else " " for char in text)[:200].strip()
