"""Layers of images in the store and in layouts: kept as frames, made again when one is lost, cheap to change."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from buildsys.actions.oci_image import LayerFiles, OciImage
from buildsys.actions.oci_layer import OciLayer
from buildsys.actions.oci_split import OciSplit
from buildsys.actions.tarball import Tarball
from buildsys.execution.delivery import IN_STORE
from buildsys.model.action import make_action
from buildsys.model.digest import digest_bytes
from buildsys.model.label import Label
from buildsys.model.tree import FILE, Entry, Tree
from buildsys.oci.division import layer_names
from tests.execution.engine import BEHAVIOURS, Engine, act, output, source
from tests.execution.engine import Toy as ToyOperation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from buildsys.model.action import Action, ActionIO, Artifact, Operation

NAMES = layer_names(["registry"], shared=False)


def action(operation: Operation, *outputs: Artifact) -> Action:
    label = Label("p", outputs[0].target)
    return make_action(operation, outputs, owner=label, config="", progress="", tools={})


class Bench:
    """An engine with one image: binaries, a registry that holds what is compressed already, and small files."""

    def __init__(self, root: Path, layer_format: str) -> None:
        self.engine = Engine(root)
        noise = random.Random(11)
        self.binaries = [noise.randbytes(1_500_000).hex().encode() for _ in range(3)]
        self.image = noise.randbytes(5_000_000)
        BEHAVIOURS["tree"] = self.tree
        trees = [output(f"{number}", "split") for number, _ in enumerate(NAMES)]
        layers = [(output(f"{number}.tar", "l"), output(f"{number}.json", "l")) for number, _ in enumerate(NAMES)]
        self.layout = output("layout")
        self.actions = [
            act(ToyOperation(name="tree", srcs=(source("s"),)), output("tree")),
            action(OciSplit(tree=output("tree"), separate=("registry",)), *trees),
            *(action(OciLayer(tree=tree, format=layer_format), *out) for tree, out in zip(trees, layers, strict=True)),
            action(
                OciImage(
                    layers=tuple(LayerFiles(*out, name) for out, name in zip(layers, NAMES, strict=True)),
                    arch="amd64",
                    ref="v1",
                ),
                self.layout,
            ),
        ]

    def tree(self, io: ActionIO, srcs: tuple[Artifact, ...]) -> None:
        entries = []
        named = [*((f"bin/{number}", data) for number, data in enumerate(self.binaries)), ("registry/blob", self.image)]
        for path, data in named:
            with io.create_blob() as blob:
                blob.write(data)
            entries.append(Entry(path, FILE, 0o755, blob.digest, blob.size))
        data = io.read(srcs[0])
        entries += [Entry(f"etc/{n}", FILE, 0o644, io.put_blob(b"%d" % n), len(b"%d" % n)) for n in range(100)]
        io.write_tree(Tree.of([*entries, Entry("etc/edited", FILE, 0o644, io.put_blob(data), len(data))]))

    def build(self, text: str) -> list[str]:
        """Build with a text as the source; return what ran."""
        self.engine.source("s", text)
        self.engine.good(self.actions, self.layout)
        self.check(text)
        return self.engine.ran

    def check(self, text: str) -> None:
        """Look at all that is in the layout."""
        found: dict[str, str] = {}
        for digest in self.layers():
            for name, content in members((self.folder / digest).read_bytes()).items():
                assert name not in found
                found[name] = content
        assert found["etc/edited"] == hashlib.sha256(text.encode()).hexdigest()
        assert found["registry/blob"] == hashlib.sha256(self.image).hexdigest()
        assert len(found) == 105
        for name in os.listdir(self.folder):
            assert hashlib.sha256((self.folder / name).read_bytes()).hexdigest() == name

    @property
    def folder(self) -> Path:
        return self.engine.bin("p/layout/blobs/sha256")

    def layers(self) -> list[str]:
        (top,) = json.loads(self.engine.bin("p/layout/index.json").read_bytes())["manifests"]
        manifest = json.loads((self.folder / top["digest"].removeprefix("sha256:")).read_bytes())
        return [layer["digest"].removeprefix("sha256:") for layer in manifest["layers"]]


def members(data: bytes) -> dict[str, str]:
    """Return the files of a compressed archive, with their digests."""
    command = ["gzip", "-dc"] if data.startswith(b"\x1f\x8b") else ["zstd", "-dcq"]
    plain = subprocess.run(command, input=data, capture_output=True, check=True).stdout
    found = {}
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isreg() else None
            if stream:
                found[member.name] = hashlib.sha256(stream.read()).hexdigest()
    return found


@pytest.fixture(params=["gzip", "zstd"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    BEHAVIOURS.clear()
    yield Bench(tmp_path, request.param)
    BEHAVIOURS.clear()


def test_an_edit_makes_one_layer_and_writes_one_small_blob(bench: Bench) -> None:
    bench.build("one")
    before = {name: (bench.folder / name).stat() for name in os.listdir(bench.folder)}
    layers = bench.layers()
    assert bench.build("two") == ["tree", "0", "2.tar", "layout"]
    after = bench.layers()
    assert after[:-1] == layers[:-1]
    assert after[-1] != layers[-1]
    for name in os.listdir(bench.folder):
        found = (bench.folder / name).stat()
        if name in before:
            assert (found.st_ino, found.st_mtime_ns) == (before[name].st_ino, before[name].st_mtime_ns)
        else:
            assert found.st_size < 20_000
    assert not (set(layers) - set(after)) & set(os.listdir(bench.folder)), "the old layer is gone"


def test_the_store_keeps_no_layer_beside_its_frames(bench: Bench) -> None:
    bench.build("one")
    store = bench.engine.open()
    sizes = {digest: (bench.folder / digest).stat().st_size for digest in bench.layers()}
    for digest, size in sizes.items():
        assert store.blobs.path(digest) is None
        assert store.blobs.size(digest) == size
        assert store.blobs.read(digest) == (bench.folder / digest).read_bytes()
    files = sum(path.stat().st_size for path in (bench.engine.store / "v1/cas").rglob("*") if path.is_file())
    store.close()
    payloads = sum(map(len, bench.binaries)) + len(bench.image)
    frames = sum(sizes.values()) - len(bench.image)
    assert files < payloads + frames + 100_000


def test_what_is_lost_is_made_again(bench: Bench) -> None:
    bench.build("one")
    store = bench.engine.open()
    lost = [part.blob for digest in bench.layers() for part in store.blobs.parts(digest)]
    store.close()
    assert len(lost) >= 8
    for digest in bench.layers():
        (bench.folder / digest).unlink()
    bench.engine.lose(*lost)
    bench.engine.good(bench.actions, bench.layout)
    bench.check("one")


def test_what_is_lost_of_an_image_that_is_only_kept_is_made_again(bench: Bench) -> None:
    bench.engine.source("s", "one")
    kept = (bench.layout, IN_STORE)
    outcome = bench.engine.good(bench.actions, kept)
    assert not bench.engine.bin("p/layout").exists()
    store = bench.engine.open()
    tree = Tree.from_bytes(store.blobs.read(outcome.values[bench.layout].digest))
    contents = {entry.digest for entry in tree.entries if entry.digest}
    parts = [part.blob for digest in contents for part in store.blobs.parts(digest)]
    whole = [digest for digest in contents if not store.blobs.parts(digest)]
    store.close()
    assert len(parts) >= 8
    assert len(whole) == 4, "config, manifest, and the files of the layout"
    for lost in ([parts[0]], parts, whole):
        bench.engine.lose(*lost)
        bench.engine.good(bench.actions, kept)
        store = bench.engine.open()
        assert {digest: digest_bytes(store.blobs.read(digest)) for digest in contents} == {d: d for d in contents}
        store.close()


def test_a_lost_list_of_frames_is_made_again(bench: Bench) -> None:
    bench.build("one")
    store = bench.engine.open()
    with store.database.transaction() as connection:
        connection.execute("DELETE FROM composed")
    store.close()
    for digest in bench.layers():
        (bench.folder / digest).unlink()
    bench.engine.good(bench.actions, bench.layout)
    bench.check("one")
    assert "0.tar" in bench.engine.ran


def test_an_archive_of_a_layout_is_made_of_the_same_frames(bench: Bench) -> None:
    archive, path = output("x"), bench.engine.bin("p/x")
    bench.actions.append(action(Tarball(bench.layout, "none"), archive))
    for text in ("one", "two", "three"):
        bench.engine.source("s", text)
        bench.engine.good(bench.actions, archive)
        with tarfile.open(path) as opened:
            names = opened.getnames()
            blobs = [name for name in names if name.startswith("blobs/sha256/")]
            for name in blobs:
                stream = opened.extractfile(name)
                assert stream
                assert hashlib.sha256(stream.read()).hexdigest() == name.rpartition("/")[2]
        assert {"index.json", "oci-layout"} <= set(names)
        assert len(blobs) == 5
    work = bench.engine.work
    assert work["standing"] + work["copied"] + work["written"] == path.stat().st_size


def test_an_archive_copies_frames_within_the_kernel(bench: Bench) -> None:
    archive = output("x")
    bench.actions.append(action(Tarball(bench.layout, "none"), archive))
    bench.engine.source("s", "one")
    bench.engine.good(bench.actions, archive)
    first = bench.engine.bin("p/x").read_bytes()
    bench.engine.bin("p/x").unlink()
    bench.engine.good(bench.actions, archive)
    assert bench.engine.bin("p/x").read_bytes() == first
    work = bench.engine.work
    if work["hashed"] == 0:  # where states of SHA-256 can be kept
        assert work["copied"] > 0.4 * len(first)
        assert work["copied"] + work["written"] == len(first)
