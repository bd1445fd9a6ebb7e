"""Image layouts: the files of one, and what its name stands for."""

from __future__ import annotations

import json

import pytest

from buildsys.oci import image
from buildsys.oci.layout import blobs_of, is_ref_name, layout_tree, top_of
from tests.archive.trees import Blobs


def test_a_layout_names_one_image() -> None:
    blobs = Blobs()

    def put(data: bytes) -> str:
        return blobs.file("", data).digest

    data = b'{"schemaVersion":2}'
    top = image.describe(data, image.MANIFEST, "arm64")
    layer = image.describe(b"layer", image.LAYER_GZIP)
    tree = layout_tree(top, "v1.2.3", [top, layer, layer], put)
    assert [entry.path for entry in tree.entries] == [
        "blobs",
        "blobs/sha256",
        *sorted(f"blobs/sha256/{one.digest}" for one in (top, layer)),
        "index.json",
        "oci-layout",
    ]
    files = {entry.path: blobs.data[entry.digest] for entry in tree.entries if entry.digest in blobs.data}
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (named,) = json.loads(files["index.json"])["manifests"]
    assert named["annotations"] == {"org.opencontainers.image.ref.name": "v1.2.3"}
    assert named["platform"] == {"architecture": "arm64", "os": "linux"}
    assert top_of(tree, blobs.data.__getitem__) == top
    assert [entry.digest for entry in blobs_of(tree)] == sorted([top.digest, layer.digest])


@pytest.mark.parametrize("ref", ["latest", "v1.28.15", "a-b_c.d", "docker.io/library/x:1.0", "a@b+c", "a--b"])
def test_names_of_images_in_a_layout(ref: str) -> None:
    assert is_ref_name(ref)


@pytest.mark.parametrize("ref", ["", "-a", "a-", "a b", "a..b", "a//b", "a/", "é", "a\n", "a---b"])
def test_no_names_of_images_in_a_layout(ref: str) -> None:
    assert not is_ref_name(ref)
