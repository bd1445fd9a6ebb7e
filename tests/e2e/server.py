"""A real web server on the loopback interface: nginx with a configuration, folders and a log of its own."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.e2e.packages import tool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 128; }}
http {{
  log_format requests '$request_method $status $request_uri';
  access_log {folder}/access.log requests;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  types {{ }}
  default_type application/octet-stream;
  sendfile on;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""

SENTINEL = "/end-of-log-"


class Request(NamedTuple):
    """A line of the server's log."""

    method: str
    status: int
    path: str


class Nginx:
    """Serves the files below `root`; ended by its process id alone."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._sentinels = 0
        self._read = 0
        self.port = 0
        folder.mkdir(parents=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        for _ in range(5):  # the port is free when it is looked for, which is no promise
            self.port = _free_port()
            configuration = self._folder / "nginx.conf"
            configuration.write_text(CONFIGURATION.format(folder=self._folder, port=self.port, root=self._root))
            command = [tool("nginx"), "-p", str(self._folder), "-e", f"{self._folder}/error.log", "-c"]
            self._process = subprocess.Popen([*command, str(configuration)], stderr=subprocess.DEVNULL)
            if self._is_answering():
                return
            self.stop()
        raise AssertionError((self._folder / "error.log").read_text())

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)
            self._process = None

    def requests(self) -> list[Request]:
        """Return what was asked for since the last call, in the order the answers ended."""
        self._sentinels += 1
        last = f"{SENTINEL}{self._sentinels}"
        self._ask(last)
        deadline = time.monotonic() + 10
        while True:
            lines = (self._folder / "access.log").read_text().splitlines()
            if any(line.endswith(last) for line in lines):
                break
            assert time.monotonic() < deadline, "the server does not write its log"
            time.sleep(0.01)
        fresh = lines[self._read :]
        self._read = len(lines)
        found = [Request(method, int(status), path) for method, status, path in (line.split(" ", 2) for line in fresh)]
        return [request for request in found if not request.path.startswith(SENTINEL)]

    def _is_answering(self) -> bool:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            try:
                self._ask(f"{SENTINEL}0")
            except OSError:
                time.sleep(0.02)
            else:
                return True
        return False

    def _ask(self, path: str) -> None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            opener.open(self.url + path, timeout=5).close()
        except urllib.error.HTTPError as refused:
            refused.close()


@contextmanager
def serving(root: Path, folder: Path) -> Iterator[Nginx]:
    """Serve the files below `root` while the context lasts; the server's own files are in `folder`."""
    server = Nginx(root, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
