"""HTTP through `requests`: one streamed GET, with its faults sorted into those worth another try and those not."""

from __future__ import annotations

import email.utils
import os
import re
import socket
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, NamedTuple
from urllib.parse import unquote, urlsplit

from buildsys.model.digest import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 30.0
"""How long a server may stay silent; a slow but steady download is never cut."""

TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Status codes that say "later" (RFC 9110 section 15, RFC 6585, RFC 8470)."""


class HttpFault(Exception):
    """A request failed; `transient` tells whether trying again may help, `retry_after` how long the server asks for."""

    def __init__(self, message: str, *, transient: bool, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.message = message
        self.transient = transient
        self.retry_after = retry_after


class Response(NamedTuple):
    """The body of a GET from byte `offset` on; `total` is the size of the whole file where the server said it."""

    chunks: Iterator[bytes]
    offset: int
    total: int | None
    etag: str
    abort: Callable[[], None]
    """Ends the body at once; for another thread, since the one that reads may be waiting for the server."""


@contextmanager
def get(url: str, *, offset: int = 0, etag: str = "", timeout_scale: float = 1.0) -> Iterator[Response]:
    """GET `url`, from `offset` on if the server still has the file named by `etag` (RFC 9110 section 13.1.5).

    Knows http, https and file. Raises `HttpFault`.
    """
    if url.startswith("file:"):
        with _local(url) as response:
            yield response
        return
    import requests

    headers = {"Accept-Encoding": "identity", "User-Agent": "buildsys"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if etag:
            headers["If-Range"] = etag
    timeout = (CONNECT_SECONDS * timeout_scale, IDLE_SECONDS * timeout_scale)
    with requests.Session() as session:
        session.trust_env = False  # no ~/.netrc: a login never leaves without being asked for
        session.proxies.update(requests.utils.get_environ_proxies(url))
        try:
            with session.get(url, headers=headers, stream=True, timeout=timeout) as answer:
                if answer.status_code not in {200, 206}:
                    raise _refusal(answer.status_code, answer.reason or "", answer.headers.get("Retry-After", ""))
                start = offset if answer.status_code == 206 else 0
                length = answer.headers.get("Content-Length", "")
                total = start + int(length) if length.isdigit() else None
                yield Response(
                    chunks_of(answer), start, total, answer.headers.get("ETag", ""), partial(hang_up, answer)
                )
        except requests.exceptions.SSLError as error:
            raise HttpFault(f"the certificate cannot be trusted: {short_reason(error)}", transient=False) from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise HttpFault(f"unreachable: {short_reason(error)}", transient=True) from error
        except requests.RequestException as error:
            raise HttpFault(short_reason(error), transient=False) from error


def chunks_of(answer: object) -> Iterator[bytes]:
    """Yield the body; a connection that breaks ends it, and the reader sees that bytes are missing."""
    from urllib3.exceptions import HTTPError

    raw = answer.raw  # type: ignore[attr-defined] # a requests.Response; its raw body skips content decoding
    while True:
        try:
            chunk: bytes = raw.read(CHUNK, decode_content=False)
        except (HTTPError, OSError):
            return
        if not chunk:
            return
        yield chunk


def hang_up(answer: object) -> None:
    """End the body of an answer at once, from another thread than the one that reads it."""
    try:
        with socket.socket(fileno=os.dup(answer.raw.fileno())) as connection:  # type: ignore[attr-defined]
            connection.shutdown(socket.SHUT_RDWR)
    except (OSError, ValueError, AttributeError):
        return  # it has ended meanwhile


@contextmanager
def _local(url: str) -> Iterator[Response]:
    path = unquote(urlsplit(url).path)
    try:
        stream = open(path, "rb", buffering=0)  # noqa: SIM115 - closed below; only what it raises itself is its fault
    except FileNotFoundError as error:
        raise HttpFault(f"no such file: {path}", transient=False) from error
    except OSError as error:
        raise HttpFault(f"{path}: {error.strerror}", transient=False) from error
    with stream:
        total = os.fstat(stream.fileno()).st_size
        yield Response(_local_chunks(stream, path), 0, total, "", lambda: None)


def _local_chunks(stream: BinaryIO, path: str) -> Iterator[bytes]:
    try:
        while chunk := stream.read(CHUNK):
            yield chunk
    except OSError as error:
        raise HttpFault(f"{path}: {error.strerror}", transient=False) from error


def _refusal(status: int, reason: str, retry_after: str) -> HttpFault:
    message = f"the server answered {status} {reason}".rstrip()
    return HttpFault(message, transient=status in TRANSIENT, retry_after=min(seconds_asked(retry_after), 120.0))


def seconds_asked(retry_after: str) -> float:
    """Return how long a Retry-After header asks to wait (RFC 9110 section 10.2.3); 0 where it is none."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return 0.0


def short_reason(error: Exception) -> str:
    """Return the innermost reason of a chain of library exceptions, without addresses of objects."""
    inner: object = error
    while isinstance(inner, Exception):
        reason = getattr(inner, "reason", None)
        deeper = reason if reason is not None else inner.args[-1] if inner.args else None
        if not isinstance(deeper, Exception):
            break
        inner = deeper
    text = str(inner)
    return re.sub(r"^(<.*?>|HTTPS?Connection\(.*?\)): ", "", text) or type(error).__name__
