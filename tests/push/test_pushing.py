"""Pushing to real registries: what they have afterwards, what goes over the wire, and what is told of failures."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from buildsys.errors import BuildError, UsageError
from buildsys.model.access import Access
from buildsys.oci.reference import Reference
from buildsys.push import pushing
from buildsys.push.pushing import Pusher, destinations
from buildsys.store.local import LocalStore, open_store
from buildsys.store.workspace_state import WorkspaceState
from tests.images import Sample, oci_image
from tests.push.layouts import stored
from tests.registries import PASSWORD, USER, free_port, registry
from tests.registry_clients import auth_file, client, push
from tests.relays import cutting_relay
from tests.scripted_http import HANG_UP, Reply, Request, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from buildsys.push.image import Image
    from buildsys.push.pushing import Pushed
    from tests.registries import Registry

SAMPLE = oci_image(size=300_000)
SIZES = {blob.digest: len(blob.data) for blob in SAMPLE.blobs}
BLOBS, BYTES, MANIFESTS = len(SIZES), sum(SIZES.values()), len(SAMPLE.manifests)
LARGE = {digest for digest, size in SIZES.items() if size > 200_000}


class Sender:
    """A workspace that pushes."""

    def __init__(self, folder: Path) -> None:
        self.store: LocalStore = open_store(str(folder / "store"))
        self.state = WorkspaceState(str(folder / "state.sqlite"))
        self.told: list[tuple[str, int, int]] = []

    def close(self) -> None:
        self.store.close()
        self.state.close()

    def push(self, image: Image | Sample, *names: str, **access: Any) -> list[Pushed]:
        if isinstance(image, Sample):
            image = stored(self.store, image)
        targets = destinations(names)
        access = {"insecure": frozenset(target.host for target in targets), "backoff_seconds": 0.01, **access}
        with Pusher(Access(**access), self.state, lambda *said: self.told.append(said)) as pusher:
            return [pusher.push(image, target) for target in targets]

    def fails(self, image: Image | Sample, name: str, **access: Any) -> BuildError:
        with pytest.raises(BuildError) as raised:
            self.push(image, name, **access)
        return raised.value


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[Sender]:
    with closing(Sender(tmp_path / "sender")) as made:
        yield made


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("plain")) as running:
        yield running


def counts(pushed: Pushed) -> tuple[int, int, int, int, int]:
    return pushed.uploaded, pushed.size, pushed.mounted, pushed.there, pushed.manifests


def asked(running: Registry, method: str) -> list[str]:
    """Return the paths of a registry's requests of a method, in order."""
    lines = (running.folder / "registry.log").read_text().splitlines()
    return [line.split(f'"{method} ')[1].split()[0] for line in lines if f'"{method} /v2/' in line]


def test_an_index_arrives_as_it_is_blobs_first_and_the_tag_last(
    plain: Registry, sender: Sender, tmp_path: Path
) -> None:
    before = len(asked(plain, "PUT"))
    (pushed,) = sender.push(SAMPLE, f"{plain.host}/order/a:1")
    assert counts(pushed) == (BLOBS, BYTES, 0, 0, MANIFESTS)
    assert pushed.name == f"{plain.host}/order/a@{SAMPLE.top.digest}"
    assert not pushed.was_tagged
    put = [path.partition("?")[0] for path in asked(plain, "PUT")[before:]]
    assert all("/blobs/uploads/" in path for path in put[:BLOBS])
    children = [f"/v2/order/a/manifests/{manifest.digest}" for manifest in SAMPLE.manifests[:-1]]
    assert put[BLOBS:] == [*children, "/v2/order/a/manifests/1"]
    source = f"docker://{plain.host}/order/a:1"
    raw = subprocess.run(
        ["skopeo", "inspect", "--raw", "--tls-verify=false", source], check=True, capture_output=True
    ).stdout
    assert raw == SAMPLE.top.data
    for arch in ("amd64", "arm64"):
        command = ["skopeo", "copy", "-q", "--src-tls-verify=false", f"--override-arch={arch}", source]
        subprocess.run([*command, f"dir:{tmp_path}/{arch}"], check=True, env={**os.environ, "HOME": str(tmp_path)})
        config = json.loads((tmp_path / arch / "manifest.json").read_bytes())["config"]["digest"]
        assert config in {blob.digest for blob in SAMPLE.blobs}
    assert {said[0] for said in sender.told} == {f"Push {digest}" for digest in SIZES}


