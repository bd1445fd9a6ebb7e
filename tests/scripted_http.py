"""A small HTTP server on loopback that does what a test tells it: for what no real server can be made to do."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping
    from email.message import Message


class Request(NamedTuple):
    """What has arrived."""

    method: str
    path: str
    headers: Message
    body: bytes


class Reply(NamedTuple):
    """What to answer. The length that is stated is `length`, or else that of the body; -1 states none.

    After `cut` bytes it hangs up, once `hold` is set.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}
    length: int | None = None
    cut: int | None = None
    hold: threading.Event | None = None


class Scripted:
    """The server: `host` is its name and port, `requests` what it was asked, in order.

    `ports` are those it was ever asked from, `open` those of connections that have not ended.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self.requests: list[Request] = []
        self.ports: set[int] = set()
        self.open: set[int] = set()

    def asked(self, method: str, ending: str = "") -> list[Request]:
        """Return the requests of a method whose path, without query, ends so."""
        return [r for r in self.requests if r.method == method and r.path.partition("?")[0].endswith(ending)]


HANG_UP = Reply(status=0)
"""No answer at all."""


@contextmanager
def scripted(answer: Callable[[Request], Reply] | Reply, *, tls: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    """Run a server that answers each request by `answer`, which may be called by several threads."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout: ClassVar[float | None] = 20

        def setup(self) -> None:
            super().setup()
            with lock:
                server.ports.add(self.client_address[1])
                server.open.add(self.client_address[1])

        def finish(self) -> None:
            super().finish()
            with lock:
                server.open.discard(self.client_address[1])

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:
                self.close_connection = True  # the other side has gone

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            request = Request(self.command, self.path, self.headers, self.rfile.read(length))
            with lock:
                server.requests.append(request)
            reply = answer if isinstance(answer, Reply) else answer(request)
            if reply.status == 0:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            stated = len(reply.body) if reply.length is None else reply.length
            if stated >= 0:
                self.send_header("Content-Length", str(stated))
            self.end_headers()
            if request.method != "HEAD":
                self.wfile.write(reply.body if reply.cut is None else reply.body[: reply.cut])
            if reply.hold is not None:
                self.wfile.flush()
                reply.hold.wait(60)
            if reply.cut is not None or stated < 0:
                self.close_connection = True

        do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - so the library wants them

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        server = Scripted(f"127.0.0.1:{listener.server_address[1]}")
        if tls is not None:
            listener.socket = tls.wrap_socket(listener.socket, server_side=True)
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()
