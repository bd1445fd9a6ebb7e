"""What real registries do rarely: storms, connections that die, wrong bytes, strange answers, other hosts."""

from __future__ import annotations

import gc
import hashlib
import re
import threading
import time
from typing import TYPE_CHECKING

import pytest

from buildsys.adapters.registry import RegistryClient
from buildsys.adapters.registry_fault import MAX_MANIFEST, RegistryFault
from buildsys.model.access import Access
from tests.images import OCI_MANIFEST, Piece, random_bytes
from tests.registries import free_port
from tests.registry_clients import Pauses, auth_file, client, fetch
from tests.scripted_http import HANG_UP, Reply, Request, scripted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from buildsys.adapters.registry import Manifest
    from buildsys.adapters.registry_blob import BlobBody

MANIFEST = Piece(OCI_MANIFEST, b'{"schemaVersion":2,"layers":[]}')
GOOD = Reply(200, MANIFEST.data, {"Content-Type": OCI_MANIFEST, "Docker-Content-Digest": MANIFEST.digest})
BLOB = Piece("", random_bytes(3_300_000))
TYPES = {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
}


def in_turn(*replies: Reply) -> Callable[[Request], Reply]:
    """Answer by each of `replies`, and by the last one from then on."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def ranged(request: Request, data: bytes = BLOB.data, cut: int | None = None) -> Reply:
    """Answer as a server does that knows ranges."""
    asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
    if not asked:
        return Reply(200, data, cut=cut)
    first = int(asked[1])
    return Reply(206, data[first:], {"Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"}, cut=cut)


def pulled(answer: Callable[[Request], Reply], ref: str = "v1", sleep: Pauses | None = None) -> Manifest:
    with scripted(answer) as server, client(server.host, sleep=sleep) as source:
        return source.manifest(server.host, "a/b", ref)


def refused(answer: Callable[[Request], Reply], ref: str = "v1", sleep: Pauses | None = None) -> RegistryFault:
    with pytest.raises(RegistryFault) as caught:
        pulled(answer, ref, sleep)
    return caught.value


def blob_of(host: str, source: RegistryClient, offset: int = 0) -> bytes:
    return fetch(source, host, "a/b", BLOB.digest, len(BLOB.data), offset)


def test_all_four_types_are_always_named_and_nothing_is_compressed() -> None:
    with scripted(lambda _: GOOD) as server, client(server.host) as source:
        source.manifest(server.host, "a/b", "v1")
        source.head_manifest(server.host, "a/b", "v1")
        asked = server.requests
    assert [(r.method, r.path) for r in asked] == [(method, "/v2/a/b/manifests/v1") for method in ("GET", "HEAD")]
    assert all(set(r.headers["Accept"].split(", ")) == TYPES for r in asked)
    assert all(r.headers["Accept-Encoding"] == "identity" and not r.headers["Authorization"] for r in asked)


def test_a_storm_of_429_is_waited_out() -> None:
    pauses = Pauses()
    storm = Reply(429, b'{"errors":[{"code":"TOOMANYREQUESTS","message":"pull rate limit"}]}', {"Retry-After": "7"})
    assert pulled(in_turn(storm, storm, storm, GOOD), sleep=pauses) == (MANIFEST.data, OCI_MANIFEST, MANIFEST.digest)
    assert len(pauses) == 3
    assert all(7 <= pause <= 8 for pause in pauses)
    pauses.clear()
    fault = refused(lambda _: storm, sleep=pauses)
    assert (fault.kind, fault.transient, len(pauses)) == ("rate-limited", True, 4)
    assert fault.message.endswith("the server answered 429 Too Many Requests: pull rate limit (5 attempts)")


def test_who_asks_to_come_back_tomorrow_is_not_waited_for() -> None:
    pauses = Pauses()
    fault = refused(lambda _: Reply(429, headers={"Retry-After": "21600"}), sleep=pauses)
    assert (fault.kind, pauses) == ("rate-limited", [])
    assert fault.message.endswith("429 Too Many Requests (and to come back in 21600 s)")


@pytest.mark.parametrize(
    "bad", [Reply(503), Reply(408), HANG_UP, GOOD._replace(cut=9), GOOD._replace(length=99, cut=31)]
)
def test_other_trouble_is_waited_out_longer_each_time(bad: Reply) -> None:
    pauses = Pauses()
    assert pulled(in_turn(bad, bad, bad, GOOD), sleep=pauses).data == MANIFEST.data
    for pause, least in zip(pauses, (0.5, 1.0, 2.0), strict=True):
        assert least * 0.75 <= pause <= least * 1.25


@pytest.mark.parametrize("status", [400, 403, 404, 405, 410])
def test_a_clear_answer_is_taken_at_once(status: int) -> None:
    pauses = Pauses()
    fault = refused(lambda _: Reply(status), sleep=pauses)
    assert (pauses, fault.transient, fault.status) == ([], False, status)


def test_nobody_there() -> None:
    pauses = Pauses()
    host = f"127.0.0.1:{free_port()}"
    with client(host, sleep=pauses, attempts=3) as source, pytest.raises(RegistryFault) as caught:
        source.manifest(host, "a/b", "v1")
    assert (caught.value.kind, caught.value.transient, len(pauses)) == ("unreachable", True, 2)
    assert caught.value.message.startswith(f"{host}: unreachable: ")
    assert caught.value.message.endswith("Connection refused (3 attempts)")


def test_bytes_that_are_not_what_was_asked_for() -> None:
    other = "sha256:" + "0" * 64
    fault = refused(lambda _: Reply(200, MANIFEST.data, {"Content-Type": OCI_MANIFEST}), ref=other)
    assert fault.kind == "mismatch"
    assert fault.message.endswith(f"the manifest {other} arrived with the digest {MANIFEST.digest}, not {other}")
    lie = Reply(200, MANIFEST.data, {"Content-Type": OCI_MANIFEST, "Docker-Content-Digest": other})
    assert refused(lambda _: lie).kind == "mismatch"
    assert pulled(lambda _: GOOD, ref=MANIFEST.digest).digest == MANIFEST.digest
    longer = "sha512:" + hashlib.sha512(MANIFEST.data).hexdigest()
    assert pulled(lambda _: GOOD, ref=longer).digest == longer


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"{" + b" " * MAX_MANIFEST + b"}", length=-1),
        Reply(200, b"{}", length=MAX_MANIFEST + 1, cut=2),
    ],
)
def test_a_manifest_that_is_too_large(reply: Reply) -> None:
    fault = refused(lambda _: reply)
    assert (fault.kind, fault.transient) == ("too-large", False)
    assert fault.message.endswith("the manifest v1 has more than 4 MiB")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"{}", {"Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws"}),
        Reply(200, b'{"schemaVersion": 1, "fsLayers": []}', {"Content-Type": "application/json"}),
    ],
)
def test_schema_1_is_refused(reply: Reply) -> None:
    fault = refused(lambda _: reply)
    assert (fault.kind, fault.transient) == ("schema-1", False)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"[" * 100_000, b"\xff"])
def test_what_is_no_manifest(body: bytes) -> None:
    fault = refused(lambda _: Reply(200, body, {"Content-Type": "text/html"}))
    assert fault.kind == "refused"
    assert fault.message.endswith("what it has as the manifest v1 is no JSON object")


def test_the_media_type_is_what_the_manifest_says_else_what_the_server_says() -> None:
    own = Piece("", b'{"schemaVersion":2,"mediaType":"application/x"}')
    assert pulled(lambda _: Reply(200, own.data, {"Content-Type": OCI_MANIFEST})).media_type == "application/x"
    bare = Reply(200, MANIFEST.data, {"Content-Type": f"{OCI_MANIFEST}; charset=utf-8"})
    assert pulled(lambda _: bare).media_type == OCI_MANIFEST


@pytest.mark.parametrize("head", [Reply(405), Reply(501), Reply(400), Reply(200), GOOD._replace(headers={})])
def test_a_server_that_knows_no_head_is_asked_by_get(head: Reply) -> None:
    with scripted(lambda r: head if r.method == "HEAD" else GOOD) as server, client(server.host) as source:
        assert source.head_manifest(server.host, "a/b", "v1") == (MANIFEST.digest, OCI_MANIFEST, len(MANIFEST.data))
        assert len(server.asked("GET")) == 1


def test_head_that_names_another_digest() -> None:
    with scripted(lambda _: GOOD) as server, client(server.host) as source:
        with pytest.raises(RegistryFault, match="asked for the manifest sha256:0000") as caught:
            source.head_manifest(server.host, "a/b", "sha256:" + "0" * 64)
        assert caught.value.kind == "mismatch"


def test_a_blob_goes_on_where_it_broke_off() -> None:
    with scripted(lambda r: ranged(r, cut=1_200_000)) as server, client(server.host, attempts=2) as source:
        assert blob_of(server.host, source) == BLOB.data
        asked = [r.headers["Range"] for r in server.asked("GET")]
    assert asked == [None, "bytes=1200000-", "bytes=2400000-"]


def test_a_body_that_brings_nothing_more_is_given_up() -> None:
    pauses = Pauses()

    def answer(request: Request) -> Reply:
        return ranged(request, cut=700_000 if "Range" not in request.headers else 10)

    with (
        scripted(answer) as server,
        client(server.host, sleep=pauses, attempts=4) as source,
        pytest.raises(RegistryFault, match=r"broke off at byte 700030 of 3300000 \(4 attempts\)") as caught,
    ):
        blob_of(server.host, source)
    assert (caught.value.kind, caught.value.transient, len(pauses)) == ("unreachable", True, 3)


def test_a_server_that_ignores_ranges_is_read_again() -> None:
    replies = in_turn(Reply(200, BLOB.data, cut=1_500_000), Reply(200, BLOB.data))
    with scripted(replies) as server, client(server.host) as source:
        assert blob_of(server.host, source) == BLOB.data
        assert blob_of(server.host, source, 1_100_001) == BLOB.data[1_100_001:]


def test_the_body_of_416_is_not_read() -> None:
    gone = Reply(416, b"short", {"Content-Range": f"bytes */{len(BLOB.data)}"}, length=len(BLOB.data))
    other = gone._replace(headers={"Content-Range": "bytes */5"})
    for reply, reason in (
        (gone, "does not answer with the bytes from 9 on"),
        (other, "has 5 bytes there, not 3300000"),
    ):
        with scripted(reply) as server, client(server.host) as source:
            with pytest.raises(RegistryFault, match=reason) as caught:
                blob_of(server.host, source, 9)
            assert caught.value.kind == "mismatch"


def test_another_range_than_was_asked_for() -> None:
    wrong = Reply(206, BLOB.data[5:], {"Content-Range": f"bytes 5-{len(BLOB.data) - 1}/{len(BLOB.data)}"})
    for reply in (wrong, wrong._replace(headers={})):
        with (
            scripted(reply) as server,
            client(server.host) as source,
            pytest.raises(RegistryFault, match="does not answer with the bytes from 9 on"),
        ):
            blob_of(server.host, source, 9)


def test_more_bytes_than_the_blob_has_are_not_given() -> None:
    with scripted(lambda _: Reply(200, BLOB.data + b"x", length=-1)) as server, client(server.host) as source:
        given: list[bytes] = []
        with (
            source.blob(server.host, "a/b", BLOB.digest, len(BLOB.data)) as body,
            pytest.raises(RegistryFault, match="has more bytes there") as caught,
        ):
            given.extend(body)
        assert caught.value.kind == "mismatch"
        assert BLOB.data.startswith(b"".join(given))


def test_a_blob_with_other_bytes() -> None:
    with scripted(lambda _: Reply(200, bytes(len(BLOB.data)))) as server, client(server.host) as source:
        with pytest.raises(RegistryFault, match=f"the blob {BLOB.digest} arrived as sha256:") as caught:
            blob_of(server.host, source)
        assert (caught.value.kind, caught.value.transient) == ("mismatch", False)


def test_a_redirect_to_another_host_takes_the_range_and_no_login(tmp_path: Path) -> None:
    challenge = Reply(401, headers={"WWW-Authenticate": 'Basic realm="r"'})

    def registry(request: Request) -> Reply:
        if "Authorization" not in request.headers:
            return challenge
        if request.path.startswith("/v2/"):
            return Reply(307, b"see there", {"Location": "/within?a=b"})
        return Reply(302, headers={"Location": f"http://{elsewhere.host}/signed?x=%2F"})

    with scripted(ranged) as elsewhere, scripted(registry) as server:
        login = auth_file(tmp_path / "auth", **{server.host: "bob:word", elsewhere.host: "eve:eve"})
        with client(server.host, auth_files=(login,)) as source:
            assert blob_of(server.host, source, 3_000_000) == BLOB.data[3_000_000:]
        asked = elsewhere.requests
        assert [(r.path, r.headers["Range"]) for r in asked] == [("/signed?x=%2F", "bytes=3000000-")]
        assert "Authorization" not in asked[0].headers
        assert [r.path.partition("?")[0] for r in server.requests if "Authorization" in r.headers] == [
            f"/v2/a/b/blobs/{BLOB.digest}",
            "/within",
        ]


def test_what_another_host_refuses_is_not_our_login() -> None:
    with scripted(lambda _: Reply(403)) as elsewhere:
        there = Reply(307, headers={"Location": f"http://{elsewhere.host}/x"})
        with (
            scripted(lambda _: there) as server,
            client(server.host) as source,
            pytest.raises(RegistryFault, match=f"sent us to {elsewhere.host}: the server answered 403") as caught,
        ):
            blob_of(server.host, source)
    assert caught.value.kind == "refused"


@pytest.mark.parametrize(
    ("target", "reason"),
    [("ftp://x.test/y", "'ftp://x.test/y', which is no address"), ("/again", "the server answered 302 Found")],
)
def test_a_redirect_that_leads_nowhere(target: str, reason: str) -> None:
    fault = refused(lambda _: Reply(302, headers={"Location": target}))
    assert fault.kind == "refused"
    assert reason in fault.message


def test_a_mirror_is_asked_first_and_the_registry_when_it_has_not_what_is_wanted() -> None:
    with (
        scripted(lambda _: GOOD) as upstream,
        scripted(lambda _: Reply(404)) as second,
        scripted(lambda _: GOOD) as first,
    ):
        mirrors = ((upstream.host, f"http://{first.host}/hub"), (upstream.host, f"http://{second.host}"))
        with client(upstream.host, mirrors=mirrors) as source:
            assert source.manifest(upstream.host, "a/b", "v1").data == MANIFEST.data
            assert [r.path for r in first.requests] == ["/v2/hub/a/b/manifests/v1"]
            assert not second.requests
        with client(upstream.host, mirrors=mirrors[1:]) as source:
            assert source.manifest(upstream.host, "a/b", "v1").data == MANIFEST.data
            assert len(second.requests) == len(upstream.requests) == 1


def test_a_mirror_that_is_away_is_asked_last_from_then_on() -> None:
    dead = f"127.0.0.1:{free_port()}"
    pauses = Pauses()
    with (
        scripted(lambda r: GOOD if r.path.endswith("v1") else Reply(404)) as server,
        client(server.host, sleep=pauses, mirrors=((server.host, f"http://{dead}"),)) as source,
    ):
        assert source.manifest(server.host, "a/b", "v1").data == MANIFEST.data
        assert source.head_manifest(server.host, "a/b", "v2") is None
        with pytest.raises(RegistryFault, match=r"404 Not Found$") as caught:
            source.manifest(server.host, "a/b", "v2")
    assert pauses == [], "nothing was waited for"
    assert caught.value.kind == "missing"
    assert [note.partition(": ")[0] for note in caught.value.notes] == [dead]


def test_a_mirror_that_hangs_up_is_not_asked_again_while_the_registry_answers() -> None:
    with scripted(GOOD) as server, scripted(HANG_UP) as mirror:
        with client(server.host, mirrors=((server.host, f"http://{mirror.host}"),)) as source:
            for _ in range(3):
                source.manifest(server.host, "a/b", "v1")
        assert (len(mirror.requests), len(server.requests)) == (1, 3)


def test_a_mirror_that_has_not_what_is_wanted_is_not_asked_twice() -> None:
    with scripted(in_turn(Reply(503), Reply(503), GOOD)) as server, scripted(Reply(404)) as mirror:
        with client(server.host, mirrors=((server.host, f"http://{mirror.host}"),)) as source:
            source.manifest(server.host, "a/b", "v1")
        assert (len(mirror.requests), len(server.requests)) == (1, 3)


def test_of_a_mirror_and_a_registry_that_are_away_the_registry_is_told() -> None:
    hosts = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    with (
        client(hosts[0], mirrors=((hosts[0], f"http://{hosts[1]}"),)) as source,
        pytest.raises(RegistryFault) as caught,
    ):
        source.manifest(hosts[0], "a/b", "v1")
    assert caught.value.message.startswith(f"{hosts[0]}: unreachable")
    assert [note.partition(": ")[:2] for note in caught.value.notes] == [(hosts[1], ": ")]


def test_a_mirror_with_wrong_bytes_gives_way_to_the_registry() -> None:
    with (
        scripted(ranged) as server,
        scripted(lambda _: Reply(200, bytes(len(BLOB.data)))) as liar,
        client(server.host, mirrors=((server.host, f"http://{liar.host}"),)) as source,
    ):
        with pytest.raises(RegistryFault, match=f"^{liar.host}: a/b: the blob") as caught:
            blob_of(server.host, source)
        assert (caught.value.kind, caught.value.transient) == ("mismatch", True)
        assert blob_of(server.host, source) == BLOB.data


def test_what_was_here_before_may_be_what_is_wrong() -> None:
    with scripted(ranged) as server, client(server.host) as source:
        with source.blob(server.host, "a/b", BLOB.digest, len(BLOB.data), 1000) as body:
            wrong = hashlib.sha256(bytes(1000) + b"".join(body)).hexdigest()
            with pytest.raises(RegistryFault, match=f"as sha256:{wrong}, with 1000 bytes that were here") as caught:
                body.check(wrong)
        assert (caught.value.kind, caught.value.transient) == ("mismatch", True)
        assert blob_of(server.host, source) == BLOB.data


def test_a_mirror_that_dies_half_way_gives_way_to_the_registry() -> None:
    replies = in_turn(Reply(200, BLOB.data, cut=2_000_000), HANG_UP)
    with scripted(ranged) as server, scripted(replies) as mirror:
        with client(server.host, mirrors=((server.host, f"http://{mirror.host}"),)) as source:
            assert blob_of(server.host, source) == BLOB.data
        assert [r.headers["Range"] for r in server.requests] == ["bytes=2000000-"]


def test_no_more_requests_at_a_time_than_allowed() -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def answer(_: Request) -> Reply:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1
        return GOOD

    with scripted(answer) as server, client(server.host, at_once=3) as source:
        threads = [threading.Thread(target=source.manifest, args=(server.host, "a/b", "v1")) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.requests) == 12
    assert most[0] == 3


def test_connections_are_used_again() -> None:
    def answer(request: Request) -> Reply:
        return GOOD if request.path.endswith("v1") else Reply(404, b'{"errors":[]}')

    with scripted(answer) as server, client(server.host) as source:
        for ref in ("v1", "v2", "v1"):
            source.head_manifest(server.host, "a/b", ref)
        source.manifest(server.host, "a/b", "v1")
    assert len(server.ports) == 1


def test_cookies_and_netrc_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login bob password word\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    sticky = GOOD._replace(headers={**GOOD.headers, "Set-Cookie": "a=b; Path=/"})
    with scripted(lambda _: sticky) as server, client(server.host) as source:
        for _ in range(2):
            source.manifest(server.host, "a/b", "v1")
        assert not any("Cookie" in r.headers or "Authorization" in r.headers for r in server.requests)


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with scripted(lambda _: GOOD) as proxy, client("registry.test") as source:
        monkeypatch.setenv("http_proxy", f"http://{proxy.host}")
        assert source.manifest("registry.test", "a/b", "v1").data == MANIFEST.data
        assert [r.path for r in proxy.requests] == ["http://registry.test/v2/a/b/manifests/v1"]


def test_a_body_is_ended_from_another_thread() -> None:
    silence = threading.Event()
    faults: list[RegistryFault] = []
    arrived = threading.Event()

    def read(body: BlobBody) -> None:
        try:
            for _ in body:
                arrived.set()
        except RegistryFault as fault:
            faults.append(fault)

    with (
        scripted(lambda _: Reply(200, BLOB.data, cut=2_000_000, hold=silence)) as server,
        client(server.host) as source,
    ):
        try:
            with source.blob(server.host, "a/b", BLOB.digest, len(BLOB.data)) as body:
                reader = threading.Thread(target=read, args=(body,))
                reader.start()
                assert arrived.wait(20)
                body.abort()
                reader.join(20)
                assert not reader.is_alive(), "it still waits for the server"
        finally:
            silence.set()
        assert len(server.requests) == 1
    assert [fault.message.rpartition(": ")[2] for fault in faults] == ["given up"]


def test_clients_that_wait_in_another_way_share_the_rest() -> None:
    pauses = Pauses()
    with (
        scripted(in_turn(Reply(503), GOOD)) as server,
        RegistryClient(Access(insecure=frozenset({server.host}))) as one,
    ):
        assert one.waiting_by(pauses).manifest(server.host, "a/b", "v1").data == MANIFEST.data
    assert len(pauses) == 1


def test_closing_ends_all_connections() -> None:
    gc.disable()
    try:
        with scripted(in_turn(Reply(503), Reply(200, BLOB.data))) as server:
            with client(server.host) as source:
                assert blob_of(server.host, source) == BLOB.data
            deadline = time.monotonic() + 10
            while server.open and time.monotonic() < deadline:
                time.sleep(0.01)
            assert not server.open
    finally:
        gc.enable()
