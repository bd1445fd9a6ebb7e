"""Layers out of kept frames: the right bytes and digests, and little work for an edit."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from buildsys.actions.oci_layer import OciLayer
from buildsys.actions.tarball import Tarball
from buildsys.adapters import sha256
from buildsys.archive import frames, tar
from buildsys.errors import ActionFailed
from buildsys.model.tree import Tree
from tests.actions.fake_io import FakeIO
from tests.archive.trees import Blobs, rootfs, trees

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildsys.model.action import Artifact, Value

READERS = {"gzip": ["gzip", "-dc"], "zstd": ["zstd", "-dcq"]}
MEDIA_TYPES = {
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}


class Layers:
    """What layers are made with."""

    def __init__(self, blobs: Blobs) -> None:
        self.fake = FakeIO()
        self._blobs = blobs

    def make(self, tree: Tree, layer_format: str = "gzip", level: int = 0) -> tuple[bytes, dict[str, Any]]:
        """Make a layer; return its bytes and what is said of it."""
        fake = self.fake
        for known in (fake.outputs, fake.parts, fake.recalled):
            known.clear()
        fake.begun = 0
        OciLayer(tree=self.add(tree), format=layer_format, level=level).execute(fake)
        return fake.outputs[0][0], json.loads(fake.outputs[1][0])

    def add(self, tree: Tree) -> Artifact:
        self.fake.inputs.clear()
        self.fake.blobs.update(self._blobs.data)
        return self.fake.add_tree(tree)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def expand(data: bytes, layer_format: str) -> bytes:
    return subprocess.run(READERS[layer_format], input=data, capture_output=True, check=True).stdout


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees())
def test_a_layer_is_the_canonical_archive_compressed(made: tuple[Tree, Blobs]) -> None:
    tree, blobs = made
    layers = Layers(blobs)
    Tarball(layers.add(tree), "none").execute(layers.fake)
    plain = layers.fake.outputs[0][0]
    for layer_format in READERS:
        data, said = layers.make(tree, layer_format)
        assert expand(data, layer_format) == plain
        assert said == {
            "descriptor": {
                "digest": f"sha256:{digest(data)}",
                "mediaType": MEDIA_TYPES[layer_format],
                "size": len(data),
            },
            "diff_id": digest(plain),
            "entries": len(tree.entries),
        }
        assert layers.make(tree, layer_format) == (data, said), "with kept frames and states"
        assert Layers(blobs).make(tree, layer_format) == (data, said), "without"


@pytest.mark.parametrize("layer_format", READERS)
def test_it_is_what_the_tarball_of_the_tree_is_and_shares_its_frames(layer_format: str) -> None:
    blobs = Blobs()
    tree = rootfs(blobs, range(300))
    layers = Layers(blobs)
    Tarball(layers.add(tree), layer_format).execute(layers.fake)
    tarball = layers.fake.outputs[0][0]
    data, _ = layers.make(tree, layer_format)
    assert data == tarball
    assert layers.fake.begun == 0


def test_a_level_is_heeded() -> None:
    blobs = Blobs()
    tree = rootfs(blobs, range(300))
    layers = Layers(blobs)
    assert len(layers.make(tree, "gzip", 9)[0]) < len(layers.make(tree, "gzip", 1)[0])


@pytest.mark.parametrize("layer_format", READERS)
def test_what_does_not_squeeze_is_not_kept_twice(layer_format: str) -> None:
    blobs, noise = Blobs(), random.Random(5)
    payload = noise.randbytes(2 * frames.SLICE + 77)
    tree = Tree.of([blobs.file("registry/blob", payload), blobs.file("registry/link", b"x" * 71)])
    layers = Layers(blobs)
    layers.add(tree)
    before = sum(map(len, layers.fake.blobs.values()))
    data, said = layers.make(tree, layer_format)
    assert digest(expand(data, layer_format)) == said["diff_id"]
    assert sum(map(len, layers.fake.blobs.values())) - before < 20_000
    stored = [part for part in layers.fake.parts[0] if part.form]
    assert [(part.blob, part.start, part.length) for part in stored] == [
        (digest(payload), start, min(frames.SLICE, len(payload) - start))
        for start in (0, frames.SLICE, 2 * frames.SLICE)
    ]


class Counted:
    """Counts the bytes that are hashed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bytes = 0
        update = sha256.Sha256.update

        def counting(hasher: sha256.Sha256, data: bytes) -> None:
            self.bytes += len(data)
            update(hasher, data)

        monkeypatch.setattr(sha256.Sha256, "update", counting)


