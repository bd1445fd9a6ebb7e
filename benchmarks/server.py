"""The mirror's HTTP server, on loopback: a process of its own that counts requests and bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from types import TracebackType

COUNTS = "/-/counts"


class Counts(NamedTuple):
    """Requests answered and bytes of bodies sent, since the server started."""

    requests: int
    sent: int

    def since(self, before: Counts) -> Counts:
        """Return what has been added."""
        return Counts(self.requests - before.requests, self.sent - before.sent)


class Server:
    """A server for the files of a folder; as a context, it ends with it (and with this process)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        command = [sys.executable, "-m", "benchmarks.server", str(self._folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()  # closes its input, which ends it

    def counts(self) -> Counts:
        """Return what was counted."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url + COUNTS) as answer:
            return Counts(*json.load(answer))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    folder = ""
    counted = threading.Lock()
    requests = 0
    sent = 0

    def do_GET(self) -> None:
        kind = type(self)
        if self.path == COUNTS:
            self._begin(200, len(body := json.dumps([kind.requests, kind.sent]).encode()))
            self.wfile.write(body)
            return
        sent = 0
        path = os.path.join(self.folder, os.path.basename(self.path))
        try:
            with open(path, "rb") as stream:
                self._begin(200, os.fstat(stream.fileno()).st_size)
                self.wfile.flush()
                sent = self.connection.sendfile(stream)
        except FileNotFoundError:
            self._begin(404, 0)
        with self.counted:
            kind.requests += 1
            kind.sent += sent

    def _begin(self, status: int, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library names it
        """Say nothing."""


def main() -> None:
    """Serve the folder named until the input ends; print the port."""
    _Handler.folder = sys.argv[1]
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
