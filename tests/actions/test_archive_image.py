"""ArchiveImage: layers uncompressed, and what an image says of itself is not believed."""

from __future__ import annotations

import gzip
import json
from io import BytesIO

import pytest

from buildsys.actions.archive_image import ArchiveImage
from buildsys.errors import DependencyError
from buildsys.model.action import Artifact, Value
from buildsys.model.digest import digest_bytes
from buildsys.oci import image
from buildsys.oci.manifest import MOST_BYTES
from tests.actions.fake_io import FakeIO

TAR = b"a layer\n" * 1000


def archive(config: bytes, layer: bytes) -> FakeIO:
    """Run the action over an image that is in the store."""
    io = FakeIO()
    described = image.describe(config, image.CONFIG)
    manifest = image.manifest_json(described, [image.describe(layer, image.LAYER_GZIP)])
    for data in (config, layer, manifest):
        io.put_blob(data)
    wanted = Artifact("p", "wanted")
    io.inputs[wanted] = Value(io.put_blob(b""), 0)
    ArchiveImage(wanted=wanted, reference="reg.example/app:1", digest=digest_bytes(manifest)).execute(io)
    return io


def config_of(*diff_ids: str) -> bytes:
    return image.config_json("amd64", diff_ids, epoch=0)


def test_layers_are_uncompressed_and_named_by_what_they_hold() -> None:
    io = archive(config_of(digest_bytes(TAR)), gzip.compress(TAR, mtime=0))
    entries = {entry.path: entry for entry in io.trees[0].entries}
    assert entries[f"{digest_bytes(TAR)}.tar"].digest == digest_bytes(TAR)
    with BytesIO(io.blobs[entries["manifest.json"].digest]) as stream:
        (told,) = json.load(stream)
    assert told["RepoTags"] == ["reg.example/app:1"]
    assert told["Layers"] == [f"{digest_bytes(TAR)}.tar"]


@pytest.mark.parametrize(
    ("config", "layer", "reason"),
    [
        (config_of("0" * 64), gzip.compress(TAR, mtime=0), f"holds sha256:{digest_bytes(TAR)}, its config says"),
        (config_of(), gzip.compress(TAR, mtime=0), "its config names 0 layers, its manifest 1"),
        (b"[]", gzip.compress(TAR, mtime=0), "its config names 0 layers, its manifest 1"),
        (config_of(digest_bytes(TAR)), gzip.compress(TAR, mtime=0)[:-9], "is cut short"),
        (b" " * (MOST_BYTES + 1), gzip.compress(TAR, mtime=0), "is the most that is read of one"),
    ],
)
def test_what_does_not_hold_together_is_refused(config: bytes, layer: bytes, reason: str) -> None:
    with pytest.raises(DependencyError) as caught:
        archive(config, layer)
    assert caught.value.code == "B449"
    assert reason in caught.value.message
