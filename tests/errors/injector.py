"""A fault injector: a server on the loopback interface that misbehaves in the way its path says.

/ok/NAME            the bytes of NAME: its name, repeated to 200 kB, with an ETag and ranges
/status/CODE        that status code
/html, /empty       an HTML page, nothing
/short/N/NAME       a body that ends after N bytes though more were announced, ranges refused
/flaky/KEY/NAME     500 the first time KEY is asked for, then the bytes
/breaks/KEY/NAME    breaks off in the middle the first time, resumes from the offset asked for afterwards
/stall/NAME         sends the first half, then nothing for as long as the client waits
/hangup             closes the connection without an answer
/v2/MODE/...        an image registry (see `registry.py`)
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from tests.errors.registry import answer, answer_push

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 200_000


def content(name: str) -> bytes:
    """Return the bytes that the server has under a name."""
    line = f"{name}\n".encode()
    return (line * (SIZE // len(line) + 1))[:SIZE]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: dict[str, int]
    ended: threading.Event

    def do_GET(self) -> None:
        self.close_connection = True
        kind, *rest = self.path.strip("/").split("/")
        data = content(rest[-1]) if rest else b""
        if kind == "ok":
            self._body(data, resumable=True)
        elif kind == "status":
            self._answer(int(rest[0]), b"sorry\n")
        elif kind == "html":
            self._answer(200, b"<!DOCTYPE html><html><title>Sign in</title></html>\n")
        elif kind == "text":
            self._answer(200, b"Not Found")
        elif kind == "empty":
            self._answer(200, b"")
        elif kind == "short":
            self._body(data, cut=int(rest[0]))
        elif kind in {"flaky", "breaks"}:
            first = not self.asked.get(self.path)
            self.asked[self.path] = 1
            if kind == "flaky" and first:
                self._answer(500, b"")
            else:
                self._body(data, cut=len(data) // 2 if first else None, resumable=True)
        elif kind == "stall":
            self._body(data * 20, cut=len(data) * 10)  # more than is read at a time
            self.ended.wait(60)
        elif kind == "v2":
            self._registry("/".join(rest))

    do_HEAD = do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815 - the names are the library's

    def _registry(self, path: str) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = answer_push(self.command, path) or answer(path, dict(self.headers.items()), self.asked)
        self.send_response(found.status)
        self.send_header("Content-Length", str(len(found.body) if found.length is None else found.length))
        self.send_header("Connection", "close")
        for name, value in found.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(OSError):  # who is told the length may hang up at once
                self.wfile.write(found.body)

    def _answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _body(self, data: bytes, *, cut: int | None = None, resumable: bool = False) -> None:
        start = 0
        wanted = self.headers.get("Range", "")
        if resumable and wanted.startswith("bytes="):
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if resumable:
            self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.write(data[start:cut])
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Keep quiet."""


@contextmanager
def serving() -> Iterator[str]:
    """Run a fault injector; gives its address."""
    ended = threading.Event()
    handler = type("Handler", (_Handler,), {"asked": {}, "ended": ended})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            ended.set()
            server.shutdown()
            thread.join()
