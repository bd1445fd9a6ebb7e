"""Manifests and indexes: what is taken, what is refused and why, and which child is meant for an architecture."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from buildsys.oci import manifest as manifests
from buildsys.oci.image import INDEX, MANIFEST, Descriptor
from buildsys.oci.manifest import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    MOST_BYTES,
    Child,
    Index,
    Manifest,
    ManifestFault,
    candidates,
    parse,
    platforms,
)
from tests.images import docker_image, oci_image

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
KEYS = st.sampled_from(
    [
        *("schemaVersion", "mediaType", "manifests", "layers", "config", "digest", "size", "platform", "os"),
        *("architecture", "variant", "annotations", "urls", "artifactType", "subject"),
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        [1, 2, INDEX, MANIFEST, DOCKER_LIST, DOCKER_MANIFEST, LAYER, "sha256:" + "a" * 64, "linux", "amd64"]
    ),
)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6))
DESCRIPTORS = st.fixed_dictionaries(
    {}, optional={"mediaType": LEAVES, "digest": LEAVES, "size": LEAVES, "platform": JSON, "urls": JSON}
)
NEARLY = st.fixed_dictionaries(
    {"schemaVersion": st.sampled_from([2, 2, 2, 1, "2"])},
    optional={
        "mediaType": st.sampled_from([INDEX, MANIFEST, DOCKER_LIST, DOCKER_MANIFEST, "x", 7, None]),
        "manifests": st.lists(DESCRIPTORS | JSON, max_size=3) | JSON,
        "layers": st.lists(DESCRIPTORS | JSON, max_size=3) | JSON,
        "config": DESCRIPTORS | JSON,
    },
)


def named(number: int, media_type: str = MANIFEST, **platform: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"mediaType": media_type, "digest": f"sha256:{number:064x}", "size": 7}
    return {**found, "platform": platform} if platform else found


def index(*children: dict[str, Any], **more: Any) -> Index:
    found = parse(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": children, **more}).encode())
    assert isinstance(found, Index)
    return found


def linux(number: int, arch: str, variant: str = "") -> dict[str, Any]:
    return named(number, os="linux", architecture=arch, **({"variant": variant} if variant else {}))


def chosen(found: Index, arch: str) -> list[int]:
    return [int(child.descriptor.digest, 16) for child in candidates(found, arch)]


def why(data: bytes | dict[str, Any]) -> str:
    with pytest.raises(ManifestFault) as caught:
        parse(data if isinstance(data, bytes) else json.dumps(data).encode())
    return str(caught.value)


@given(st.binary(max_size=60) | JSON.map(json.dumps).map(str.encode) | NEARLY.map(json.dumps).map(str.encode))
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b"1" * 5000)
@example(b'{"schemaVersion":2,"mediaType":["x"],"manifests":[]}')
@example(b'{"schemaVersion":2,"manifests":[{"digest":"sha256:%s","size":true}]}' % (b"a" * 64))
@example(b"\xff\xfe{\x00}\x00")
def test_whatever_arrives_is_a_manifest_an_index_or_a_manifest_fault(data: bytes) -> None:
    try:
        found = parse(data)
    except ManifestFault:
        return
    if isinstance(found, Index):
        assert found.media_type in manifests.INDEXES
        platforms(found)
        for arch in ("amd64", "arm64"):
            assert set(candidates(found, arch)) <= set(found.children)
    else:
        assert found.media_type in manifests.MANIFESTS
        assert {blob.digest for blob in found.blobs} == {found.config.digest, *(one.digest for one in found.layers)}


def test_the_forms_that_are_met() -> None:
    for sample, kinds in ((oci_image(), (INDEX, MANIFEST)), (docker_image(), (DOCKER_LIST, DOCKER_MANIFEST))):
        top = parse(sample.top.data)
        assert isinstance(top, Index)
        assert top.media_type == kinds[0]
        assert platforms(top) == ["linux/amd64", "linux/arm64"], "what belongs to an image is none"
        for arch, piece in zip(("amd64", "arm64"), sample.manifests, strict=False):
            (child,) = candidates(top, arch)
            assert child.descriptor == Descriptor(kinds[1], piece.digest.removeprefix("sha256:"), len(piece.data))
            own = parse(piece.data)
            assert isinstance(own, Manifest)
            assert own.media_type == kinds[1]
            known = {hashlib.sha256(blob.data).hexdigest(): len(blob.data) for blob in sample.blobs}
            assert {blob.digest: blob.size for blob in own.blobs}.items() <= known.items()


def test_without_a_media_type_the_form_decides() -> None:
    assert parse(b'{"schemaVersion":2,"manifests":[]}') == Index(INDEX, ())
    data = json.dumps({"schemaVersion": 2, "config": named(1), "layers": [named(2), named(2), named(1)]}).encode()
    config, layer = Descriptor(MANIFEST, f"{1:064x}", 7), Descriptor(MANIFEST, f"{2:064x}", 7)
    found = parse(data)
    assert found == Manifest(MANIFEST, config, (layer, layer, config))
    assert isinstance(found, Manifest)
    assert found.blobs == (config, layer), "each once"


def test_the_child_of_an_architecture() -> None:
    found = index(
        named(1, os="windows", architecture="amd64"),
        linux(2, "amd64", "v3"),
        linux(3, "amd64"),
        linux(4, "arm64", "v8"),
        linux(5, "arm", "v7"),
        named(6, os="unknown", architecture="unknown"),
        named(7),
    )
    assert chosen(found, "amd64") == [3]
    assert chosen(found, "arm64") == [4]
    assert chosen(found, "s390x") == []
    assert platforms(found) == ["linux/amd64", "linux/amd64/v3", "linux/arm/v7", "linux/arm64/v8", "windows/amd64"]


def test_the_plain_variant_comes_before_v8_and_only_arm64_has_one() -> None:
    assert chosen(index(linux(1, "arm64", "v8"), linux(2, "arm64")), "arm64") == [2, 1]
    assert chosen(index(linux(1, "arm64", "v9"), linux(2, "amd64", "v8")), "arm64") == []
    assert chosen(index(linux(1, "arm64", "v9"), linux(2, "amd64", "v8")), "amd64") == []


def test_nested_indexes_are_looked_at_after_what_says_its_platform() -> None:
    found = index(named(1, INDEX), named(2, DOCKER_LIST), linux(3, "amd64"), named(4))
    assert chosen(found, "amd64") == [3, 1, 2]
    assert chosen(found, "arm64") == [1, 2]
    said = index({**linux(1, "amd64"), "mediaType": INDEX}, named(2, INDEX))
    assert chosen(said, "amd64") == [1, 2], "once, though it is both"


def test_what_is_empty_in_a_platform_is_not_said() -> None:
    (child,) = index(named(1, os="linux", architecture="arm64", variant=None)).children
    assert child == Child(Descriptor(MANIFEST, f"{1:064x}", 7), "linux", "arm64")
    (child,) = index({**named(1), "platform": None}).children
    assert (child.os, child.arch, child.is_image) == ("", "", True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schemaVersion": 1}, "it is a schema 1 manifest, which has no digests of layers that could be trusted"),
        ({"mediaType": "application/vnd.docker.distribution.manifest.v1+prettyjws"}, "it is a schema 1 manifest"),
        ({"schemaVersion": "2"}, "its schemaVersion is not 2"),
        ({"mediaType": "text/html"}, "its media type is 'text/html', which is no image"),
        ({"mediaType": INDEX}, "it is neither clearly an index nor clearly a manifest"),
        ({"manifests": []}, "it is neither clearly an index nor clearly a manifest"),
        ({"layers": {}}, "its 'layers' is not a list"),
        ({"layers": [7]}, "a layer is not a JSON object"),
        ({"layers": [{"size": 7}]}, "a layer has no digest or media type"),
        ({"layers": [{**named(1), "size": -1}]}, "a layer has no size"),
        ({"layers": [{**named(1), "size": True}]}, "a layer has no size"),
        ({"layers": [{**named(1), "size": 1.0}]}, "a layer has no size"),
        ({"layers": [{**named(1), "digest": "sha256:" + "A" * 64}]}, "a layer has the digest 'sha256:AAAA"),
        ({"layers": [{**named(1), "digest": "sha512:" + "a" * 128}]}, "a layer has the digest 'sha512:aaaa"),
        (
            {"layers": [{**named(1), "digest": "sha256:../../etc"}]},
            "a layer has the digest 'sha256:../../etc', which is",
        ),
        ({"config": None}, "the config is not a JSON object"),
    ],
)
def test_what_is_wrong_with_a_manifest(change: dict[str, Any], reason: str) -> None:
    good = {"schemaVersion": 2, "mediaType": MANIFEST, "config": named(1), "layers": [named(2)]}
    parse(json.dumps(good).encode())
    assert why({**good, **change}).startswith(reason)


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    ],
)
def test_layers_that_may_not_be_distributed(media_type: str) -> None:
    content = {"schemaVersion": 2, "config": named(1), "layers": [named(2), named(3, media_type)]}
    assert why(content) == f"the layer sha256:{3:064x} may not be distributed ({media_type})"


@pytest.mark.parametrize(
    ("platform", "reason"), [("linux/amd64", "a platform is not a JSON object"), ({"os": 7}, "made of words")]
)
def test_what_is_wrong_with_a_platform(platform: object, reason: str) -> None:
    assert reason in why({"schemaVersion": 2, "manifests": [{**named(1), "platform": platform}]})


def test_what_is_too_large() -> None:
    whole = b'{"schemaVersion":2,"manifests":[]}'
    assert parse(whole + b" " * (MOST_BYTES - len(whole))) == Index(INDEX, ())
    assert why(whole + b" " * (MOST_BYTES - len(whole) + 1)) == "it has 4194305 bytes; a manifest has 4194304 at most"
