"""Pulling by digest: what is asked for, what is believed of manifests, and what becomes of what arrives damaged."""

from __future__ import annotations

import json
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, get_args

import pytest

from buildsys.actions.pulling import Pulled, Puller, Source, registry_error
from buildsys.adapters.registry_fault import FaultKind, RegistryFault
from buildsys.errors import BuildError, Location
from buildsys.model.access import Access
from buildsys.oci.manifest import MOST_BYTES
from tests.actions.fake_io import FakeIO
from tests.images import OCI_INDEX, Piece, Sample, docker_image, oci_image
from tests.scripted_http import Reply, Request, Scripted, scripted
from tests.scripted_registry import having, manifest_of, sample_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HELLO = oci_image("team/hello", size=200_000)
NESTED = oci_image("team/nested", nested=True)
PAUSE = docker_image()
LARGE = max(HELLO.blobs[:4], key=lambda blob: len(blob.data))


@contextmanager
def serving(answer: Callable[[Request], Reply]) -> Iterator[tuple[Scripted, FakeIO]]:
    with scripted(answer) as server, puller_io(server.host) as io:
        yield server, io


@contextmanager
def puller_io(*hosts: str, mirrors: tuple[tuple[str, str], ...] = ()) -> Iterator[FakeIO]:
    io = FakeIO()
    io.access = Access(insecure=frozenset(hosts), attempts=1, mirrors=mirrors)
    try:
        yield io
    finally:
        for made in io.common.values():
            made.close()


def pull(server: Scripted, io: FakeIO, sample: Sample, arch: str = "amd64") -> Pulled:
    child = sample.manifests[("amd64", "arm64").index(arch)]
    server.requests.clear()
    puller = Puller(io, Source(server.host, sample.repository, "the image", Location("BUILD.yaml", 7)))
    return puller.image(sample.top.digest[7:], child.digest[7:])


def failure(server: Scripted, io: FakeIO, sample: Sample) -> BuildError:
    with pytest.raises(BuildError) as caught:
        pull(server, io, sample)
    assert caught.value.at == Location("BUILD.yaml", 7)
    assert caught.value.hint
    return caught.value


def asked(server: Scripted) -> list[str]:
    return [one.path.rpartition("/")[2] for one in server.requests]


@pytest.mark.parametrize("sample", [HELLO, PAUSE, NESTED])
def test_all_of_an_image_is_fetched_once_and_nothing_else(sample: Sample) -> None:
    with serving(having([sample])) as (server, io):
        pulled = pull(server, io, sample, "arm64")
        chain = [sample.top, *([sample.manifests[-2]] if sample is NESTED else []), sample.manifests[1]]
        assert [(one.media_type, f"sha256:{one.digest}", one.size) for one in pulled.chain] == [
            (piece.media_type, piece.digest, len(piece.data)) for piece in chain
        ]
        wanted = {piece.digest for piece in chain} | {f"sha256:{blob.digest}" for blob in pulled.manifest.blobs}
        assert sorted(asked(server)) == sorted(wanted)
        assert {f"sha256:{digest}" for digest in io.blobs} == wanted
        assert pull(server, io, sample, "arm64") == pulled
        assert asked(server) == []
        pull(server, io, sample, "amd64")
        assert not wanted.intersection(asked(server)), "what both architectures have is there"


def test_an_image_without_an_index() -> None:
    manifest, blobs = manifest_of("amd64")
    with serving(having([Sample("app", "1", (manifest,), blobs)])) as (server, io):
        pulled = pull(server, io, Sample("app", "1", (manifest,), blobs))
        assert [one.digest for one in pulled.chain] == [manifest.digest[7:]]