@pytest.mark.skipif(not sha256.begin().freeze(), reason="no libcrypto.so.3 here")
@pytest.mark.parametrize("layer_format", READERS)
def test_an_edit_costs_its_member_and_what_follows(layer_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs, noise = Blobs(), random.Random(6)
    large = [blobs.file(f"bin/{n}", noise.randbytes(4_500_000).hex().encode()) for n in range(4)]
    small = [blobs.file(f"etc/{n}", b"line of %d\n" % n * 40) for n in range(500)]

    def edited(text: bytes) -> Tree:
        return Tree.of([*large, *small, blobs.file("etc/edited", text)])

    layers = Layers(blobs)
    counted = Counted(monkeypatch)
    first = edited(b"one")
    size = sum(entry.size for entry in first.entries)
    data, _ = layers.make(first, layer_format)
    assert counted.bytes > size + len(data)

    counted.bytes = 0
    data, said = layers.make(edited(b"two"), layer_format)
    assert layers.fake.begun == 1, "the group that it is in"
    assert counted.bytes < 0.25 * size, "of both digests, from the last state on"
    assert digest(expand(data, layer_format)) == said["diff_id"]

    needed = OciLayer(tree=layers.add(edited(b"three")), format=layer_format).needs(layers.fake)
    assert not {entry.digest for entry in large[:3]} & set(needed), "these are not read"


def test_what_is_needed_is_enough() -> None:
    blobs = Blobs()
    tree = rootfs(blobs, range(100))
    layers = Layers(blobs)
    layers.make(tree)
    other = Tree.of([*tree.entries, blobs.file("bin/a-new-one", b"new" * 40_000)])
    operation = OciLayer(tree=layers.add(other))
    needed = set(operation.needs(layers.fake))
    for known in blobs.data:
        if known not in needed:
            del layers.fake.blobs[known]
    layers.fake.outputs.clear()
    operation.execute(layers.fake)


def test_a_blob_of_another_size_is_told() -> None:
    blobs = Blobs()
    entry = blobs.file("a", b"four")
    layers = Layers(blobs)
    with pytest.raises(ActionFailed, match="does not have the size its tree states"):
        layers.make(Tree.of([entry._replace(size=5)]))


def test_an_empty_tree_is_a_layer_of_no_entries() -> None:
    data, said = Layers(Blobs()).make(Tree.of([]))
    assert expand(data, "gzip") == tar.END
    assert said["entries"] == 0


def test_what_is_done_in_advance_is_what_is_done() -> None:
    blobs = Blobs()
    entry = blobs.file("bin/tool", b"tool" * 40_000)
    layers = Layers(blobs)
    tree = layers.add(Tree.of([entry]))
    operation = OciLayer(tree=tree)
    begun: list[str] = []

    def begin(key: str, make: Callable[[], Value], *, fetched: bool = False) -> Callable[[], Value]:
        del fetched
        begun.append(key)
        return make

    layers.fake.begin = begin  # type: ignore[method-assign]
    operation.anticipate(layers.fake, layers.fake.value(tree)._replace(digest=entry.digest, size=entry.size))
    ahead = list(begun)
    begun.clear()
    operation.execute(layers.fake)
    assert ahead
    assert set(ahead) <= set(begun)
    assert operation.in_advance == Tarball(tree, "gzip").in_advance, "and what a tarball does"