def test_what_is_there_is_not_uploaded_again(plain: Registry, sender: Sender) -> None:
    name = f"{plain.host}/twice/a"
    sender.push(SAMPLE, f"{name}:1")
    wrote = [len(asked(plain, method)) for method in ("POST", "PATCH", "PUT")]
    (again,) = sender.push(SAMPLE, f"{name}:1")
    assert (counts(again), again.was_tagged) == ((0, 0, 0, BLOBS, 0), True)
    assert [len(asked(plain, method)) for method in ("POST", "PATCH", "PUT")] == wrote
    (tagged,) = sender.push(SAMPLE, f"{name}:2")
    assert (counts(tagged), tagged.was_tagged) == ((0, 0, 0, BLOBS, 1), False)
    other = oci_image(size=300_000, nested=True)
    (moved,) = sender.push(other, f"{name}:1")
    assert (counts(moved), moved.was_tagged) == ((0, 0, 0, BLOBS, 1), False), "what the index is nested in"


def test_what_was_pushed_to_another_repository_is_mounted(plain: Registry, sender: Sender) -> None:
    names = [f"{plain.host}/mount/{name}:1" for name in "abc"]
    sender.push(SAMPLE, names[0])
    second, third = sender.push(SAMPLE, *names[1:])
    for pushed in (second, third):
        assert counts(pushed) == (0, 0, BLOBS, 0, MANIFESTS)
    with client(plain.host) as reader:
        for name in "bc":
            assert all(reader.has_blob(plain.host, f"mount/{name}", blob.digest) for blob in SAMPLE.blobs)


def test_what_cannot_be_mounted_is_uploaded(plain: Registry, sender: Sender) -> None:
    """The repository that is remembered does not have the blobs any more."""
    image = stored(sender.store, SAMPLE)
    other = oci_image(size=1)
    sender.push(other, f"{plain.host}/lost/b:1")
    sender.state.remember_pushed(plain.host, "never/pushed", [blob.digest for blob in image.blobs])
    (pushed,) = sender.push(image, f"{plain.host}/lost/c:1")
    assert counts(pushed) == (BLOBS, BYTES, 0, 0, MANIFESTS)


@pytest.mark.parametrize("auth", ["htpasswd", "token"])
def test_logins(auth: str, sender: Sender, tmp_path: Path) -> None:
    with registry(tmp_path / "r", auth=auth) as running:
        name = f"{running.host}/team/a:1"
        right = auth_file(tmp_path / "right.json", **{running.host: f"{USER}:{PASSWORD}"})
        wrong = auth_file(tmp_path / "wrong.json", **{running.host: f"{USER}:wrong"})
        error = sender.fails(SAMPLE, name, auth_files=(wrong,))
        assert (error.code, error.exit_code) == ("B451", 1)
        assert str(tmp_path / "wrong.json") in error.message
        assert sender.fails(SAMPLE, name).code == "B451"
        first, second = sender.push(SAMPLE, name, f"{running.host}/other/b:1", auth_files=(right,))
        assert counts(first) == (BLOBS, BYTES, 0, 0, MANIFESTS)
        assert counts(second) == (0, 0, BLOBS, 0, MANIFESTS), "mounted, with a token for both repositories"


def test_tls_with_certificates_of_both_sides(sender: Sender, tmp_path: Path) -> None:
    with registry(tmp_path / "r", tls=True, client_certificates=True) as running:
        name = f"{running.host}/team/a:1"
        error = sender.fails(SAMPLE, name, insecure=frozenset(), attempts=1)
        assert error.code == "B453"
        assert "--registry_ca" in error.hint
        (pushed,) = sender.push(SAMPLE, name, insecure=frozenset(), cert_dirs=(str(running.cert_dir),))
        assert pushed.uploaded == BLOBS


def test_a_registry_that_is_read_only(sender: Sender, tmp_path: Path) -> None:
    with registry(tmp_path / "r", readonly=True) as running:
        error = sender.fails(SAMPLE, f"{running.host}/team/a:1")
    assert (error.code, error.exit_code) == ("B453", 1)
    assert "405" in error.message


def test_a_registry_that_is_not_there(sender: Sender) -> None:
    error = sender.fails(SAMPLE, f"127.0.0.1:{free_port()}/team/a:1", attempts=2)
    assert (error.code, error.exit_code) == ("B452", 32)
    assert "(2 attempts)" in error.message


def forwarded(to: str, request: Request) -> Reply:
    """Return what a registry answers to a request that has come to somebody else."""
    with closing(http.client.HTTPConnection(to)) as connection:
        connection.request(request.method, request.path, request.body, dict(request.headers.items()))
        answered = connection.getresponse()
        body = answered.read()
    dropped = {"content-length", "date", "connection"}
    headers = {name: value for name, value in answered.getheaders() if name.lower() not in dropped}
    length = answered.headers.get("Content-Length") if request.method == "HEAD" else None
    return Reply(answered.status, body, headers, length=int(length) if length else None)


def failing(to: Registry, fails: Callable[[Request], bool]) -> Callable[[Request], Reply]:
    return lambda request: Reply(503) if fails(request) else forwarded(to.host, request)


