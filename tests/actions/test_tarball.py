"""Tarballs out of kept frames: equal bytes, little work."""

from __future__ import annotations

import gzip
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildsys.actions.tarball import Tarball
from buildsys.archive import frames, tar
from buildsys.errors import ActionFailed
from buildsys.model.tree import Entry, Tree
from tests.actions.fake_io import FakeIO
from tests.archive.trees import Blobs, rootfs, trees

if TYPE_CHECKING:
    from buildsys.model.action import Artifact

READERS = {
    "none": ["cat"],
    "gzip": ["gzip", "-dc"],
    "zstd": ["zstd", "-dcq"],
    "gzip-single": ["gzip", "-dc"],
    "zstd-single": ["zstd", "-dcq"],
}


def fake_with(tree: Tree, blobs: Blobs) -> tuple[FakeIO, Artifact]:
    fake = FakeIO()
    fake.blobs.update(blobs.data)
    return fake, fake.add_tree(tree)


def emit(fake: FakeIO, tree: Artifact, compression: str = "zstd", level: int = 0, epoch: int = tar.EPOCH) -> bytes:
    fake.outputs.clear()
    fake.begun = 0
    fake.recalled.clear()
    Tarball(tree, compression, level, epoch).execute(fake)
    return fake.outputs[0][0]


def expand(data: bytes, compression: str) -> bytes:
    return subprocess.run(READERS[compression], input=data, capture_output=True, check=True).stdout


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees())
def test_all_forms_hold_the_same_plain_tar_and_are_repeatable(made: tuple[Tree, Blobs]) -> None:
    fake, tree = fake_with(*made)
    plain = emit(fake, tree, "none")
    for compression in READERS:
        first = emit(fake, tree, compression)
        assert expand(first, compression) == plain
        assert emit(fake, tree, compression) == first, "with kept frames"
        assert emit(*fake_with(*made), compression) == first, "without"


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees(), st.integers(1, 70))
def test_slices_of_payloads_change_no_content(made: tuple[Tree, Blobs], kibibytes: int) -> None:
    fake, tree = fake_with(*made)
    plain = emit(fake, tree, "none")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "SLICE", kibibytes << 10)
        assert emit(*fake_with(*made), "none") == plain
        for compression in ("gzip", "zstd"):
            first = emit(*fake_with(*made), compression)
            assert expand(first, compression) == plain


