"""Resolving images: what is asked of registries, what is known already, and what is refused."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from buildsys.errors import BuildErrors, DependencyError, UsageError
from buildsys.kubernetes.pins import INDEX, LockedImage
from buildsys.lock.images import ALL, Resolved, locked_named, read_named, resolve, written_named
from buildsys.model.access import Access
from tests.images import DOCKER_LIST, OCI_INDEX, Piece, Sample, docker_image, oci_image
from tests.scripted_http import Reply, Scripted, scripted
from tests.scripted_registry import having, manifest_of, sample_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BOTH = ("amd64", "arm64")
HELLO = oci_image("team/hello", "1.0")
NESTED = oci_image("team/nested", "1.0", nested=True)
PAUSE = docker_image("pause", "3.6")
AMD64, AMD64_BLOBS = manifest_of("amd64")
PLAIN = Sample("plain", "1.0", (AMD64,), AMD64_BLOBS)


class Site:
    """A registry and what asks it."""

    def __init__(self, server: Scripted) -> None:
        self.server = server

    def name(self, sample: Sample) -> str:
        return f"{self.server.host}/{sample.repository}"

    def text(self, sample: Sample) -> str:
        return f"{self.name(sample)}:{sample.tag}"

    def resolve(
        self,
        *images: str,
        locked: Sequence[LockedImage] = (),
        arches: Sequence[str] = BOTH,
        update: Sequence[str] = (),
        **access: Any,
    ) -> Resolved:
        self.server.requests.clear()
        known = Access(insecure=frozenset({self.server.host}), attempts=1, **access)
        return resolve(written_named(images), locked, arches, known, update)

    def asked(self) -> list[str]:
        return [f"{one.method} {one.path.partition('/v2/')[2]}" for one in self.server.requests]


@contextmanager
def serving(*samples: Sample) -> Iterator[Site]:
    with scripted(having(samples)) as server:
        yield Site(server)


def found(resolved: Resolved) -> list[tuple[str, str, str]]:
    return [(pin.version, pin.arch, f"sha256:{pin.sha256}") for pin in resolved.pins]


def locked(name: str, version: str, digest: str, **children: str) -> LockedImage:
    return LockedImage(name, version, digest.removeprefix("sha256:"), {a: d[7:] for a, d in children.items()})


def failure(site: Site, *images: str, **options: Any) -> list[DependencyError]:
    with pytest.raises(BuildErrors) as caught:
        site.resolve(*images, **options)
    assert all(isinstance(error, DependencyError) and error.hint for error in caught.value.errors)
    return [error for error in caught.value.errors if isinstance(error, DependencyError)]


@pytest.mark.parametrize("sample", [HELLO, PAUSE])
def test_an_index_and_its_children_are_locked(sample: Sample) -> None:
    with serving(sample) as site:
        resolved = site.resolve(site.text(sample))
        assert found(resolved) == [
            (sample.tag, INDEX, sample.top.digest),
            (sample.tag, "amd64", sample.manifests[0].digest),
            (sample.tag, "arm64", sample.manifests[1].digest),
        ]
        assert (resolved.kept, resolved.moved) == (0, ())
        assert {(pin.kind, pin.name, pin.sources) for pin in resolved.pins} == {
            ("image", site.name(sample), ("registry",))
        }
        path = sample.repository
        assert site.asked() == [
            f"HEAD {path}/manifests/{sample.tag}",
            f"GET {path}/manifests/{sample.top.digest}",
        ], "children are not fetched, and the tag is not asked for in a way that counts"


def test_nested_indexes_are_followed() -> None:
    with serving(NESTED) as site:
        assert found(site.resolve(site.text(NESTED))) == [
            ("1.0", INDEX, NESTED.top.digest),
            ("1.0", "amd64", NESTED.manifests[0].digest),
            ("1.0", "arm64", NESTED.manifests[1].digest),
        ]


def test_indexes_are_followed_as_deep_as_they_may_be_nested() -> None:
    pieces = [AMD64]
    entry = AMD64.described(platform={"os": "linux", "architecture": "amd64"})
    for _ in range(4):
        content = {"schemaVersion": 2, "manifests": [entry]}
        pieces.append(Piece(OCI_INDEX, json.dumps(content).encode()))
        entry = pieces[-1].described()
    three, four = (Sample(f"deep{n}", "1", tuple(pieces[: n + 1]), AMD64_BLOBS) for n in (3, 4))
    with serving(three, four) as site:
        assert found(site.resolve(site.text(three), arches=["amd64"]))[1] == ("1", "amd64", AMD64.digest)
        assert [error.code for error in failure(site, site.text(four), arches=["amd64"])] == ["B448"]


def test_an_image_without_an_index_is_of_the_architecture_that_its_config_says() -> None:
    with serving(PLAIN) as site:
        assert found(site.resolve(site.text(PLAIN), arches=["amd64"])) == [("1.0", "amd64", AMD64.digest)]
        (error,) = failure(site, site.text(PLAIN))
        assert (error.code, error.notes) == ("B448", ("it is there for linux/amd64",))
        assert error.message == f"{site.text(PLAIN)}: there is no image for linux/arm64"


def test_a_missing_platform_is_an_error_that_says_what_there_is() -> None:
    windows, blobs = manifest_of("amd64", os_name="windows")
    arm, arm_blobs = manifest_of("arm", "v7")
    sample = sample_of("app", "2", {"windows/amd64": windows, "linux/arm/v7": arm, "unknown/unknown": AMD64})
    empty = sample_of("empty", "2", {})
    sample = sample._replace(blobs=(*blobs, *arm_blobs))
    with serving(sample, empty) as site:
        (error,) = failure(site, site.text(sample))
        assert error.message == f"{site.text(sample)}: there is no image for linux/amd64 and linux/arm64"
        assert error.notes == ("it is there for linux/arm/v7, windows/amd64",)
        (error,) = failure(site, site.text(empty))
        assert error.notes == ("it is there for no platform that it names",)


def test_what_is_named_by_digest_is_locked_under_it() -> None:
    with serving(HELLO) as site:
        name = site.name(HELLO)
        for text in (f"{name}@{HELLO.top.digest}", f"{name}:other@{HELLO.top.digest}"):
            assert found(site.resolve(text)) == [
                (HELLO.top.digest, INDEX, HELLO.top.digest),
                (HELLO.top.digest, "amd64", HELLO.manifests[0].digest),
                (HELLO.top.digest, "arm64", HELLO.manifests[1].digest),
            ]
        (error,) = failure(site, f"{name}@sha512:{'0' * 128}")
        assert error.code == "B444"
        assert site.asked() == []


def test_what_is_locked_is_not_asked_for_again() -> None:
    with serving(HELLO, PAUSE) as site:
        first = site.resolve(site.text(HELLO), site.text(PAUSE), site.text(HELLO))
        assert len(first.pins) == 6, "once, though it is named twice"
        name = site.name(HELLO)
        amd64, arm64 = (one.digest for one in HELLO.manifests[:2])
        known = [locked(name, "1.0", HELLO.top.digest, amd64=amd64, arm64=arm64)]
        again = site.resolve(site.text(HELLO), site.text(PAUSE), locked=known)
        assert (again.kept, len(again.pins)) == (1, 3)
        assert not any("hello" in request for request in site.asked())
        lacking = [locked(name, "1.0", HELLO.top.digest, amd64=amd64)]
        assert len(site.resolve(site.text(HELLO), locked=lacking).pins) == 3, "an architecture is missing"
        assert site.resolve(site.text(HELLO), locked=lacking, arches=["amd64"]).kept == 1


def test_images_that_are_to_be_resolved_again_are_named_in_any_spelling() -> None:
    with serving(HELLO, PAUSE) as site:
        name = site.name(HELLO)
        amd64, arm64 = (one.digest for one in HELLO.manifests[:2])
        known = [locked(name, "1.0", HELLO.top.digest, amd64=amd64, arm64=arm64)]
        for word in (name, f"{name}:1.0", ALL):
            again = site.resolve(site.text(HELLO), locked=known, update=[word])
            assert (len(again.pins), again.kept, again.moved) == (3, 0, ())
        for word in (f"{name}:2.0", "hello", "no reference!"):
            with pytest.raises(UsageError) as caught:
                site.resolve(site.text(HELLO), locked=known, update=[word])
            assert caught.value.code == "B011"
            assert f"'{word}'" in caught.value.message
            assert site.asked() == []


def test_images_of_docker_hub_may_be_named_to_be_resolved_again_as_docker_does() -> None:
    known = [locked("docker.io/library/nginx", "1.25", "sha256:" + "a" * 64, amd64="sha256:" + "b" * 64)]
    for word in ("nginx", "nginx:1.25", "docker.io/nginx:1.25", "docker.io/library/nginx", ALL):
        (named,) = locked_named(known, [word])
        assert str(named.reference) == "docker.io/library/nginx:1.25"
        assert (named.origin, named.at) == ("the lock file", None)
    for word in ("nginx:1.26", "library", "docker.io"):
        assert locked_named(known, [word]) == []


def test_what_was_replaced_is_told() -> None:
    with serving(HELLO, PLAIN) as site:
        amd64, arm64 = (one.digest for one in HELLO.manifests[:2])
        old, name = "sha256:" + "a" * 64, site.name(HELLO)
        before = [locked(name, "1.0", old, amd64=amd64, arm64=arm64)]
        assert site.resolve(site.text(HELLO), locked=before, update=[ALL]).moved == (
            f"{name}:1.0: {old} -> {HELLO.top.digest}",
        )
        before = [locked(site.name(PLAIN), "1.0", "", amd64=old)]
        assert site.resolve(site.text(PLAIN), locked=before, arches=["amd64"], update=[ALL]).moved == (
            f"{site.name(PLAIN)}:1.0: {old} -> {AMD64.digest}",
        )


def test_all_that_is_wrong_is_told_at_once_with_its_place() -> None:
    names = json.dumps([["HOST/gone:1", "a list", ["images.txt", 3, 1, 9]], ["HOST/plain:1.0", "//a:x", None]])
    with serving(PLAIN, HELLO) as site:
        named = read_named([names.replace("HOST", site.server.host).encode()])
        access = Access(insecure=frozenset({site.server.host}), attempts=1)
        with pytest.raises(BuildErrors) as caught:
            resolve(named, [], BOTH, access)
    assert [(error.code, error.at) for error in caught.value.errors] == [
        ("B448", None),
        ("B442", ("images.txt", 3, 1, 9)),
    ]
    missing = caught.value.errors[1]
    assert missing.message.endswith("gone has no 1")
    assert "lock" not in missing.hint, "locking is what fails"


@pytest.mark.parametrize(
    ("piece", "code"),
    [
        (Piece(OCI_INDEX, b"Not Found"), "B444"),
        (Piece(OCI_INDEX, b'{"schemaVersion":2}'), "B444"),
        (Piece("application/vnd.docker.distribution.manifest.v1+prettyjws", b'{"schemaVersion":1}'), "B444"),
        (Piece(DOCKER_LIST, b" " * (4 << 20) + b"{}"), "B444"),
        (Piece("text/html", b"<html>"), "B445"),
    ],
)
def test_what_is_no_image(piece: Piece, code: str) -> None:
    with serving(Sample("app", "1", (piece,), ())) as site:
        (error,) = failure(site, f"{site.server.host}/app:1")
        assert error.code == code


def test_configs_that_do_not_say_what_they_are() -> None:
    nothing = "no platform that it names"
    for data, said in (
        (b"[]", nothing),
        (b"[" * 100_000, nothing),
        (b"not JSON", nothing),
        (b'{"architecture":7,"os":"linux"}', nothing),
        (b'{"os":"linux"}', nothing),
        (b'{"architecture":"amd64","os":"windows"}', "windows/amd64"),
    ):
        config = Piece("application/vnd.oci.image.config.v1+json", data)
        content = {"schemaVersion": 2, "config": config.described(), "layers": []}
        sample = Sample("app", "1", (Piece(AMD64.media_type, json.dumps(content).encode()),), (config,))
        with serving(sample) as site:
            (error,) = failure(site, site.text(sample), arches=["amd64"])
            assert (error.code, error.notes) == ("B448", (f"it is there for {said}",))


def test_a_config_that_arrives_damaged() -> None:
    config = AMD64_BLOBS[0]
    damaged = config._replace(data=config.data.replace(b"amd64", b"arm64"))

    def answer_with(sample: Sample) -> Any:
        good = having([sample])
        return lambda request: Reply(200, damaged.data) if request.path.endswith(config.digest) else good(request)

    with scripted(answer_with(PLAIN)) as server:
        site = Site(server)
        (error,) = failure(site, site.text(PLAIN), arches=["amd64"])
        assert error.code == "B443"