def test_an_upload_goes_on_where_a_connection_was_lost(
    plain: Registry, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third and the ninth piece do not arrive; all others are sent once, in the session that was begun."""
    monkeypatch.setattr(pushing, "CHUNK", 100_000)
    pieces: list[str] = []

    def answer(request: Request) -> Reply:
        if request.method == "PATCH":
            pieces.append(request.headers["Content-Range"])
            if len(pieces) in {3, 9}:
                return HANG_UP
        return forwarded(plain.host, request)

    sample = oci_image(size=700_000)
    with scripted(answer) as way:
        (pushed,) = sender.push(sample, f"{way.host}/resumed/a:1")
        assert len(way.asked("POST")) == pushed.uploaded
    assert len(pieces) == 2 * 8 + 2
    assert pushed.size == sum({blob.digest: len(blob.data) for blob in sample.blobs}.values())


def test_a_line_that_breaks_in_the_middle_of_pieces(
    plain: Registry, sender: Sender, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Docker's registry forgets an upload of which a piece has arrived in part; then it is begun anew."""
    monkeypatch.setattr(pushing, "CHUNK", 100_000)
    cuts = [950_000, 850_000]
    with cutting_relay(plain.host, cuts) as relay:
        sender.push(oci_image(size=1_500_000), f"{relay}/broken/a:1")
    assert cuts == []
    command = ["skopeo", "copy", "-q", "--all", "--src-tls-verify=false", f"docker://{plain.host}/broken/a:1"]
    subprocess.run([*command, f"dir:{tmp_path}/all"], check=True, env={**os.environ, "HOME": str(tmp_path)})


def test_a_push_that_fails_leaves_the_tag_and_keeps_what_has_arrived(plain: Registry, sender: Sender) -> None:
    old = oci_image("broken/b", "1", size=5)
    with client(plain.host) as target:
        push(target, plain.host, old)
    child = SAMPLE.manifests[1].digest

    def tag() -> str:
        with client(plain.host) as reader:
            found = reader.head_manifest(plain.host, "broken/b", "1")
        assert found is not None
        return found.digest

    for number, fails in enumerate(
        (
            lambda request: any(f"digest={digest}" in request.path for digest in LARGE),
            lambda request: request.method == "PUT" and request.path.endswith(child),
            lambda request: request.method == "PUT" and request.path.endswith("/manifests/1"),
        )
    ):
        with scripted(failing(plain, fails)) as way:
            error = sender.fails(SAMPLE, f"{way.host}/broken/b:1", attempts=2)
        assert (error.code, number) == ("B452", number)
        assert tag() == old.top.digest
    (pushed,) = sender.push(SAMPLE, f"{plain.host}/broken/b:1")
    assert counts(pushed) == (0, 0, 0, BLOBS, 1), "the tag was all that was missing"
    assert tag() == SAMPLE.top.digest


def test_one_failure_ends_what_other_threads_do(plain: Registry, sender: Sender) -> None:
    """The small blobs fail while the large ones are waiting to be tried again."""

    def answer(request: Request) -> Reply:
        if request.method == "HEAD":
            return Reply(404)
        if request.method == "POST":
            return Reply(202, headers={"Location": "/v2/x/y/blobs/uploads/1"})
        if any(digest in request.path for digest in LARGE):
            return Reply(503)
        return Reply(403)

    with scripted(answer) as server:
        error = sender.fails(SAMPLE, f"{server.host}/x/y:1", attempts=9, backoff_seconds=30.0)
    assert error.code == "B451"


def test_mirrors_are_not_pushed_to(plain: Registry, sender: Sender) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    (pushed,) = sender.push(SAMPLE, f"{plain.host}/mirrored/a:1", mirrors=((plain.host, dead),), attempts=1)
    assert pushed.uploaded == BLOBS


def test_a_blob_that_is_lost_is_told(plain: Registry, sender: Sender) -> None:
    image = stored(sender.store, SAMPLE)
    sender.store.flush()
    large = max(image.blobs, key=lambda blob: blob.size)
    path = sender.store.blobs.path(large.digest)
    assert path is not None
    os.unlink(path)
    error = sender.fails(image, f"{plain.host}/lost/a:1")
    assert (error.code, error.exit_code) == ("B458", 36)
    assert large.digest in error.message


def test_destinations() -> None:
    assert destinations(["reg.example:5000/a/b:v1", "localhost/c", "team/app:2"]) == [
        Reference("reg.example:5000", "a/b", "v1"),
        Reference("localhost", "c", "latest"),
        Reference("docker.io", "team/app", "2"),
    ]
    for words in ([], [f"reg.example/a@sha256:{'0' * 64}"], ["reg.example/a:1", "Reg.example/A:1"], ["https://a/b"]):
        with pytest.raises(UsageError) as raised:
            destinations(words)
        assert raised.value.code == "B450"
