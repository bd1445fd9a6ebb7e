"""Composed blobs: read as any other, kept as what they are made of, and missing when a part of that is."""

from __future__ import annotations

import gzip
import io
import os
import random
from typing import TYPE_CHECKING

import pytest

from buildsys.archive.stored import STORED_GZIP, STORED_ZSTD, stored_size
from buildsys.model.composition import Part
from buildsys.model.digest import digest_bytes
from buildsys.store.cas import PACK_LIMIT, BlobMissing
from buildsys.store.local import LocalStore, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIECES = [b"head", random.Random(1).randbytes(PACK_LIMIT + 7), b"", b"t" * 5000]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path)


@pytest.fixture
def store(folder: str) -> Iterator[LocalStore]:
    opened = open_store(folder)
    yield opened
    opened.close()


def compose(store: LocalStore, pieces: list[bytes]) -> str:
    parts = [Part(store.blobs.put(piece), len(piece)) for piece in pieces]
    digest = digest_bytes(b"".join(pieces))
    store.blobs.compose(digest, parts)
    return digest


def lose(store: LocalStore, data: bytes) -> None:
    """Remove a blob, and let the store find out."""
    digest = digest_bytes(data)
    store.flush()
    path = store.blobs.path(digest)
    if path is None:
        with store.database.transaction() as connection:
            connection.execute("DELETE FROM pack WHERE digest = ?", (bytes.fromhex(digest),))
    else:
        os.unlink(path)


@pytest.mark.parametrize("reopened", [False, True])
def test_it_is_a_blob_like_any_other(store: LocalStore, folder: str, *, reopened: bool) -> None:
    whole, digest = b"".join(PIECES), compose(store, PIECES)
    if reopened:
        store.flush()
        store = open_store(folder)
    blobs = store.blobs
    assert blobs.contains(digest)
    assert blobs.missing([digest]) == []
    assert blobs.size(digest) == len(whole)
    assert blobs.path(digest) is None, "it has no file of its own"
    assert blobs.read(digest) == whole
    assert [part.size for part in blobs.parts(digest)] == [len(piece) for piece in PIECES]


def test_it_is_read_from_anywhere(store: LocalStore) -> None:
    whole, digest = b"".join(PIECES), compose(store, PIECES)
    places = random.Random(2)
    with store.blobs.open(digest) as stream:
        assert stream.seek(0, io.SEEK_END) == len(whole)
        assert stream.read(10) == b""
        for _ in range(200):
            at, count = places.randrange(len(whole) + 3), places.randrange(1, 9000)
            assert stream.seek(at) == stream.tell() == at
            found = b""
            while len(found) < count and (data := stream.read(count - len(found))):
                found += data
            assert found == whole[at : at + count]


def test_a_part_may_be_a_stretch_of_a_blob_in_a_form(store: LocalStore) -> None:
    content = random.Random(3).randbytes(300_000)
    blob = store.blobs.put(content)
    for form in (STORED_GZIP, STORED_ZSTD):
        stretches = ((0, 200_000, 0), (200_000, 100_000, 480))
        parts = [
            Part(blob, stored_size(form, length + zeros), form, start, length, zeros)
            for start, length, zeros in stretches
        ]
        digest = digest_bytes(form.encode())
        store.blobs.compose(digest, parts)
        data = store.blobs.read(digest)
        assert len(data) == store.blobs.size(digest) == sum(part.size for part in parts)
        if form == STORED_GZIP:
            assert gzip.decompress(data) == content + bytes(480)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_it_is_missing_when_a_part_is(store: LocalStore, folder: str, number: int) -> None:
    digest = compose(store, PIECES)
    lose(store, PIECES[number])
    blobs = open_store(folder).blobs
    assert not blobs.contains(digest)
    assert blobs.missing([digest]) == [digest]
    with pytest.raises(BlobMissing) as raised:
        blobs.open(digest)
    assert raised.value.digests == (digest,)
    blobs.put(PIECES[number])
    assert blobs.read(digest) == b"".join(PIECES), "and there again with it"


def test_a_part_that_is_lost_while_it_is_read_is_told_by_the_name_of_the_whole(store: LocalStore) -> None:
    digest = compose(store, PIECES)
    with store.blobs.open(digest) as stream:
        lose(store, PIECES[1])
        with pytest.raises(BlobMissing) as raised:
            stream.read()
    assert raised.value.digests == (digest,), "somebody makes that one, and nobody the part"


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE composed SET parts = substr(parts, 1, length(parts) - 1) || ' '",
        "UPDATE composed SET parts = ''",
        "UPDATE composed SET parts = 7",
    ],
)
def test_a_damaged_list_counts_as_missing(store: LocalStore, folder: str, damage: str) -> None:
    digest = compose(store, PIECES)
    store.flush()
    with store.database.transaction() as connection:
        connection.execute(damage)
    blobs = open_store(folder).blobs
    assert not blobs.contains(digest)
    assert blobs.parts(digest) == ()


def test_a_list_of_another_digest_is_not_taken(store: LocalStore, folder: str) -> None:
    one, two = compose(store, PIECES), compose(store, [b"x", b"y"])
    store.flush()
    with store.database.transaction() as connection:
        connection.execute(
            "UPDATE composed SET parts = (SELECT parts FROM composed WHERE digest = ?) WHERE digest = ?",
            (bytes.fromhex(one), bytes.fromhex(two)),
        )
    blobs = open_store(folder).blobs
    assert blobs.contains(one)
    assert not blobs.contains(two)


def test_a_form_of_a_later_program_counts_as_missing(store: LocalStore, folder: str) -> None:
    digest = digest_bytes(b"anything")
    store.blobs.compose(digest, [Part(store.blobs.put(b"content"), 9, "stored 99 gzip", 0, 7, 0)])
    store.flush()
    assert not open_store(folder).blobs.contains(digest)


def test_bytes_of_its_own_come_first(store: LocalStore) -> None:
    digest = compose(store, [b"a", b"b"])
    assert store.blobs.put(b"ab") == digest
    store.flush()
    lose(store, b"a")
    assert store.blobs.read(digest) == b"ab"
