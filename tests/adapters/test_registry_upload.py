"""Uploads that are interrupted, and registries that answer in their own ways."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from buildsys.adapters.registry_fault import RegistryFault
from tests.images import OCI_MANIFEST, Piece, random_bytes
from tests.registry_clients import Pauses, auth_file, client, fetch, opener
from tests.relays import cutting_relay
from tests.scripted_http import HANG_UP, Reply, Request, Scripted, scripted

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from buildsys.adapters.registry import RegistryClient
    from tests.registries import Registry

BLOB = Piece("", random_bytes(1_000_000))
CHUNK = 300_000


class Uploads:
    """A registry that takes one blob; `taking` tells how much of each body it takes before it hangs up."""

    def __init__(self, *taking: float) -> None:
        self.taking = list(taking)
        self.data = b""
        self.sessions = 0
        self.stored = False
        self.refuses: dict[str, list[Reply]] = {}
        self.base = ""

    def __call__(self, request: Request) -> Reply:
        if replies := self.refuses.get(request.method):
            return replies.pop(0)
        return getattr(self, request.method.lower())(request)  # type: ignore[no-any-return]

    def head(self, _: Request) -> Reply:
        return Reply(200 if self.stored else 404)

    def post(self, _: Request) -> Reply:
        self.sessions += 1
        self.data = b""
        return self._state(202)

    def get(self, _: Request) -> Reply:
        return self._state(204)

    def patch(self, request: Request) -> Reply:
        first, last = map(int, request.headers["Content-Range"].split("-"))
        if first != len(self.data):
            return self._state(416)
        assert last - first + 1 == len(request.body)
        return self._take(request.body) or self._state(202)

    def put(self, request: Request) -> Reply:
        assert parse_qs(urlsplit(request.path).query) == {"_state": ["x/y="], "digest": [BLOB.digest]}
        hung_up = self._take(request.body)
        self.stored = Piece("", self.data).digest == BLOB.digest
        return hung_up or Reply(201 if self.stored else 400)

    def _take(self, body: bytes) -> Reply | None:
        part = self.taking.pop(0) if self.taking else 1
        self.data += body[: int(len(body) * part)]
        return HANG_UP if part < 1 else None

    def _state(self, status: int) -> Reply:
        location = f"{self.base}/v2/a/b/blobs/uploads/{self.sessions}?_state=x%2Fy%3D"
        return Reply(status, headers={"Location": location, "Range": f"0-{max(0, len(self.data) - 1)}"})


def upload(target: RegistryClient, host: str, chunk: int = CHUNK, **more: Any) -> None:
    target.upload_blob(host, "a/b", BLOB.digest, len(BLOB.data), opener(BLOB.data), chunk=chunk, **more)


def ranges(server: Scripted) -> list[str]:
    return [r.headers["Content-Range"] for r in server.asked("PATCH")]


def test_in_pieces() -> None:
    uploads = Uploads()
    with scripted(uploads) as server, client(server.host) as target:
        upload(target, server.host)
        assert ranges(server) == ["0-299999", "300000-599999", "600000-899999", "900000-999999"]
        assert [r.method for r in server.requests] == ["POST", *["PATCH"] * 4, "PUT"]
    assert uploads.stored


def test_at_once() -> None:
    uploads = Uploads()
    with scripted(uploads) as server, client(server.host) as target:
        upload(target, server.host, chunk=len(BLOB.data))
        assert [(r.method, len(r.body)) for r in server.requests] == [("POST", 0), ("PUT", len(BLOB.data))]
    assert uploads.stored


def test_a_piece_that_arrived_in_part_goes_on_from_there() -> None:
    uploads, pauses, told = Uploads(1, 0.5, 0), Pauses(), list[int]()
    with scripted(uploads) as server, client(server.host, sleep=pauses) as target:
        upload(target, server.host, sent=told.append)
        assert ranges(server) == [
            "0-299999", "300000-599999",  # half of it arrives
            "450000-749999",  # nothing of it does
            "450000-749999", "750000-999999",
        ]  # fmt: skip
    assert uploads.stored
    assert uploads.sessions == 1
    assert len(pauses) == 2
    assert told[-1] == len(BLOB.data)


def test_a_session_that_is_lost_is_begun_anew() -> None:
    uploads = Uploads(1, 0.5)
    uploads.refuses["GET"] = [Reply(404)]
    with scripted(uploads) as server, client(server.host) as target:
        upload(target, server.host)
        assert ranges(server)[:3] == ["0-299999", "300000-599999", "0-299999"]
    assert (uploads.stored, uploads.sessions) == (True, 2)


def test_a_session_that_is_elsewhere_is_asked_where() -> None:
    uploads = Uploads()
    uploads.refuses["PATCH"] = [Reply(416)]
    with scripted(uploads) as server, client(server.host) as target:
        upload(target, server.host)
    assert (uploads.stored, uploads.sessions) == (True, 1)


@pytest.mark.parametrize("chunk", [CHUNK, len(BLOB.data)])
def test_a_last_answer_that_is_lost_costs_no_second_upload(chunk: int) -> None:
    uploads = Uploads(*[1] * (4 if chunk == CHUNK else 0), 0.999_999_9)

    def answer(request: Request) -> Reply:
        reply = uploads(request)
        if request.method == "PUT":
            uploads.data, uploads.stored = BLOB.data, True  # it has all, and dies before it says so
        return reply

    with scripted(answer) as server, client(server.host) as target:
        upload(target, server.host, chunk)
        assert len(server.asked("PUT")) == 1
    assert uploads.sessions == 1


def test_a_registry_that_takes_nothing_is_given_up() -> None:
    uploads, pauses = Uploads(*[0.0] * 9), Pauses()
    with scripted(uploads) as server, client(server.host, sleep=pauses, attempts=3) as target:
        with pytest.raises(RegistryFault, match=r"unreachable: .* \(3 attempts\)$") as caught:
            upload(target, server.host)
        assert len(server.asked("PATCH")) == 3
    assert (caught.value.kind, caught.value.transient, len(pauses)) == ("unreachable", True, 2)


@pytest.mark.parametrize(("status", "kind"), [(413, "too-large"), (403, "login"), (405, "refused"), (400, "refused")])
def test_a_clear_answer_is_taken_at_once(status: int, kind: str) -> None:
    uploads, pauses = Uploads(), Pauses()
    uploads.refuses["PATCH"] = [Reply(status)]
    with (
        scripted(uploads) as server,
        client(server.host, sleep=pauses) as target,
        pytest.raises(RegistryFault, match=f"answered {status}") as caught,
    ):
        upload(target, server.host)
    assert (caught.value.kind, pauses) == (kind, [])


def test_busy_is_waited_for_as_long_as_it_says() -> None:
    uploads, pauses = Uploads(), Pauses()
    for method in ("POST", "PATCH", "PUT"):
        uploads.refuses[method] = [Reply(429, headers={"Retry-After": "9"})]
    with scripted(uploads) as server, client(server.host, sleep=pauses) as target:
        upload(target, server.host)
    assert uploads.stored
    assert len(pauses) == 3
    assert all(9 <= pause <= 10 for pause in pauses)


def test_more_bytes_than_were_sent() -> None:
    uploads = Uploads()
    uploads.refuses["PATCH"] = [Reply(202, headers={"Location": "/x", "Range": "0-399999"})]
    with (
        scripted(uploads) as server,
        client(server.host) as target,
        pytest.raises(RegistryFault, match="has 400000 bytes where 300000 were sent"),
    ):
        upload(target, server.host)


def test_an_upload_elsewhere_goes_without_our_login(tmp_path: Path) -> None:
    uploads = Uploads()

    def registry(request: Request) -> Reply:
        if "Authorization" not in request.headers:
            return Reply(401, headers={"WWW-Authenticate": 'Basic realm="r"'})
        return uploads(request)

    with scripted(uploads) as storage, scripted(registry) as server:
        uploads.base = f"http://{storage.host}"
        login = auth_file(tmp_path / "auth", **{server.host: "bob:word"})
        with client(server.host, auth_files=(login,)) as target:
            upload(target, server.host)
        assert uploads.stored
        assert len(storage.requests) == 5
        assert not any("Authorization" in r.headers for r in storage.requests)


def test_a_registry_that_says_no_place() -> None:
    with (
        scripted(lambda _: Reply(202)) as server,
        client(server.host) as target,
        pytest.raises(RegistryFault, match="does not say where to upload to"),
    ):
        upload(target, server.host)


def test_an_interrupted_reader_ends_the_upload() -> None:
    class Stopped(Exception):
        pass

    def stop(sent: int) -> None:
        if sent > 400_000:
            raise Stopped

    uploads = Uploads()
    with scripted(uploads) as server, client(server.host) as target, pytest.raises(Stopped):
        upload(target, server.host, sent=stop)
    assert not uploads.stored


def test_a_manifest_that_is_put() -> None:
    manifest = Piece(OCI_MANIFEST, b"{}")
    good = Reply(201, headers={"Docker-Content-Digest": manifest.digest})
    lie = Reply(201, headers={"Docker-Content-Digest": "sha256:" + "0" * 64})
    unknown = Reply(400, b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}')
    left = [Reply(503), good, lie, unknown]
    with scripted(lambda _: left.pop(0)) as server, client(server.host) as target:
        assert target.put_manifest(server.host, "a/b", "v1", manifest.data, OCI_MANIFEST) == manifest.digest
        asked = server.requests[-1]
        assert (asked.path, asked.body) == ("/v2/a/b/manifests/v1", b"{}")
        assert asked.headers["Content-Type"] == OCI_MANIFEST
        with pytest.raises(RegistryFault, match="was stored as sha256:0000") as caught:
            target.put_manifest(server.host, "a/b", "v1", manifest.data, OCI_MANIFEST)
        assert caught.value.kind == "mismatch"
        with pytest.raises(RegistryFault, match="400 Bad Request: blob unknown to registry") as caught:
            target.put_manifest(server.host, "a/b", "v1", manifest.data, OCI_MANIFEST)
        assert (caught.value.kind, caught.value.status) == ("refused", 400)


def test_nothing_is_pushed_to_a_mirror() -> None:
    uploads = Uploads()
    with scripted(uploads) as server, scripted(lambda _: Reply(500)) as mirror:
        with client(server.host, mirrors=((server.host, f"http://{mirror.host}"),)) as target:
            assert not target.has_blob(server.host, "a/b", BLOB.digest)
            upload(target, server.host)
        assert mirror.requests == []


def test_a_real_registry_on_a_bad_line(plain_registry: Registry) -> None:
    data = random_bytes(4_000_000, "bad line")
    digest = Piece("", data).digest
    cuts = [1_500_000, 2_200_000, 500_000]
    with cutting_relay(plain_registry.host, cuts) as host, client(host) as both:
        both.upload_blob(host, "bad/line", digest, len(data), opener(data), chunk=1_000_000)
        assert cuts == [], "the line was good"
        cuts += [1_500_000, 1_700_000]
        assert fetch(both, host, "bad/line", digest, len(data)) == data
        assert cuts == [], "the line was good"