def test_a_large_payload_is_compressed_in_slices() -> None:
    blobs = Blobs()
    size = 2 * frames.SLICE + 5
    fake, tree = fake_with(Tree.of([blobs.file("bin/tool", b"tool\n" * (size // 5))]), blobs)
    emit(fake, tree)
    assert fake.begun == 3


def test_python_reads_all_members_and_the_single_form_is_one() -> None:
    blobs = Blobs()
    fake, tree = fake_with(rootfs(blobs, range(500)), blobs)
    plain = emit(fake, tree, "none")
    assert gzip.decompress(emit(fake, tree, "gzip")) == plain
    assert emit(fake, tree, "gzip").count(b"\x1f\x8b\x08\0\0\0\0\0\0\xff") > 10
    assert emit(fake, tree, "gzip-single").count(b"\x1f\x8b\x08\0\0\0\0\0\0\xff") == 1
    assert emit(fake, tree, "zstd")[:4] == b"\x28\xb5\x2f\xfd"


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_second_tarball_makes_no_frame_and_a_changed_file_one_or_two(compression: str) -> None:
    blobs = Blobs()
    whole = rootfs(blobs, range(1500))
    fake, tree = fake_with(whole, blobs)
    emit(fake, tree, compression)
    assert fake.begun > 10
    emit(fake, tree, compression)
    assert fake.begun == 0
    changed = fake.file("etc/manifests/part-1/1.yaml", b"changed\n")
    other = fake.add_tree(
        Tree.of([entry for entry in whole.entries if entry.path != changed.path] + [changed]), "other"
    )
    emit(fake, other, compression)
    assert fake.begun in {1, 2}


def test_frames_that_were_made_before_a_failure_are_kept() -> None:
    blobs = Blobs()
    tree = Tree.of([blobs.file(f"large-{n:03}", b"%d\n" % n * 40_000) for n in range(100)])
    fake, artifact = fake_with(tree, blobs)
    del fake.blobs[tree.entries[80].digest]
    with pytest.raises(KeyError):
        emit(fake, artifact)
    assert len(fake.remembered) == 80


def test_a_new_time_or_mode_keeps_the_frames_of_payloads() -> None:
    blobs = Blobs()
    tree = Tree.of([blobs.file("bin/tool", b"tool\n" * 50_000, 0o644)])
    fake, artifact = fake_with(tree, blobs)
    emit(fake, artifact)
    other = fake.add_tree(Tree.of([blobs.file("sbin/renamed", b"tool\n" * 50_000, 0o755)]), "other")
    emit(fake, other, epoch=1_700_000_000)
    assert (fake.begun, len(fake.recalled)) == (0, 1)


def test_keys_of_frames_name_content_layout_and_compressor() -> None:
    blobs = Blobs()
    tree = Tree.of([blobs.file("large", b"tool\n" * 50_000), blobs.file("small", b"x")])
    fake, artifact = fake_with(tree, blobs)
    for compression, level in (("zstd", 3), ("zstd", 4), ("gzip", 6)):
        emit(fake, artifact, compression, level)
    assert len(fake.remembered) == 6
    digest = tree.entries[0].digest
    from buildsys.adapters.zstd import library_version

    assert f"frame 2 payload {digest} 0 zstd-{library_version()}-level4" in fake.remembered


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_what_is_compressed_already_is_stored_and_not_kept_twice(compression: str) -> None:
    blobs = Blobs()
    noise = gzip.compress(os.urandom(300_000))
    tree = Tree.of([blobs.file("images/layer", noise), blobs.file("plain", b"text\n" * 50_000)])
    fake, artifact = fake_with(tree, blobs)
    before = len(fake.blobs)
    first = emit(fake, artifact, compression)
    assert len(fake.blobs) == before + 1, "the frame of the text alone"
    assert noise[:60_000] in first
    assert emit(fake, artifact, compression) == first
    assert fake.begun == 0
    assert expand(first, compression) == emit(fake, artifact, "none")


def test_a_tarball_needs_only_the_blobs_it_will_read() -> None:
    blobs = Blobs()
    text, noise = blobs.file("text", b"text\n" * 50_000), blobs.file("noise", os.urandom(100_000))
    small, twin = blobs.file("small", b"x"), blobs.file("twin", b"x")
    tree = Tree.of([text, noise, small, twin, blobs.file("empty", b"")])
    fake, artifact = fake_with(tree, blobs)
    root = fake.value(artifact).digest
    everything = sorted([root, text.digest, noise.digest, small.digest])
    for compression in READERS:
        assert sorted(Tarball(artifact, compression).needs(fake)) == everything
    emit(fake, artifact, "zstd")
    assert sorted(Tarball(artifact, "zstd").needs(fake)) == sorted([root, noise.digest])
    del fake.blobs[text.digest], fake.blobs[small.digest]
    emit(fake, artifact, "zstd")
    assert sorted(Tarball(artifact, "none").needs(fake)) == everything


@pytest.mark.parametrize(
    ("compression", "tools"),
    [("none", ()), ("gzip", ("zlib",)), ("gzip-single", ("zlib",)), ("zstd", ("zstd",)), ("zstd-single", ("zstd",))],
)
def test_tools_are_those_of_the_compression(compression: str, tools: tuple[str, ...]) -> None:
    operation = Tarball(FakeIO().add_tree(Tree.of([])), compression)
    assert operation.tools == tools
    assert not operation.STORED


@pytest.mark.parametrize(
    ("compression", "level", "epoch", "reason"),
    [
        ("lz4", 0, 0, "unknown compression 'lz4'; known: none, gzip"),
        ("none", 3, 0, "'none' has no level"),
        ("gzip", 10, 0, "gzip has levels 1 to 9, not 10"),
        ("zstd", 20, 0, "zstd has levels 1 to 19, not 20"),
        ("zstd", -1, 0, "zstd has levels 1 to 19, not -1"),
        ("zstd", 3, -1, "an mtime of -1 seconds cannot be stated"),
    ],
)
def test_attributes_that_cannot_be_are_refused(compression: str, level: int, epoch: int, reason: str) -> None:
    fake = FakeIO()
    tree = fake.add_tree(Tree.of([fake.file("a", b"x")]))
    with pytest.raises(ActionFailed) as caught:
        emit(fake, tree, compression, level, epoch)
    assert caught.value.code == "B705"
    assert reason in caught.value.message
    assert Tarball(tree, compression, level, epoch).needs(fake)


@pytest.mark.parametrize("compression", READERS)
@pytest.mark.parametrize("size", [70_000, 1])
@pytest.mark.parametrize("change", [-1, 1])
def test_a_blob_of_another_size_than_its_tree_states_is_refused(compression: str, size: int, change: int) -> None:
    fake = FakeIO()
    entry = fake.file("a", b"x" * size)
    fake.blobs[entry.digest] = b"x" * (size + change)
    tree = fake.add_tree(Tree((Entry(*entry),)))
    with pytest.raises(ActionFailed) as caught:
        emit(fake, tree, compression)
    assert caught.value.code == "B706"
    assert not fake.remembered
