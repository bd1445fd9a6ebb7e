"""Reading a storage tree: an image is there for an architecture only with all that a node will fetch."""

from __future__ import annotations

import json

import pytest

from buildsys.actions.sample import SampleRegistry
from buildsys.model.tree import Entry, Tree
from buildsys.oci import image
from buildsys.oci.registry_storage import Incomplete, NotStored, Storage
from buildsys.oci.registry_tree import StoredImage, registry_tree
from tests.actions.fake_io import FakeIO

V2 = "docker/registry/v2"


def sample(arch: str = "arm64") -> tuple[FakeIO, Tree]:
    """Return a registry with one image, below an index for both architectures, of which one is there."""
    fake = FakeIO()
    SampleRegistry(images=fake.add("list", b"quay.io/calico/node:v3\n"), arch=arch).execute(fake)
    return fake, fake.trees[0]


def storage(fake: FakeIO, tree: Tree, folder: str = "") -> Storage:
    return Storage(tree, folder, lambda digest: fake.blobs[digest])


def without(tree: Tree, part: str) -> list[Entry]:
    kept = [entry for entry in tree.entries if part not in entry.path]
    assert len(kept) < len(tree.entries), part
    return kept


def why(fake: FakeIO, tree: Tree, arch: str = "arm64") -> str:
    with pytest.raises(Incomplete) as caught:
        storage(fake, tree).find("calico/node", "v3", "", arch)
    return str(caught.value)


def test_an_image_is_found_by_tag_and_by_each_of_its_digests() -> None:
    fake, tree = sample()
    found = storage(fake, tree).find("calico/node", "v3", "", "arm64")
    assert found.link == f"{V2}/repositories/calico/node/_manifests/tags/v3/current/link"
    assert found.top != found.manifest
    for digest in (found.top, found.manifest):
        again = storage(fake, tree).find("calico/node", "v3", f"sha256:{digest}", "arm64")
        assert (again.top, again.manifest) == (digest, found.manifest)
    assert storage(fake, tree).names() == ["calico/node:v3"]
    assert set(storage(fake, tree).manifests()) == {found.top, found.manifest}


def test_the_folder_of_the_registry_is_part_of_the_paths() -> None:
    fake, tree = sample()
    moved = Tree.of(entry._replace(path=f"registry/{entry.path}") for entry in tree.entries)
    assert storage(fake, moved, "registry").find("calico/node", "v3", "", "arm64").link.startswith(f"registry/{V2}/")
    with pytest.raises(NotStored):
        storage(fake, moved).find("calico/node", "v3", "", "arm64")


@pytest.mark.parametrize(
    ("path", "tag", "digest"),
    [
        ("calico/node", "v4", ""),
        ("calico/cni", "v3", ""),
        ("calico/node", "v3", "sha256:" + "0" * 64),
        ("x", "", "sha512:1"),
    ],
)
def test_what_is_not_there(path: str, tag: str, digest: str) -> None:
    with pytest.raises(NotStored):
        storage(*sample()).find(path, tag, digest, "arm64")


def test_a_sparse_index_is_no_image_of_the_other_architecture() -> None:
    fake, tree = sample()
    assert "the manifest sha256:" in why(fake, tree, "amd64")
    assert why(fake, tree, "riscv64") == "its index has no image for linux/riscv64, but for linux/amd64, linux/arm64"


def test_all_that_a_node_fetches_must_be_there() -> None:
    fake, tree = sample()
    found = storage(fake, tree).find("calico/node", "v3", "", "arm64")
    document = json.loads(fake.blobs[found.manifest])
    config, layer = document["config"]["digest"][7:], document["layers"][0]["digest"][7:]
    for digest in (found.manifest, config, layer):
        assert f"blobs/sha256/{digest[:2]}/{digest}/data is missing" in why(
            fake, Tree(tuple(without(tree, f"{digest}/data")))
        )
    for part, what in ((f"_layers/sha256/{config}/", "config"), (f"_layers/sha256/{layer}/", "layer")):
        assert f"the {what} of calico/node" in why(fake, Tree(tuple(without(tree, part))))
    assert "leads to no manifest" in why(fake, Tree(tuple(without(tree, f"revisions/sha256/{found.top}"))))


def test_links_and_blobs_hold_what_their_paths_say() -> None:
    fake, tree = sample()
    found = storage(fake, tree).find("calico/node", "v3", "", "arm64")
    newline = fake.file("x", f"sha256:{found.manifest}\n".encode())
    link = f"revisions/sha256/{found.manifest}/link"
    changed = [
        e._replace(digest=newline.digest, size=newline.size) if e.path.endswith(link) else e for e in tree.entries
    ]
    assert "holds something else" in why(fake, Tree(tuple(changed)))
    data = f"{found.manifest}/data"
    changed = [e._replace(digest=newline.digest) if e.path.endswith(data) else e for e in tree.entries]
    assert "is not what it should be" in why(fake, Tree(tuple(changed)))


def lone(fake: FakeIO, arch: str, size_off: int = 0) -> Tree:
    """Return a registry with an image below no index."""
    config = image.config_json(arch, [], epoch=0)
    described = image.describe(config, image.CONFIG)
    manifest = image.manifest_json(described._replace(size=described.size + size_off), [])
    top = image.describe(manifest, image.MANIFEST)
    for data in (config, manifest):
        fake.put_blob(data)
    return registry_tree([StoredImage("calico/node", "v3", top, (top,), (described,))], fake.put_blob)


def test_an_image_without_an_index_is_told_by_its_config() -> None:
    fake = FakeIO()
    tree = lone(fake, "arm64")
    assert storage(fake, tree).find("calico/node", "v3", "", "arm64").manifest
    assert why(fake, tree, "amd64") == "it is an image of calico/node for arm64, without an index"
    assert "has not the size that its manifest states" in why(fake, lone(fake, "arm64", 1))


@pytest.mark.parametrize("top", [b"no json", b"[]", b'{"layers": 7}', b'{"config": {"digest": "sha256:zz"}}'])
def test_what_is_no_manifest_is_no_image(top: bytes) -> None:
    fake = FakeIO()
    described = image.describe(top, image.MANIFEST)
    fake.put_blob(top)
    tree = registry_tree([StoredImage("calico/node", "v3", described, (described,), ())], fake.put_blob)
    assert why(fake, tree)


def test_indexes_nest_only_so_deep() -> None:
    fake = FakeIO()
    inner = image.describe(image.manifest_json(image.describe(b"{}", image.CONFIG), []), image.MANIFEST, "arm64")
    everything = []
    for _ in range(5):
        data = image.index_json([inner])
        fake.put_blob(data)
        inner = image.describe(data, image.INDEX, "arm64")
        everything.append(inner)
    stored = StoredImage("calico/node", "v3", inner, tuple(everything), ())
    assert "more than 3 indexes" in why(fake, registry_tree([stored], fake.put_blob))