def test_nested_indexes_are_not_asked_for_where_the_index_has_the_child_itself() -> None:
    """A sparse mirror may not have them."""
    manifest, blobs = manifest_of("amd64")
    lost = Piece(OCI_INDEX, b"is nowhere")
    sample = sample_of("app", "1", {"linux/amd64": manifest}, *blobs)
    content = json.loads(sample.top.data)
    content["manifests"].insert(0, lost.described())
    sample = sample._replace(manifests=(manifest, Piece(OCI_INDEX, json.dumps(content).encode())))
    with serving(having([sample])) as (server, io):
        assert len(pull(server, io, sample).chain) == 2


def test_an_index_that_does_not_lead_to_the_child() -> None:
    manifest, blobs = manifest_of("amd64")
    other, _ = manifest_of("amd64", "other")
    sample = sample_of("app", "1", {"linux/amd64": other}, *blobs)
    with serving(having([sample])) as (server, io):
        error = failure(server, io, sample._replace(manifests=(manifest, sample.top)))
        assert error.code == "B448"
        assert f"{sample.top.digest} does not lead to {manifest.digest}" in error.message


def test_the_child_of_an_image_is_no_index() -> None:
    with serving(having([NESTED])) as (server, io):
        error = failure(server, io, NESTED._replace(manifests=(NESTED.manifests[-2], NESTED.top)))
        assert error.code == "B444"
        assert "it is an index, where the manifest of one image should be" in error.message


