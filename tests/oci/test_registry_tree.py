"""The storage tree, as entries; that a registry serves it is tested with the samples."""

from __future__ import annotations

import pytest

from buildsys.model.digest import digest_bytes
from buildsys.model.tree import FILE
from buildsys.oci.image import CONFIG, INDEX, LAYER_GZIP, MANIFEST, Descriptor
from buildsys.oci.registry_tree import StoredImage, TagConflict, registry_tree

TOP, CHILD = Descriptor(INDEX, "a" * 64, 1), Descriptor(MANIFEST, "b" * 64, 2)
PARTS = (Descriptor(CONFIG, "c" * 64, 3), Descriptor(LAYER_GZIP, "d" * 64, 4))
V2 = "docker/registry/v2"


def image(tag: str = "v1", top: Descriptor = TOP, origin: str = "here") -> StoredImage:
    return StoredImage("calico/node", tag, top, (top, CHILD), PARTS, origin)


def test_an_image_takes_blobs_links_and_a_tag() -> None:
    links: dict[str, bytes] = {}

    def put(data: bytes) -> str:
        links[digest_bytes(data)] = data
        return digest_bytes(data)

    tree = registry_tree([image()], put)
    found = {entry.path.removeprefix(V2 + "/"): entry for entry in tree.entries if entry.kind == FILE}
    home = "repositories/calico/node"
    assert {path: links[entry.digest].decode() for path, entry in found.items() if path.endswith("/link")} == {
        f"{home}/_layers/sha256/{'c' * 64}/link": "sha256:" + "c" * 64,
        f"{home}/_layers/sha256/{'d' * 64}/link": "sha256:" + "d" * 64,
        f"{home}/_manifests/revisions/sha256/{'a' * 64}/link": "sha256:" + "a" * 64,
        f"{home}/_manifests/revisions/sha256/{'b' * 64}/link": "sha256:" + "b" * 64,
        f"{home}/_manifests/tags/v1/current/link": "sha256:" + "a" * 64,
        f"{home}/_manifests/tags/v1/index/sha256/{'a' * 64}/link": "sha256:" + "a" * 64,
    }
    assert {path: (entry.digest[0], entry.size) for path, entry in found.items() if path.endswith("/data")} == {
        f"blobs/sha256/{x * 2}/{x * 64}/data": (x, size) for x, size in (("a", 1), ("b", 2), ("c", 3), ("d", 4))
    }
    assert {entry.mode for entry in found.values()} == {0o644}


def test_an_image_by_digest_has_no_tag() -> None:
    tree = registry_tree([image(tag="")], digest_bytes)
    assert not any("/tags" in entry.path for entry in tree.entries)


def test_the_same_image_twice_is_one() -> None:
    assert registry_tree([image(), image()], digest_bytes) == registry_tree([image()], digest_bytes)


def test_two_images_for_one_tag_are_refused_by_name() -> None:
    other = image(top=TOP._replace(digest="e" * 64), origin="quay.io/calico/node:v1")
    with pytest.raises(TagConflict, match=r"here and quay.io/calico/node:v1 are different images.*calico/node:v1"):
        registry_tree([image(), other], digest_bytes)
    registry_tree([image(tag=""), other], digest_bytes)
