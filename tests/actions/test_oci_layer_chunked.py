"""Layers in the form zstd:chunked, read as its clients do: by the annotations, the table, and ranges of bytes."""

from __future__ import annotations

import hashlib
import json
import random
import struct
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings

from buildsys.actions.oci_layer import OciLayer
from buildsys.actions.tarball import Tarball
from buildsys.archive import frames, tar
from buildsys.errors import ActionFailed
from buildsys.model.tree import Entry, Tree
from tests.actions.test_oci_layer import Layers, digest
from tests.actions.test_oci_layer import expand as expand_all
from tests.archive.trees import Blobs, rootfs, trees

if TYPE_CHECKING:
    from collections.abc import Mapping

CHUNKED = "zstd:chunked"
NEW, OLD = "io.github.containers.zstd-chunked.", "io.containers.zstd-chunked."


def expand(data: bytes) -> bytes:
    """Expand exactly one frame that states its size; what is left of the data is an error."""
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    content = decompressor.decompress(data)
    assert decompressor.eof
    assert not decompressor.unused_data
    return content


def contents(data: bytes, annotations: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the entries of the table that the annotations point at."""
    for name in ("manifest-checksum", "manifest-position"):
        assert annotations[NEW + name] == annotations[OLD + name]
    at, size, length, kind = map(int, annotations[f"{NEW}manifest-position"].split(":"))
    compressed = data[at : at + size]
    assert annotations[f"{NEW}manifest-checksum"] == f"sha256:{digest(compressed)}"
    skippable = struct.unpack("<II", data[at - 8 : at])
    assert skippable == (0x184D2A50, size)
    footer = data[at + size :]
    assert footer == struct.pack("<II4Q", 0x184D2A50, 40, at, size, length, kind) + b"GnUlInUx"
    table = expand(compressed)
    assert len(table) == length
    found = json.loads(table)
    assert found["version"] == kind == 1
    entries: list[dict[str, Any]] = found["entries"]
    return entries


def read(data: bytes, annotations: Mapping[str, str]) -> tuple[list[Entry], dict[str, bytes]]:
    """Return what the table says of the tree, and the files, each from its own ranges of bytes alone."""
    stated: list[Entry] = []
    files: dict[str, bytes] = {}
    rows = contents(data, annotations)
    for number, row in enumerate(rows):
        if row["type"] == "chunk":
            continue
        assert (row["uid"], row["gid"], row["modtime"]) == (0, 0, "1980-01-01T00:00:00Z")
        path = row["name"].removesuffix("/")
        assert row["name"].endswith("/") == (row["type"] == "dir")
        kind = {"reg": "f", "dir": "d", "symlink": "l"}[row["type"]]
        size, mode = row.get("size", 0), row["mode"]
        if kind == "f":
            chunks = [row]
            for other in rows[number + 1 :]:
                if other["type"] != "chunk":
                    break
                chunks.append(other)
            files[path] = _file(data, chunks)
            assert len(files[path]) == size
            assert not size or row["digest"] == f"sha256:{digest(files[path])}"
        entry_digest = digest(files[path]) if kind == "f" else ""
        stated.append(Entry(path, kind, 0 if kind == "l" else mode, entry_digest, size, row.get("linkName", "")))
    return sorted(stated), files


def _file(data: bytes, chunks: list[dict[str, Any]]) -> bytes:
    content, end = b"", chunks[0].get("endOffset", 0)
    if not chunks[0].get("size"):
        assert "offset" not in chunks[0]
        return content
    for number, chunk in enumerate(chunks):
        last = number == len(chunks) - 1
        until = end if last else chunks[number + 1]["offset"]
        assert chunk["name"] == chunks[0]["name"]
        assert number == 0 or chunk["endOffset"] == until, "the last one ends where the file does"
        piece = expand(data[chunk["offset"] : until])
        if len(chunks) > 1:
            assert (chunk["chunkOffset"], chunk["chunkSize"]) == (len(content), len(piece))
            assert chunk["chunkDigest"] == f"sha256:{digest(piece)}"
        content += piece
    return content


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees())
def test_the_table_is_the_tree_and_the_whole_is_the_canonical_archive(made: tuple[Tree, Blobs]) -> None:
    tree, blobs = made
    layers = Layers(blobs)
    Tarball(layers.add(tree), "none").execute(layers.fake)
    plain = layers.fake.outputs[0][0]
    data, said = layers.make(tree, CHUNKED)
    assert expand_all(data, "zstd") == plain
    assert said["diff_id"] == digest(plain)
    assert said["descriptor"]["digest"] == f"sha256:{digest(data)}"
    assert said["descriptor"]["mediaType"] == "application/vnd.oci.image.layer.v1.tar+zstd"
    found, _ = read(data, said["descriptor"]["annotations"])
    assert found == sorted(tree.entries)
    assert layers.make(tree, CHUNKED) == (data, said), "with kept frames and states"
    assert layers.fake.begun == 0
    assert Layers(blobs).make(tree, CHUNKED) == (data, said), "without"


def sliced(blobs: Blobs, *more: Entry) -> Tree:
    noise = random.Random(9)
    squeezable = noise.randbytes(frames.SLICE).hex().encode() + b"7 bytes"
    raw = noise.randbytes(frames.SLICE + 1)
    exact = noise.randbytes(frames.SLICE // 2).hex().encode()
    large = [blobs.file("bin/a", squeezable), blobs.file("bin/raw", raw), blobs.file("bin/same", squeezable, 0o755)]
    return Tree.of([*large, blobs.file("bin/exact", exact), blobs.file("etc/one", b"1"), *more])


def test_large_files_are_chunks() -> None:
    blobs = Blobs()
    tree = sliced(blobs)
    data, said = Layers(blobs).make(tree, CHUNKED)
    annotations = said["descriptor"]["annotations"]
    found, files = read(data, annotations)
    assert found == sorted(tree.entries)
    names = [row["name"] for row in contents(data, annotations) if row["type"] == "chunk"]
    assert names == ["bin/a", "bin/a", "bin/raw", "bin/same", "bin/same"]
    assert hashlib.sha256(files["bin/raw"]).hexdigest() in {entry.digest for entry in tree.entries}
    assert len(expand_all(data, "zstd")) == sum(frames.span(piece) for piece in frames.recipe(tree))


def test_an_edit_makes_one_frame_anew() -> None:
    blobs = Blobs()
    layers = Layers(blobs)
    first = sliced(blobs, *(blobs.file(f"etc/x{n}", b"line of %d\n" % n * 40) for n in range(50)))
    data, said = layers.make(first, CHUNKED)
    edited = blobs.file("etc/x7", b"another line\n" * 40)
    second = Tree.of([edited if entry.path == edited.path else entry for entry in first.entries])

    needed = set(OciLayer(tree=layers.add(second), format=CHUNKED).needs(layers.fake))
    kept = next(entry.digest for entry in first.entries if entry.path == "bin/exact")
    assert kept not in needed, "its frame is kept, and both digests go on from behind it"
    assert edited.digest in needed
    other, told = layers.make(second, CHUNKED)
    assert layers.fake.begun == 1
    before, after = _ranges(data, said), _ranges(other, told)
    assert len(before) == len(after) == 60
    assert len(before - after) == 1


def _ranges(data: bytes, said: dict[str, Any]) -> set[tuple[str, int, str]]:
    """Return the name, place within its file, and compressed bytes of every chunk."""
    rows = [row for row in contents(data, said["descriptor"]["annotations"]) if "offset" in row]
    found = set()
    for number, row in enumerate(rows):
        follows = rows[number + 1] if number + 1 < len(rows) else None
        until = follows["offset"] if follows and follows["type"] == "chunk" else row["endOffset"]
        found.add((row["name"], row.get("chunkOffset", 0), digest(data[row["offset"] : until])))
    return found


def test_frames_without_padding_are_those_of_a_tarball() -> None:
    blobs = Blobs()
    tree = Tree.of([blobs.file("bin/exact", bytes(range(256)) * 64 * 1024)])
    layers = Layers(blobs)
    Tarball(layers.add(tree), "zstd").execute(layers.fake)
    assert layers.fake.begun
    OciLayer(tree=layers.add(tree), format=CHUNKED).anticipate(
        layers.fake, layers.fake.value(layers.add(tree))._replace(digest=tree.entries[1].digest, size=16 << 20)
    )
    layers.make(tree, CHUNKED)
    assert layers.fake.begun == 4, "the digests of slices, and no frame"


def test_frames_with_padding_are_not_taken_for_those_without() -> None:
    blobs = Blobs()
    tree = sliced(blobs)
    layers = Layers(blobs)
    plain = layers.make(tree, "zstd")
    chunked = layers.make(tree, CHUNKED)
    assert chunked == Layers(blobs).make(tree, CHUNKED)
    assert chunked[1]["diff_id"] == plain[1]["diff_id"]
    assert layers.make(tree, "zstd") == plain


def test_what_is_needed_is_enough() -> None:
    blobs = Blobs()
    tree = rootfs(blobs, range(100))
    layers = Layers(blobs)
    layers.make(tree, "zstd")
    operation = OciLayer(tree=layers.add(Tree.of([*tree.entries, *sliced(blobs).entries])), format=CHUNKED)
    layers.fake.blobs.update(blobs.data)
    needed = set(operation.needs(layers.fake))
    for known in blobs.data:
        if known not in needed:
            del layers.fake.blobs[known]
    layers.fake.outputs.clear()
    operation.execute(layers.fake)


def test_a_blob_of_another_size_is_told() -> None:
    blobs = Blobs()
    entry = blobs.file("a", b"four")
    with pytest.raises(ActionFailed, match="does not have the size its tree states"):
        Layers(blobs).make(Tree.of([entry._replace(size=5)]), CHUNKED)


def test_an_empty_tree_has_an_empty_table() -> None:
    data, said = Layers(Blobs()).make(Tree.of([]), CHUNKED)
    assert expand_all(data, "zstd") == tar.END
    assert contents(data, said["descriptor"]["annotations"]) == []
