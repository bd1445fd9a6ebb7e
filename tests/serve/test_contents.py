"""What is served: gathered from storage trees, wherever they stand in a tree, and from image layouts."""

from __future__ import annotations

import json

import pytest

from buildsys.errors import UserError
from buildsys.model.digest import digest_bytes
from buildsys.model.tree import FILE, Entry, Tree
from buildsys.oci import image
from buildsys.oci.registry_tree import StoredImage, registry_tree
from buildsys.serve.contents import Contents


class Site:
    """Blobs in memory."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.contents = Contents(lambda digest: self.blobs[digest])

    def put(self, data: bytes) -> str:
        digest = digest_bytes(data)
        self.blobs[digest] = data
        return digest

    def image(self, text: str) -> StoredImage:
        """Return an image of one layer, whose content is `text`."""
        config = image.describe(self._kept(image.config_json("amd64", [], epoch=0)), image.CONFIG)
        layer = image.describe(self._kept(text.encode()), image.LAYER)
        manifest = image.describe(self._kept(image.manifest_json(config, [layer])), image.MANIFEST, "amd64")
        top = image.describe(self._kept(image.index_json([manifest])), image.INDEX)
        return StoredImage("team/app", "1", top, (top, manifest), (config, layer))

    def _kept(self, data: bytes) -> bytes:
        self.put(data)
        return data

    def tree(self, stored: StoredImage, prefix: str = "") -> Tree:
        tree = registry_tree([stored], self.put)
        return Tree.of([entry._replace(path=f"{prefix}{entry.path}") for entry in tree.entries])


@pytest.mark.parametrize("prefix", ["", "registry/", "a/b/registry/"])
def test_a_storage_tree_is_found_in_any_folder(prefix: str) -> None:
    site = Site()
    stored = site.image("x")
    assert site.contents.add(site.tree(stored, prefix), "", "//p:x")
    (repository,) = site.contents.repositories.values()
    assert list(site.contents.repositories) == ["team/app"]
    assert repository.tags == {"1": stored.top.digest}
    assert repository.manifests == {one.digest for one in stored.manifests}
    assert repository.blobs == {one.digest for one in stored.blobs}


def test_equal_images_of_two_trees_unite_and_different_ones_are_told() -> None:
    site = Site()
    assert site.contents.add(site.tree(site.image("x")), "", "//p:first")
    assert site.contents.add(site.tree(site.image("x"), "registry/"), "", "//p:again")
    with pytest.raises(UserError) as caught:
        site.contents.add(site.tree(site.image("y")), "", "//p:other")
    assert caught.value.code == "B437"
    assert caught.value.message == "team/app:1 is one image in //p:first and another in //p:other"


def test_a_layout_is_served_under_the_name_that_is_given_and_its_own_tags() -> None:
    site = Site()
    stored = site.image("x")
    entry = {**stored.top.to_json(), "annotations": {"org.opencontainers.image.ref.name": "v1.2"}}  # type: ignore[dict-item]
    index = site.put(json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
    files = [("index.json", index), ("oci-layout", site.put(b"{}"))]
    tree = Tree.of([Entry(path, FILE, 0o644, digest, len(site.blobs[digest])) for path, digest in files])
    assert site.contents.add(tree, "images/containerd", "//images:containerd")
    repository = site.contents.repositories["images/containerd"]
    assert repository.tags == {"v1.2": stored.top.digest}
    assert repository.manifests == {one.digest for one in stored.manifests}
    assert repository.blobs == {one.digest for one in stored.blobs}


def test_a_tree_without_images_is_none() -> None:
    site = Site()
    assert not site.contents.add(Tree.of([Entry("a", FILE, 0o644, site.put(b"1"), 1)]), "", "//p:x")
