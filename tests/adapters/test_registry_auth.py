"""Challenges, and whom a login or a token is sent to."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from buildsys.adapters.docker_config import Logins
from buildsys.adapters.registry_access import own_endpoint
from buildsys.adapters.registry_auth import Doorkeeper, challenges
from buildsys.adapters.registry_fault import RegistryFault
from buildsys.adapters.registry_wire import Wire
from buildsys.model.access import Access
from tests.images import OCI_MANIFEST, Piece
from tests.registries import make_authority, sign
from tests.registry_clients import Pauses, auth_file, client
from tests.scripted_http import Reply, Request, Scripted, scripted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MANIFEST = Piece(OCI_MANIFEST, b'{"schemaVersion":2}')
GOOD = Reply(200, MANIFEST.data, {"Content-Type": OCI_MANIFEST})
REFUSED = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'


class Door:
    """A registry whose tokens are numbered: it lets in who shows the newest one."""

    def __init__(self) -> None:
        self.realm = ""
        self.scope = ""
        self.issued = 0
        self.current = 1
        self.life: object = 300

    def token(self, request: Request) -> Reply:
        self.issued += 1
        self.current = self.issued
        return Reply(200, json.dumps({"token": f"t{self.issued}", "expires_in": self.life}).encode())

    def registry(self, request: Request) -> Reply:
        if request.headers.get("Authorization") == f"Bearer t{self.current}":
            return GOOD
        challenge = f'Bearer realm="{self.realm}",service="s"' + (f',scope="{self.scope}"' if self.scope else "")
        return Reply(401, REFUSED, {"WWW-Authenticate": challenge})


def scopes(request: Request) -> list[str]:
    return parse_qs(urlsplit(request.path).query)["scope"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("Basic", [("basic", {})]),
        ('basic Realm="a b"', [("basic", {"realm": "a b"})]),
        (
            'Bearer realm="https://auth.test/t?x=1",service=reg.test,scope="repository:a:pull aws"',
            [("bearer", {"realm": "https://auth.test/t?x=1", "service": "reg.test", "scope": "repository:a:pull aws"})],
        ),
        ('Negotiate abc==, Basic realm="q\\"uoted"', [("basic", {"realm": 'q"uoted'})]),
        (
            'Basic realm="a", Bearer realm = "b" , error="c,d"',
            [("basic", {"realm": "a"}), ("bearer", {"realm": "b", "error": "c,d"})],
        ),
        ('Bearer realm=r, scope="x:a:pull,push"', [("bearer", {"realm": "r", "scope": "x:a:pull,push"})]),
        ('realm="nothing before"', []),
        ('Bearer realm="never', [("bearer", {})]),
    ],
)  # fmt: skip
def test_challenges(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert challenges(header) == expected


def run(door: Door, use: Callable[[Scripted, Scripted], None]) -> None:
    """Run the two servers of a door."""
    with scripted(door.token) as service, scripted(door.registry) as server:
        door.realm = f"http://{service.host}/token"
        use(server, service)


def test_a_token_serves_a_repository_and_no_other() -> None:
    door = Door()

    def use(server: Scripted, service: Scripted) -> None:
        with client(server.host) as source:
            for _ in range(3):
                source.manifest(server.host, "a/b", "v1")
            source.manifest(server.host, "c", "v1")
        assert [scopes(r) for r in service.requests] == [["repository:a/b:pull"], ["repository:c:pull"]]
        assert parse_qs(urlsplit(service.requests[0].path).query)["service"] == ["s"]
        assert len(server.requests) == 1 + 4, "the registry had to ask once"

    run(door, use)


def test_a_token_that_is_refused_is_renewed_once() -> None:
    door = Door()

    def use(server: Scripted, service: Scripted) -> None:
        with client(server.host) as source:
            source.manifest(server.host, "a/b", "v1")
            door.current = 99  # the token is revoked
            source.manifest(server.host, "a/b", "v1")
            assert door.issued == 2

    run(door, use)


def test_a_token_that_does_not_help_is_not_asked_for_for_ever() -> None:
    with scripted(lambda _: Reply(200, b'{"access_token":"useless"}')) as service:
        refusal = Reply(401, REFUSED, {"WWW-Authenticate": f'Bearer realm="http://{service.host}/token"'})
        with scripted(lambda _: refusal) as server, client(server.host) as source:
            with pytest.raises(RegistryFault, match="authentication required; there is no login for it") as caught:
                source.manifest(server.host, "a/b", "v1")
            assert caught.value.kind == "login"
            assert (len(server.requests), len(service.requests)) == (2, 1)


def test_what_the_registry_asks_for_beside_our_scope_is_asked_for_too() -> None:
    door = Door()
    door.scope = "aws repository:a/b:pull"

    def use(server: Scripted, service: Scripted) -> None:
        with client(server.host) as source:
            source.manifest(server.host, "a/b", "v1")
            source.manifest(server.host, "a/b", "v1")
        assert [scopes(r) for r in service.requests] == [["repository:a/b:pull", "aws"]]

    run(door, use)


@pytest.mark.parametrize(("life", "until"), [(300, 270.0), (5, 54.0), (None, 54.0), ("300", 54.0)])
def test_a_token_is_used_while_it_is_good(life: object, until: float) -> None:
    door, clock = Door(), [0.0]
    door.life = life

    def use(server: Scripted, service: Scripted) -> None:
        wire = Wire(Access())
        keeper = Doorkeeper(wire, Logins([]), lambda: clock[0])
        place = own_endpoint(Access(insecure=frozenset({server.host})), server.host)
        asked = ("repository:a/b:pull",)
        with wire.send("GET", f"{place.root}/", {}) as refused:
            assert keeper.renewed(place, "a/b", asked, refused, "") == "Bearer t1"
        for clock[0], token in ((until - 1, 1), (until + 1, 2), (2 * until, 2), (2 * until + 2, 3)):
            assert keeper.header(place, "a/b", asked) == f"Bearer t{token}"
        wire.close()

    run(door, use)


def test_many_threads_need_one_token() -> None:
    door = Door()

    def use(server: Scripted, service: Scripted) -> None:
        with client(server.host, at_once=8) as source:
            threads = [threading.Thread(target=source.manifest, args=(server.host, "a/b", "v1")) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert door.issued == 1

    run(door, use)


@pytest.mark.parametrize("reply", [Reply(503), Reply(429, headers={"Retry-After": "3"})])
def test_a_token_service_that_is_busy_is_waited_for(reply: Reply) -> None:
    door, pauses = Door(), Pauses()
    issue, left = door.token, [reply]
    with scripted(lambda r: left.pop() if left else issue(r)) as service, scripted(door.registry) as server:
        door.realm = f"http://{service.host}/token"
        with client(server.host, sleep=pauses) as source:
            source.manifest(server.host, "a/b", "v1")
    assert len(pauses) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token": 5}', b'{"token": "a\\r\\nX: b"}'])
def test_what_is_no_token(body: bytes) -> None:
    with scripted(lambda _: Reply(200, body)) as service:
        refusal = Reply(401, headers={"WWW-Authenticate": f'Bearer realm="http://{service.host}/token"'})
        with (
            scripted(lambda _: refusal) as server,
            client(server.host) as source,
            pytest.raises(RegistryFault, match=f"{service.host} has not answered with a token"),
        ):
            source.manifest(server.host, "a/b", "v1")


def test_a_401_without_a_challenge_that_we_know() -> None:
    for headers in ({}, {"WWW-Authenticate": "Negotiate"}, {"WWW-Authenticate": 'Bearer realm=""'}):
        with scripted(Reply(401, REFUSED, headers)) as server, client(server.host) as source:
            with pytest.raises(RegistryFault, match=r"401 Unauthorized: authentication required$") as caught:
                source.manifest(server.host, "a/b", "v1")
            assert (caught.value.kind, len(server.requests)) == ("login", 1)


def test_no_login_goes_to_a_plain_http_realm_of_an_https_registry(tmp_path: Path) -> None:
    make_authority(tmp_path)
    sign(tmp_path, "server", "subjectAltName=IP:127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    door = Door()
    with scripted(door.token) as service, scripted(door.registry, tls=tls) as server:
        door.realm = f"http://{service.host}/token"
        login = auth_file(tmp_path / "auth.json", **{server.host: "bob:word"})
        with (
            client(auth_files=(login,), ca=str(tmp_path / "ca.crt")) as source,
            pytest.raises(RegistryFault, match="by plain http: nothing is sent there") as caught,
        ):
            source.manifest(server.host, "a/b", "v1")
        assert caught.value.kind == "login"
        assert service.requests == []
        server_redirect = f"http://{service.host}/x"
    with (
        scripted(lambda _: Reply(307, headers={"Location": server_redirect}), tls=tls) as server,
        client(ca=str(tmp_path / "ca.crt")) as source,
        pytest.raises(RegistryFault, match="by plain http: refused"),
    ):
        source.manifest(server.host, "a/b", "v1")


def test_the_login_of_one_registry_is_not_for_its_mirror(tmp_path: Path) -> None:
    challenge = Reply(401, headers={"WWW-Authenticate": 'Basic realm="r"'})

    def answer(request: Request) -> Reply:
        return GOOD if "Authorization" in request.headers else challenge

    with scripted(answer) as server, scripted(answer) as mirror:
        login = auth_file(tmp_path / "auth.json", **{server.host: "bob:word"})
        mirrors = ((server.host, f"http://{mirror.host}"),)
        with client(server.host, auth_files=(login,), mirrors=mirrors) as source:
            source.manifest(server.host, "a/b", "v1")
        assert not any("Authorization" in r.headers for r in mirror.requests)
        expected = "Basic " + base64.b64encode(b"bob:word").decode()
        assert [r.headers["Authorization"] for r in server.requests] == [None, expected]


def test_a_login_that_is_refused_is_not_sent_again_at_once(tmp_path: Path) -> None:
    refusal = Reply(401, REFUSED, {"WWW-Authenticate": 'Basic realm="r"'})
    with scripted(refusal) as server:
        login = auth_file(tmp_path / "auth.json", **{server.host: "bob:word"})
        with client(server.host, auth_files=(login,)) as source:
            for requests in (2, 3):
                with pytest.raises(RegistryFault, match="sent was the login 'bob'"):
                    source.manifest(server.host, "a/b", "v1")
                assert len(server.requests) == requests


def test_a_helper_that_failed_is_told_when_a_login_is_wanted(tmp_path: Path) -> None:
    challenge = Reply(401, headers={"WWW-Authenticate": 'Basic realm="r"'})
    with scripted(lambda _: challenge) as server, client(server.host, auth_files=(str(tmp_path / "c"),)) as source:
        (tmp_path / "c").write_text('{"credsStore": "not-there"}')
        with pytest.raises(RegistryFault, match="wants a login: there is no login for it in") as caught:
            source.manifest(server.host, "a/b", "v1")
    (note,) = caught.value.notes
    assert note.startswith("docker-credential-not-there")
    assert "cannot be run" in note


def test_a_login_for_a_part_of_a_registry(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        name = base64.b64decode(request.headers.get("Authorization", "")[6:]).decode().partition(":")[0]
        good = name == ("deep" if request.path.startswith("/v2/team/") else "all")
        return GOOD if good else Reply(401, REFUSED, {"WWW-Authenticate": 'Basic realm="r"'})

    with scripted(answer) as server:
        login = auth_file(tmp_path / "a", **{server.host: "all:x", f"{server.host}/team": "deep:x"})
        with client(server.host, auth_files=(login,)) as source:
            source.manifest(server.host, "team/app", "v1")
            source.manifest(server.host, "other", "v1")
