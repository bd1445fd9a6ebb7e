"""A read-only registry over HTTP: the pulling half of the OCI distribution spec 1.1, straight out of the store.

Nothing is copied: a blob is read from its file in the store while it is sent. Whatever would write is answered 405.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import parse_qs, urlsplit

from buildsys.errors import EnvironmentFault
from buildsys.model.digest import CHUNK, is_digest
from buildsys.oci import manifest as manifests
from buildsys.oci.manifest import ManifestFault
from buildsys.store.cas import BlobMissing

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildsys.model.digest import Digest
    from buildsys.serve.contents import Contents, Repository

_PATH = re.compile(r"/v2/(?P<name>.+?)/(?P<kind>manifests|blobs|tags)/(?P<ref>[^/]+)")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
IDLE_SECONDS: float | None = 60.0
"""How long a client may keep a connection without asking."""


class RegistryServer(ThreadingHTTPServer):
    """The server; `contents` is what it has, `open_blob` opens a blob of the store, `log` is told each request."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        contents: Contents,
        open_blob: Callable[[Digest], BinaryIO],
        log: Callable[[str], None],
    ) -> None:
        """Begin to listen. Raises `EnvironmentFault` B507 where that cannot be."""
        self.contents = contents
        self.open_blob = open_blob
        self.log = log
        try:
            super().__init__(address, _Handler)
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise EnvironmentFault(
                "B507",
                f"cannot listen on {address[0]}:{address[1]}: {reason}",
                hint="choose another port: --port=5001, or --port=0 for any that is free",
            ) from error

    @property
    def url(self) -> str:
        """The address to ask."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS

    @property
    def _server(self) -> RegistryServer:
        return cast("RegistryServer", self.server)

    def version_string(self) -> str:
        return "buildsys"

    def do_GET(self) -> None:
        self._serve(with_body=True)

    def do_HEAD(self) -> None:
        self._serve(with_body=False)

    def _serve(self, *, with_body: bool) -> None:
        try:
            self._answer(with_body=with_body)
        except BlobMissing as missing:
            message = f"sha256:{missing.digest} is not in the store any more: build again"
            self._error(HTTPStatus.INTERNAL_SERVER_ERROR, "UNKNOWN", message)

    def _refuse(self) -> None:
        self.close_connection = True  # what was sent is not read
        self._error(HTTPStatus.METHOD_NOT_ALLOWED, "UNSUPPORTED", "this registry is read-only")

    do_POST = do_PUT = do_PATCH = do_DELETE = _refuse  # noqa: N815 - the names are the library's

    def _answer(self, *, with_body: bool) -> None:
        parts = urlsplit(self.path)
        contents = self._server.contents
        if parts.path in {"/v2", "/v2/"}:
            self._send(b"{}", "application/json", with_body=with_body)
            return
        if parts.path == "/v2/_catalog":
            names = _page(sorted(contents.repositories), parts.query)
            self._send(_json({"repositories": names}), "application/json", with_body=with_body)
            return
        match = _PATH.fullmatch(parts.path)
        if match is None:
            self._error(HTTPStatus.NOT_FOUND, "NOT_FOUND", "this is no address of a registry")
            return
        name, kind, ref = match.group("name", "kind", "ref")
        repository = contents.repositories.get(name)
        if repository is None:
            self._error(HTTPStatus.NOT_FOUND, "NAME_UNKNOWN", f"there is no repository {name}")
        elif kind == "tags":
            body = _json({"name": name, "tags": _page(sorted(repository.tags), parts.query)})
            self._send(body, "application/json", with_body=with_body)
        elif kind == "manifests":
            self._manifest(repository, ref, with_body=with_body)
        else:
            self._blob(repository, ref, with_body=with_body)

    def _manifest(self, repository: Repository, ref: str, *, with_body: bool) -> None:
        digest = ref.removeprefix("sha256:") if ref.startswith("sha256:") else repository.tags.get(ref, "")
        if digest not in repository.manifests:
            self._error(HTTPStatus.NOT_FOUND, "MANIFEST_UNKNOWN", f"there is no manifest {ref}")
            return
        with self._server.open_blob(digest) as stream:
            data = stream.read()
        try:
            kind = manifests.parse(data).media_type
        except ManifestFault:
            kind = "application/octet-stream"
        self._send(data, kind, digest, with_body=with_body)

    def _blob(self, repository: Repository, ref: str, *, with_body: bool) -> None:
        digest = ref.removeprefix("sha256:")
        if not is_digest(digest) or digest not in repository.blobs:
            self._error(HTTPStatus.NOT_FOUND, "BLOB_UNKNOWN", f"there is no blob {ref}")
            return
        with self._server.open_blob(digest) as stream:
            size = stream.seek(0, 2)
            wanted = self._wanted(size)
            if wanted is None:
                self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
                self._headers("application/octet-stream", 0, {"Content-Range": f"bytes */{size}"})
                return
            first, last = wanted
            more = {"Accept-Ranges": "bytes"}
            if (first, last) != (0, size - 1) or "Range" in self.headers:
                more["Content-Range"] = f"bytes {first}-{last}/{size}"
                self.send_response(HTTPStatus.PARTIAL_CONTENT)
            else:
                self.send_response(HTTPStatus.OK)
            self._headers("application/octet-stream", last - first + 1, more, digest)
            stream.seek(first)
            left = last - first + 1 if with_body else 0
            while left > 0 and (chunk := stream.read(min(CHUNK, left))):
                self.wfile.write(chunk)
                left -= len(chunk)

    def _wanted(self, size: int) -> tuple[int, int] | None:
        """Return the first and the last byte that are asked for (RFC 9110 section 14.2); None where there are none."""
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        if match is None:
            return 0, size - 1
        first = int(match[1])
        last = min(int(match[2]), size - 1) if match[2] else size - 1
        return (first, last) if first <= last else None

    def _send(self, data: bytes, kind: str, digest: Digest = "", *, with_body: bool) -> None:
        self.send_response(HTTPStatus.OK)
        self._headers(kind, len(data), {}, digest)
        if with_body:
            self.wfile.write(data)

    def _headers(self, kind: str, length: int, more: dict[str, str], digest: Digest = "") -> None:
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        if digest:
            self.send_header("Docker-Content-Digest", f"sha256:{digest}")
            self.send_header("ETag", f'"sha256:{digest}"')
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()

    def _error(self, status: HTTPStatus, code: str, message: str) -> None:
        body = _json({"errors": [{"code": code, "message": message}]})
        self.send_response(status)
        self._headers("application/json", len(body), {})
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        self._server.log(format % args)


def _page(names: list[str], query: str) -> list[str]:
    """Return the part of a list that a query asks for (distribution spec, "Listing Tags"): `n` after `last`."""
    asked = parse_qs(query)
    last, count = asked.get("last", [""])[0], asked.get("n", [""])[0]
    found = [name for name in names if name > last] if last else names
    return found[: int(count)] if count.isdigit() else found


def _json(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
