"""Images and indexes: their JSON, and the layouts that they stand in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from buildsys.actions.oci_image import LayerFiles, OciImage, OciIndex
from buildsys.actions.oci_split import OciSplit
from buildsys.errors import ActionFailed
from buildsys.model.action import Artifact
from buildsys.model.tree import Tree
from buildsys.oci import image
from buildsys.oci.image import Descriptor
from buildsys.oci.layer import Layer
from tests.actions.fake_io import FakeIO
from tests.archive.trees import Blobs

if TYPE_CHECKING:
    from buildsys.model.digest import Digest

A, B, C = "a" * 64, "b" * 64, "c" * 64


def layer(fake: FakeIO, name: str, digest: Digest, entries: int = 3) -> LayerFiles:
    said = Layer(Descriptor(image.LAYER_GZIP, digest, 100), digest[::-1].replace(digest[0], "d"), entries)
    return LayerFiles(Artifact("pkg", f"{name}.tar"), fake.add(f"{name}.json", said.to_bytes()), name)


class Layout:
    """A layout as a test looks at it."""

    def __init__(self, fake: FakeIO, output: int = 0) -> None:
        self.tree = fake.trees[output]
        self._fake = fake
        self._files = {entry.path: entry.digest for entry in self.tree.entries}

    def json(self, digest: str) -> Any:
        return json.loads(self._fake.blobs[self._files[f"blobs/sha256/{digest.removeprefix('sha256:')}"]])

    @property
    def named(self) -> Any:
        (found,) = json.loads(self._fake.blobs[self._files["index.json"]])["manifests"]
        return found

    @property
    def blobs(self) -> set[str]:
        return {path.rpartition("/")[2] for path in self._files if path.startswith("blobs/sha256/")}


def made(fake: FakeIO, *layers: LayerFiles, **more: Any) -> Layout:
    OciImage(layers=layers, arch=more.pop("arch", "arm64"), ref="v1", **more).execute(fake)
    return Layout(fake)


def test_an_image_has_its_layers_its_labels_and_no_time() -> None:
    fake = FakeIO()
    layout = made(
        fake, layer(fake, "large", A), layer(fake, "rest", B), labels=(("k", "v"),), annotations=(("note", "n"),)
    )
    manifest = layout.json(layout.named["digest"])
    assert layout.named["mediaType"] == manifest["mediaType"] == image.MANIFEST
    assert layout.named["platform"] == {"architecture": "arm64", "os": "linux"}
    assert [found["digest"] for found in manifest["layers"]] == [f"sha256:{A}", f"sha256:{B}"]
    assert manifest["annotations"] == {"note": "n"}
    config = layout.json(manifest["config"]["digest"])
    assert config["architecture"] == "arm64"
    assert config["config"]["Labels"] == {"k": "v"}
    assert config["rootfs"]["diff_ids"] == ["sha256:" + "d" * 64] * 2
    assert [entry["created_by"] for entry in config["history"]] == ["buildsys: large", "buildsys: rest"]
    assert {config["created"], *(entry["created"] for entry in config["history"])} == {"1980-01-01T00:00:00Z"}
    digests = {layout.named["digest"], manifest["config"]["digest"], *(f["digest"] for f in manifest["layers"])}
    assert {f"sha256:{digest}" for digest in layout.blobs} == digests


def test_empty_layers_are_left_out_but_one_is_there() -> None:
    fake = FakeIO()
    empty, other = layer(fake, "large", A, 0), layer(fake, "rest", C, 0)
    full = layer(fake, "registry/", B)
    layout = made(fake, empty, full, other)
    assert [found["digest"] for found in layout.json(layout.named["digest"])["layers"]] == [f"sha256:{B}"]
    layout = made(fake, empty, other)
    assert [found["digest"] for found in layout.json(layout.named["digest"])["layers"]] == [f"sha256:{A}"]


def test_sealer_finds_what_it_looks_for() -> None:
    fake = FakeIO()
    images = fake.add("images", b'# ours\nnginx:1.25\n\n"quay.io/a/b:v1" # quoted\nnginx:1.25\n')
    layout = made(fake, layer(fake, "rest", A), images=images, sealer_type="kube-installer")
    annotations = layout.json(layout.named["digest"])["annotations"]
    platform = {"architecture": "arm64", "os": "linux"}
    assert json.loads(annotations["sealer.image.container.images"]) == [
        {"image": "docker.io/library/nginx:1.25", "platform": platform},
        {"image": "quay.io/a/b:v1", "platform": platform},
    ]
    extension = json.loads(annotations["sealer.image.extension"])
    assert (extension["schemaVersion"], extension["type"]) == ("v1alpha1", "kube-installer")


def test_what_is_written_goes_before_what_is_generated() -> None:
    fake = FakeIO()
    own = (("sealer.image.extension", "{}"),)
    layout = made(fake, layer(fake, "rest", A), sealer_type="kube-installer", annotations=own)
    assert layout.json(layout.named["digest"])["annotations"] == dict(own)


def test_a_line_that_is_no_image_is_told_with_its_place() -> None:
    fake = FakeIO()
    images = fake.add("images", b"nginx:1.25\nNGINX\n")
    with pytest.raises(ActionFailed, match="NGINX") as raised:
        made(fake, layer(fake, "rest", A), images=images, shown="pkg/a/images.txt")
    assert str(raised.value.at) == "pkg/a/images.txt:2:1"


def test_no_layer_is_needed_to_make_an_image() -> None:
    fake = FakeIO()
    files = layer(fake, "rest", A)
    needed = list(OciImage(layers=(files,), arch="amd64", ref="v1").needs(fake))
    assert needed == [fake.value(files.description).digest]


def test_an_index_has_the_images_and_all_their_blobs() -> None:
    fake = FakeIO()
    shared = layer(fake, "shared", A)
    layouts, blobs = [], set[str]()
    for arch, digest in (("amd64", B), ("arm64", C)):
        one = made(fake, shared, layer(fake, f"rest-{arch}", digest), arch=arch)
        blobs |= one.blobs
        layouts.append((one.named["digest"], fake.add_tree(one.tree, arch)))
    OciIndex(layouts=tuple(tree for _, tree in layouts), ref="v2", annotations=(("a", "b"),)).execute(fake)
    layout = Layout(fake)
    assert layout.named["mediaType"] == image.INDEX
    assert layout.named["annotations"] == {"org.opencontainers.image.ref.name": "v2"}
    index = layout.json(layout.named["digest"])
    assert index["annotations"] == {"a": "b"}
    assert [(m["digest"], m["platform"]["architecture"]) for m in index["manifests"]] == [
        (layouts[0][0], "amd64"),
        (layouts[1][0], "arm64"),
    ]
    assert all("annotations" not in manifest for manifest in index["manifests"])
    assert layout.blobs == blobs | {layout.named["digest"].removeprefix("sha256:")}


def test_a_division_reads_no_file_and_tells_a_whiteout() -> None:
    fake, blobs = FakeIO(), Blobs()
    tree = fake.add_tree(Tree.of([blobs.file("a", b"1"), blobs.file("b", b"2")]), "all")
    shared = fake.add_tree(Tree.of([blobs.file("a", b"1")]), "shared")
    operation = OciSplit(tree=tree, shared=shared)
    assert list(operation.needs(fake)) == [fake.value(tree).digest, fake.value(shared).digest]
    operation.execute(fake)
    assert [[entry.path for entry in fake.trees[n].entries] for n in range(3)] == [[], ["a"], ["b"]]
    hostile = fake.add_tree(Tree.of([blobs.file("etc/.wh.shadow", b"")]), "hostile")
    with pytest.raises(ActionFailed, match=r"etc/\.wh\.shadow") as raised:
        OciSplit(tree=hostile).execute(fake)
    assert raised.value.code == "B709"
