"""Blobs that take long to arrive: what has come is kept, gone on with, and never taken for more than it is."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from buildsys.errors import EnvironmentFault
from buildsys.model.digest import digest_bytes
from buildsys.store.cas import PACK_LIMIT
from buildsys.store.local import LocalStore, open_store
from buildsys.store.partial import ABANDONED_SECONDS, resumed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from buildsys.store.cas import BlobWriter

LARGE = bytes(range(251)) * (4 * PACK_LIMIT // 251)
DIGEST = digest_bytes(LARGE)
HALF = len(LARGE) // 2


class BrokenOffError(Exception):
    """What ends an attempt."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    opened = open_store(str(tmp_path))
    yield opened
    opened.close()


def writing(store: LocalStore, data: bytes = LARGE) -> AbstractContextManager[BlobWriter]:
    return resumed(store.blobs, store.root, digest_bytes(data), len(data), lambda: None)


def break_off(store: LocalStore, part: bytes, *, wrong: bool = False, of: bytes = LARGE) -> None:
    """Make an attempt that ends after `part`."""
    with suppress(BrokenOffError), writing(store, of) as writer:
        writer.write(part)
        if wrong:
            writer.abandon()
        raise BrokenOffError


def partial(store: LocalStore) -> dict[str, bytes]:
    folder = os.path.join(store.root, "partial")
    found = {}
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        with open(os.path.join(folder, name), "rb") as stream:
            found[name] = stream.read()
    return found


def put_partial(store: LocalStore, data: bytes) -> str:
    path = os.path.join(store.root, "partial", DIGEST)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as stream:
        stream.write(data)
    return path


def test_a_blob_that_arrives_at_once(store: LocalStore) -> None:
    with writing(store) as writer:
        assert writer.size == 0
        writer.write(LARGE[:9])
        writer.write(LARGE[9:])
        assert not store.blobs.contains(DIGEST), "nothing counts before it is whole"
    assert (writer.digest, writer.size) == (DIGEST, len(LARGE))
    assert store.blobs.read(DIGEST) == LARGE
    path = store.blobs.path(DIGEST)
    assert path
    assert os.stat(path).st_mode & 0o777 == 0o444
    assert partial(store) == {}


def test_what_broke_off_is_gone_on_with_in_this_build_and_in_the_next(store: LocalStore, tmp_path: Path) -> None:
    break_off(store, LARGE[:HALF])
    assert partial(store) == {DIGEST: LARGE[:HALF]}
    break_off(store, LARGE[HALF : HALF + 7])
    assert not store.blobs.contains(DIGEST)
    assert os.listdir(os.path.join(store.root, "tmp")) == []
    store.close()
    again = open_store(str(tmp_path))
    with writing(again) as writer:
        assert writer.size == HALF + 7
        assert writer.hexdigest() == digest_bytes(LARGE[: HALF + 7]), "what is there was hashed again"
        writer.write(LARGE[HALF + 7 :])
    assert again.blobs.read(DIGEST) == LARGE
    assert partial(again) == {}
    again.close()


def test_a_blob_that_was_whole_but_not_yet_counted(store: LocalStore) -> None:
    put_partial(store, LARGE)
    with writing(store) as writer:
        assert (writer.size, writer.hexdigest()) == (len(LARGE), DIGEST)
    assert store.blobs.read(DIGEST) == LARGE


def test_nothing_is_kept_of_an_attempt_that_brought_nothing(store: LocalStore) -> None:
    break_off(store, b"")
    assert partial(store) == {}


def test_wrong_bytes_are_dropped_and_the_next_attempt_begins_anew(store: LocalStore) -> None:
    break_off(store, b"x" * HALF, wrong=True)
    assert partial(store) == {}
    with writing(store) as writer:
        assert writer.size == 0
        writer.write(LARGE)
    assert store.blobs.read(DIGEST) == LARGE


def test_what_is_longer_than_the_blob_is_none_of_it(store: LocalStore) -> None:
    put_partial(store, LARGE + b"x")
    with writing(store) as writer:
        assert writer.size == 0
        writer.write(LARGE)
    assert store.blobs.read(DIGEST) == LARGE


def test_a_blob_counts_under_the_digest_of_its_bytes_whatever_was_expected(store: LocalStore) -> None:
    other = LARGE[::-1]
    with writing(store) as writer:
        writer.write(other)
    assert not store.blobs.contains(DIGEST)
    assert store.blobs.read(digest_bytes(other)) == other


def test_while_another_process_writes_it_a_second_one_writes_its_own(store: LocalStore) -> None:
    path = put_partial(store, LARGE[:HALF])
    with open(path, "rb") as other:
        fcntl.flock(other.fileno(), fcntl.LOCK_EX)
        with writing(store) as writer:
            assert writer.size == 0
            writer.write(LARGE)
        assert store.blobs.read(DIGEST) == LARGE
        assert partial(store) == {DIGEST: LARGE[:HALF]}, "that of the other one"
    with writing(store) as writer:
        assert writer.size == HALF
        writer.abandon()


def test_two_threads_of_one_process_do_not_share_it_either(store: LocalStore) -> None:
    with writing(store) as first, writing(store) as second:
        first.write(LARGE[:HALF])
        second.write(LARGE)
        first.write(LARGE[HALF:])
    assert store.blobs.read(DIGEST) == LARGE
    assert partial(store) == {}


def test_a_file_that_was_replaced_meanwhile_is_not_written_to(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening and locking it another process finishes the blob: the file opened is the blob itself now."""
    path = put_partial(store, LARGE[:HALF])
    real = fcntl.flock

    def flock(stream: int, operation: int) -> None:
        if os.path.exists(path):
            os.rename(path, f"{path}.taken")
        real(stream, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with writing(store) as writer:
        assert writer.size == 0
        writer.write(LARGE)
    with open(f"{path}.taken", "rb") as stream:
        assert stream.read() == LARGE[:HALF]


@pytest.mark.parametrize("size", [0, 1, PACK_LIMIT - 1])
def test_small_blobs_are_not_kept(store: LocalStore, size: int) -> None:
    data = b"s" * size
    break_off(store, data, of=data)
    assert partial(store) == {}
    with writing(store, data) as writer:
        writer.write(data)
    assert store.blobs.read(digest_bytes(data)) == data


def test_what_nobody_goes_on_with_is_rubbish_after_a_week(store: LocalStore, tmp_path: Path) -> None:
    path = put_partial(store, LARGE[:HALF])
    young, old = time.time() - ABANDONED_SECONDS + 3600, time.time() - ABANDONED_SECONDS - 3600
    store.close()
    for when, left in ((young, {DIGEST: LARGE[:HALF]}), (old, {})):
        os.utime(path, (when, when))
        again = open_store(str(tmp_path))
        assert partial(again) == left
        again.close()


def test_a_store_that_cannot_be_written_is_a_fault_of_this_machine(store: LocalStore) -> None:
    with open(os.path.join(store.root, "partial"), "wb"):
        pass
    with pytest.raises(EnvironmentFault) as caught, writing(store):
        pass
    assert caught.value.code == "B504"
    assert caught.value.hint


def fill_disk(writer: BlobWriter) -> None:
    writer.write(LARGE[:HALF])
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_keeps_what_has_arrived(store: LocalStore) -> None:
    with pytest.raises(EnvironmentFault) as caught, writing(store) as writer:
        fill_disk(writer)
    assert caught.value.code == "B501"
    assert partial(store) == {DIGEST: LARGE[:HALF]}