def test_the_size_that_an_index_says_is_not_believed() -> None:
    manifest, blobs = manifest_of("amd64")
    entry = manifest.described(size=len(manifest.data) + 1)
    top = Piece(OCI_INDEX, json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
    sample = Sample("app", "1", (manifest, top), blobs)
    with serving(having([sample])) as (server, io):
        error = failure(server, io, sample)
        assert error.code == "B444"
        assert f"it has {len(manifest.data)} bytes; its index says {len(manifest.data) + 1}" in error.message


def test_the_size_of_a_blob_that_is_here_is_not_believed_either() -> None:
    """A tree with a false size could not be written."""
    manifest, blobs = manifest_of("amd64")
    good = Sample("good", "1", (manifest,), blobs)
    content = json.loads(manifest.data)
    content["layers"][0]["size"] += 1
    false = Sample("false", "1", (Piece(manifest.media_type, json.dumps(content).encode()),), blobs)
    with serving(having([good, false])) as (server, io):
        assert failure(server, io, false).code == "B443", "where it has to be fetched"
        pull(server, io, good)
        error = failure(server, io, false)
        assert error.code == "B444"
        assert f"{blobs[1].digest} has {len(blobs[1].data)} bytes; it says {len(blobs[1].data) + 1}" in error.message


def test_a_blob_that_is_here_and_is_no_manifest_is_not_read_whole() -> None:
    """A hostile index may name the largest layer of the store as the manifest of an image."""
    read: list[int] = []

    class Stream(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            read.append(len(data := super().read(size)))
            return data

    with serving(having([HELLO])) as (server, io):
        child = HELLO.manifests[0].digest.removeprefix("sha256:")
        io.blobs[child] = bytes(MOST_BYTES * 3)
        io.open_blob = lambda digest: Stream(io.blobs[digest])  # type: ignore[method-assign]
        assert failure(server, io, HELLO).code == "B444"
    assert max(read) == MOST_BYTES + 1


def test_what_an_earlier_build_left_is_gone_on_with() -> None:
    def answer(request: Request) -> Reply:
        if not request.path.endswith(LARGE.digest):
            return having([HELLO])(request)
        start = int(request.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        total = len(LARGE.data)
        return Reply(206, LARGE.data[start:], {"Content-Range": f"bytes {start}-{total - 1}/{total}"})

    with serving(answer) as (server, io):
        io.partial[LARGE.digest[7:]] = LARGE.data[:150_000]
        pull(server, io, HELLO)
        assert [one.headers["Range"] for one in server.asked("GET", LARGE.digest)] == ["bytes=150000-"]
        assert io.blobs[LARGE.digest[7:]] == LARGE.data


@pytest.mark.parametrize("left", [b"x" * 150_000, bytes(len(LARGE.data))])
def test_where_what_was_left_is_damaged_all_of_it_is_asked_for_once_more(left: bytes) -> None:
    def answer(request: Request) -> Reply:
        wanted = request.headers["Range"]
        if not request.path.endswith(LARGE.digest) or not wanted:
            return having([HELLO])(request)
        start, total = int(wanted.removeprefix("bytes=").removesuffix("-")), len(LARGE.data)
        return Reply(206, LARGE.data[start:], {"Content-Range": f"bytes {start}-{total - 1}/{total}"})

    with serving(answer) as (server, io):
        io.partial[LARGE.digest[7:]] = left
        pull(server, io, HELLO)
        assert io.blobs[LARGE.digest[7:]] == LARGE.data
        ranges = [one.headers["Range"] for one in server.asked("GET", LARGE.digest)]
        assert ranges == ([] if len(left) == len(LARGE.data) else [f"bytes={len(left)}-"]) + [None]


def test_a_server_that_sends_another_part_than_was_asked_for_is_asked_for_all_of_it() -> None:
    def answer(request: Request) -> Reply:
        if request.headers["Range"]:
            return Reply(206, LARGE.data[9:], {"Content-Range": f"bytes 9-{len(LARGE.data) - 1}/{len(LARGE.data)}"})
        return having([HELLO])(request)

    with serving(answer) as (server, io):
        io.partial[LARGE.digest[7:]] = LARGE.data[:1000]
        pull(server, io, HELLO)
        assert io.blobs[LARGE.digest[7:]] == LARGE.data


def test_what_arrives_damaged_is_not_kept_and_is_taken_from_the_next_place() -> None:
    damaged = LARGE.data[:-1] + b"x"

    def answer(request: Request) -> Reply:
        return Reply(200, damaged) if request.path.endswith(LARGE.digest) else having([HELLO])(request)

    with serving(answer) as (server, io):
        error = failure(server, io, HELLO)
        assert error.code == "B443"
        assert LARGE.digest in error.message
        assert len(server.asked("GET", LARGE.digest)) == 1, "the same place would send the same"
        assert LARGE.digest[7:] not in io.blobs
        assert io.partial == {}
        with (
            scripted(having([HELLO])) as good,
            puller_io(server.host, good.host, mirrors=((good.host, f"http://{server.host}"),)) as other,
        ):
            pull(good, other, HELLO)
            assert other.blobs[LARGE.digest[7:]] == LARGE.data
            assert len(good.asked("GET", LARGE.digest)) == 1


def test_what_breaks_off_is_kept() -> None:
    def answer(request: Request) -> Reply:
        whole = having([HELLO])(request)
        return whole._replace(cut=100_000) if request.path.endswith(LARGE.digest) else whole

    with serving(answer) as (server, io):
        assert failure(server, io, HELLO).code == "B440"
        assert io.partial == {LARGE.digest[7:]: LARGE.data[:100_000]}


@pytest.mark.parametrize("kind", get_args(FaultKind))
@pytest.mark.parametrize("is_locked", [True, False])
def test_each_fault_has_a_code_and_a_next_step(kind: FaultKind, is_locked: bool) -> None:
    fault = RegistryFault("reg.example: what is wrong", kind, notes=("mirror.example: was asked",))
    error = registry_error("nginx:1.25", fault, Location("x", 1), is_locked=is_locked)
    codes = {
        "unreachable": "B440",
        "rate-limited": "B440",
        "login": "B441",
        "missing": "B442",
        "mismatch": "B443",
        "too-large": "B444",
        "schema-1": "B444",
        "refused": "B445",
        "tls": "B445",
    }
    assert (error.code, error.exit_code) == (codes[kind], 32 if codes[kind] == "B440" else 48)
    assert error.message == "nginx:1.25: reg.example: what is wrong"
    assert error.notes == ("before: mirror.example: was asked",)
    assert error.hint
    assert is_locked or "lock" not in error.hint
