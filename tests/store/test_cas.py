"""The content-addressed store: what is in it is right, or counts as missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildsys.errors import EnvironmentFault
from buildsys.model.action import ActionResult, Value
from buildsys.model.digest import digest_bytes
from buildsys.store import action_cache, cas, rubbish
from buildsys.store.action_cache import ActionCache
from buildsys.store.cas import PACK_LIMIT, BlobMissing, BlobStore
from buildsys.store.local import LocalStore, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
SMALL, LARGE = b"small", b"L" * (PACK_LIMIT + 5)
EDGES = [0, 1, PACK_LIMIT - 1, PACK_LIMIT, PACK_LIMIT + 1, 3 * PACK_LIMIT]


class Stores:
    """One folder, opened as often as is asked for: each time is a process of its own to the store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: list[LocalStore] = []

    def open(self) -> LocalStore:
        store = open_store(str(self.folder))
        self._open.append(store)
        return store

    def file(self, digest: str) -> Path:
        return self.folder / "v1" / "cas" / "sha256" / digest[:2] / digest

    def temporary(self) -> list[str]:
        return sorted(os.listdir(self.folder / "v1" / "tmp"))

    def holding(self, data: bytes) -> str:
        """Put a blob into the store, for good; return its digest."""
        store = self.open()
        digest = store.blobs.put(data)
        store.flush()
        return digest

    def close(self) -> None:
        for store in self._open:
            store.close()


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    made = Stores(tmp_path / "store")
    yield made
    made.close()


class TestReadingBack:
    @pytest.mark.parametrize("size", EDGES)
    def test_a_blob_comes_back(self, stores: Stores, size: int) -> None:
        data = b"x" * size
        store = stores.open()
        digest = store.blobs.put(data)
        assert digest == digest_bytes(data)
        for blobs in (store.blobs, stores.open().blobs):
            store.flush()
            assert blobs.contains(digest)
            assert blobs.size(digest) == size
            assert blobs.read(digest) == data

    @pytest.mark.parametrize("size", EDGES)
    @pytest.mark.parametrize("step", [1000, 1 << 20])
    def test_a_blob_can_be_written_in_pieces(self, stores: Stores, size: int, step: int) -> None:
        data = os.urandom(size)
        store = stores.open()
        with store.blobs.create() as writer:
            for start in range(0, size, step):
                writer.write(data[start : start + step])
            assert writer.hexdigest() == digest_bytes(data)
        assert (writer.digest, writer.size) == (digest_bytes(data), size)
        assert store.blobs.read(writer.digest) == data
        assert stores.temporary() == []

    def test_small_blobs_make_no_files_and_large_ones_are_read_only(self, stores: Stores) -> None:
        small, large = stores.holding(SMALL), stores.holding(LARGE)
        assert not stores.file(small).exists()
        assert stores.file(large).stat().st_mode & 0o777 == 0o444
        blobs = stores.open().blobs
        assert blobs.path(small) is None
        assert blobs.path(large) == str(stores.file(large))

    def test_what_is_not_there_is_missing(self, stores: Stores) -> None:
        blobs, there, other = stores.open().blobs, stores.holding(SMALL), "0" * 64
        assert blobs.missing([other, there, other]) == [other]
        for ask in (blobs.open, blobs.read, blobs.size):
            with pytest.raises(BlobMissing) as caught:
                ask(other)
            assert caught.value.digest == other

    def test_a_blob_that_is_put_twice_is_there_once(self, stores: Stores) -> None:
        assert stores.holding(LARGE) == stores.holding(LARGE)
        assert stores.open().blobs.read(digest_bytes(LARGE)) == LARGE
        assert stores.temporary() == []

    def test_what_is_added_is_seen_by_others_after_a_flush(self, stores: Stores) -> None:
        one, two = stores.open(), stores.open()
        digest = one.blobs.put(SMALL)
        assert one.blobs.contains(digest)
        assert not two.blobs.contains(digest)
        one.flush()
        assert two.blobs.contains(digest)

    def test_many_small_blobs_are_written_before_a_flush_is_asked_for(
        self, stores: Stores, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cas, "FLUSH_COUNT", 10)
        one, two = stores.open(), stores.open()
        first = one.blobs.put(b"0")
        for number in range(1, 12):
            one.blobs.put(str(number).encode())
        assert two.blobs.contains(first)


def flip(path: Path) -> None:
    path.chmod(0o644)
    with path.open("r+b") as stream:
        stream.seek(100)
        stream.write(b"!")


def flip_and_hide(path: Path) -> None:
    before = path.stat()
    flip(path)
    path.chmod(before.st_mode & 0o777)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def truncate(path: Path) -> None:
    os.truncate(path, 1000)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def swap(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"M" * len(LARGE))


class TestDamage:
    @pytest.mark.parametrize("damage", [flip, flip_and_hide, truncate, empty, swap, Path.unlink])
    @pytest.mark.parametrize("ask", ["contains", "open", "path"])
    def test_a_large_blob_that_was_damaged_is_missing_and_removed(
        self, stores: Stores, damage: object, ask: str
    ) -> None:
        digest = stores.holding(LARGE)
        assert callable(damage)
        damage(stores.file(digest))
        blobs = stores.open().blobs
        if ask == "open":
            with pytest.raises(BlobMissing):
                blobs.open(digest)
        elif ask == "path":
            assert blobs.path(digest) is None
        else:
            assert not blobs.contains(digest)
        assert not stores.file(digest).exists()
        assert stores.holding(LARGE) == digest
        assert stores.open().blobs.read(digest) == LARGE

    @pytest.mark.parametrize("data", [b"smalx", b"", b"small and more"])
    def test_a_small_blob_that_was_damaged_is_missing_and_removed(self, stores: Stores, data: bytes) -> None:
        digest = stores.holding(SMALL)
        store = stores.open()
        with store.database.transaction() as connection:
            connection.execute("UPDATE pack SET data = ?", (data,))
        assert not store.blobs.contains(digest)
        assert store.database.rows("SELECT * FROM pack") == []
        assert stores.holding(SMALL) == digest
        assert stores.open().blobs.read(digest) == SMALL

    def test_a_file_whose_times_changed_but_not_its_content_is_kept(self, stores: Stores) -> None:
        digest = stores.holding(LARGE)
        os.utime(stores.file(digest), ns=(1, 1))
        assert stores.open().blobs.read(digest) == LARGE

    def test_a_file_that_nobody_wrote_down_is_judged_by_its_content(self, stores: Stores) -> None:
        digest = stores.holding(LARGE)
        store = stores.open()
        with store.database.transaction() as connection:
            connection.execute("DELETE FROM files")
        assert store.blobs.contains(digest)
        store.flush()
        assert len(store.database.rows("SELECT * FROM files")) == 1

    def test_one_that_is_found_missing_is_looked_for_again(self, stores: Stores) -> None:
        digest = stores.holding(LARGE)
        blobs = stores.open().blobs
        assert blobs.contains(digest)
        stores.file(digest).unlink()
        blobs.forget_soundness()
        assert not blobs.contains(digest)


class TestWriting:
    @pytest.mark.parametrize("data", [SMALL, LARGE])
    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
    def test_a_writer_that_is_given_up_leaves_nothing(
        self, stores: Stores, data: bytes, error: type[BaseException]
    ) -> None:
        store = stores.open()

        def give_up() -> None:
            with store.blobs.create() as writer:
                writer.write(data)
                raise error

        with pytest.raises((error, EnvironmentFault)):
            give_up()
        assert stores.temporary() == []
        assert not store.blobs.contains(digest_bytes(data))

    def test_a_check_that_raises_stops_the_writing(self, stores: Stores) -> None:
        store = stores.open()
        turns = iter([None, None])

        def check() -> None:
            if next(turns, 1):
                raise KeyboardInterrupt

        def write() -> None:
            with store.blobs.create(check) as writer:
                for _ in range(3):
                    writer.write(LARGE)

        with pytest.raises(KeyboardInterrupt):
            write()
        assert stores.temporary() == []

    @pytest.mark.parametrize("call", ["replace", "fdatasync", "fchmod", "makedirs"])
    @pytest.mark.parametrize(
        ("number", "code", "words"),
        [
            (28, "B501", "no space left on the disk that holds"),
            (122, "B501", "no space left"),
            (13, "B502", "is not writable: Permission denied"),
            (30, "B502", "is not writable: Read-only file system"),
            (5, "B504", "Input/output error"),
        ],
    )
    def test_trouble_with_the_disk_is_a_fault_of_the_machine(
        self, stores: Stores, monkeypatch: pytest.MonkeyPatch, call: str, number: int, code: str, words: str
    ) -> None:
        store = stores.open()

        def trouble(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, call, trouble)
        store.blobs.boot = ""  # files are flushed then
        with pytest.raises(EnvironmentFault) as caught:
            store.blobs.put(LARGE)
        assert caught.value.code == code
        assert words in caught.value.message
        assert str(stores.folder) in caught.value.message
        assert caught.value.hint
        monkeypatch.undo()
        assert stores.temporary() == []
        assert store.blobs.put(LARGE) == digest_bytes(LARGE)

    def test_a_folder_that_cannot_be_made_is_a_fault_of_the_machine(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(EnvironmentFault) as caught:
            open_store(str(tmp_path / "file"))
        assert str(tmp_path / "file") in caught.value.message


class TestRubbish:
    def test_files_of_dead_processes_are_removed_and_of_living_ones_kept(self, stores: Stores) -> None:
        stores.open()
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        tmp = stores.folder / "v1" / "tmp"
        own = rubbish.owner().partition("-")[2]
        (tmp / f"{dead.pid}-{own}1").write_bytes(b"half")
        (tmp / f"{dead.pid}-{own}scratch").mkdir()
        (tmp / f"{dead.pid}-{own}scratch" / "file").write_text("")
        kept = [f"{os.getpid()}-{own}1", f"{os.getppid()}-{own}scratch", "README"]
        (tmp / kept[0]).write_bytes(b"half")
        (tmp / kept[1]).mkdir()
        (tmp / kept[2]).write_text("")
        stores.open()
        assert stores.temporary() == sorted(kept)

    def test_files_of_other_containers_are_kept_for_a_day(self, stores: Stores) -> None:
        stores.open()
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        tmp = stores.folder / "v1" / "tmp"
        young, old = tmp / f"{dead.pid}-7-1", tmp / f"{os.getpid()}-7-2"
        young.write_bytes(b"half")
        old.write_bytes(b"half")
        os.utime(old, (time.time() - 100_000,) * 2)
        stores.open()
        assert stores.temporary() == [young.name]

    def test_two_stores_of_one_process_id_write_to_files_of_their_own(self, stores: Stores) -> None:
        one, two = stores.open(), stores.open()
        with one.blobs.create() as first, two.blobs.create() as second:
            first.write(LARGE)
            second.write(LARGE[::-1] + b"other")
        assert one.blobs.read(first.digest) == LARGE
        assert two.blobs.read(second.digest) == LARGE[::-1] + b"other"


class TestOrderOfFlushing:
    def test_no_result_is_seen_before_its_blobs(self, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(action_cache, "FLUSH_COUNT", 0)
        one, two = stores.open(), stores.open()
        digest = one.blobs.put(SMALL)
        seen = []

        def watch() -> None:
            one.blobs.flush()
            seen.append((two.blobs.contains(digest), two.actions.get("a" * 64)))

        actions = ActionCache(one.database, watch)
        actions.put("a" * 64, ActionResult((Value(digest, len(SMALL)),)), "{}")
        assert seen == [(True, None)]
        assert two.actions.get("a" * 64) is not None

    def test_what_could_not_be_flushed_is_flushed_the_next_time(self, stores: Stores) -> None:
        one, two = stores.open(), stores.open()
        digest = one.blobs.put(SMALL)
        with one.database.transaction() as connection:
            connection.execute("ALTER TABLE pack RENAME TO away")
        with pytest.raises(EnvironmentFault):
            one.flush()
        with one.database.transaction() as connection:
            connection.execute("ALTER TABLE away RENAME TO pack")
        one.flush()
        assert two.blobs.read(digest) == SMALL


class TestManyAtOnce:
    def test_threads(self, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cas, "FLUSH_COUNT", 7)
        store = stores.open()
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for turn in range(25):
                    shared = f"shared {turn}".encode() * (1 if turn % 5 else PACK_LIMIT)
                    own = f"own {number} {turn}".encode()
                    for data in (shared, own):
                        digest = store.blobs.put(data)
                        assert store.blobs.read(digest) == data
                    if turn % 10 == 0:
                        store.flush()
            except BaseException as error:  # noqa: BLE001 - reported below
                errors.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert errors == []
        store.flush()
        other = stores.open().blobs
        assert other.missing(digest_bytes(f"own {n} {t}".encode()) for n in range(8) for t in range(25)) == []
        assert stores.temporary() == []

    def test_processes(self, stores: Stores) -> None:
        children = [start(WRITER, str(stores.folder), str(number)) for number in range(8)]
        answers = [child.communicate(timeout=60) for child in children]
        assert [child.returncode for child in children] == [0] * 8, answers
        blobs = stores.open()
        wanted = [digest_bytes(data) for number in range(8) for data in contents(number)]
        assert blobs.blobs.missing(wanted) == []
        assert all(blobs.actions.get(f"{number:064x}") is not None for number in range(8))
        assert stores.temporary() == []

    def test_kills(self, stores: Stores) -> None:
        """Kill a writer at twenty moments of its work: whatever is there is right, and results have their blobs."""
        for number in range(20):
            child = start(ENDLESS, str(stores.folder))
            assert child.stdout is not None
            for _ in range(1 + number * 3):
                child.stdout.readline()
            child.send_signal(signal.SIGKILL)
            child.communicate()
        store = stores.open()
        assert stores.temporary() == []
        files = [path.name for path in (stores.folder / "v1" / "cas").rglob("*") if path.is_file()]
        assert files
        assert store.blobs.missing(files) == []
        results = store.database.rows("SELECT key FROM actions")
        assert results
        for (key,) in results:
            result = store.actions.get(key.hex())
            assert result is not None
            assert store.blobs.missing(value.digest for value in result.outputs) == []
        assert store.database.rows("PRAGMA integrity_check") == [("ok",)]


def start(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def contents(number: int) -> list[bytes]:
    """Return what WRITER writes: some that all write, some of its own, small and large."""
    found = []
    for turn in range(10):
        found += [b"shared %d" % turn, b"own %d %d" % (number, turn), b"shared %d." % turn * PACK_LIMIT]
        found.append(b"own %d %d." % (number, turn) * PACK_LIMIT if turn < 3 else b"")
    return found


WRITER = """
import sys
from buildsys.model.action import ActionResult, Value
from buildsys.store.cas import PACK_LIMIT
from buildsys.store.local import open_store
folder, number = sys.argv[1], int(sys.argv[2])
store = open_store(folder)
for turn in range(10):
    found = [b"shared %d" % turn, b"own %d %d" % (number, turn), b"shared %d." % turn * PACK_LIMIT]
    found.append(b"own %d %d." % (number, turn) * PACK_LIMIT if turn < 3 else b"")
    for data in found:
        digest = store.blobs.put(data)
        assert store.blobs.read(digest) == data
    store.flush()
store.actions.put(f"{number:064x}", ActionResult((Value(digest, len(data)),)), "{}")
store.close()
"""

ENDLESS = """
import os, sys
from buildsys.model.action import ActionResult, Value
from buildsys.store.cas import PACK_LIMIT
from buildsys.store.local import open_store
store = open_store(sys.argv[1])
while True:
    values = []
    for size in (10, PACK_LIMIT + 1, 1 << 20):
        with store.blobs.create() as writer:
            for _ in range(4):
                writer.write(os.urandom(size // 4 + 1))
                print(flush=True)
        values.append(Value(writer.digest, writer.size))
    store.actions.put(os.urandom(32).hex(), ActionResult(tuple(values)), "{}")
    store.flush()
"""


class TestBoots:
    """A file that was written before the system was started may not be whole, whatever `stat` says of it."""

    @pytest.fixture
    def again(self, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], LocalStore]:
        def opened(boot: str) -> LocalStore:
            monkeypatch.setattr(cas, "this_boot", lambda: boot)
            return stores.open()

        return opened

    def spoil(self, store: LocalStore, digest: str) -> None:
        """Replace a file by zeros of which `stat` says what was recorded."""
        path = store.blobs.path(digest)
        assert path is not None
        os.chmod(path, 0o644)
        Path(path).write_bytes(bytes(len(LARGE)))
        found = os.stat(path)
        with store.database.transaction() as connection:
            connection.execute(
                "UPDATE files SET mtime_ns = ?, ctime_ns = ?, inode = ?",
                (found.st_mtime_ns, found.st_ctime_ns, found.st_ino),
            )

    def test_after_another_boot_a_file_is_hashed_before_it_is_trusted(self, again: Callable[[str], LocalStore]) -> None:
        first = again("one")
        digest = first.blobs.put(LARGE)
        first.flush()
        self.spoil(first, digest)
        assert again("one").blobs.contains(digest), "within a boot, `stat` is trusted"
        second = again("two")
        assert not second.blobs.contains(digest)
        with pytest.raises(BlobMissing):
            second.blobs.open(digest)
        assert second.blobs.put(LARGE) == digest
        second.flush()
        assert again("two").blobs.contains(digest)

    def test_a_file_that_is_whole_is_hashed_once(
        self, again: Callable[[str], LocalStore], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = again("one")
        digest = first.blobs.put(LARGE)
        first.flush()
        second = again("two")
        assert second.blobs.contains(digest)
        second.flush()
        monkeypatch.setattr(BlobStore, "_rehash", lambda *_: pytest.fail("it is known to be whole"))
        assert again("two").blobs.contains(digest)

    def test_where_boots_have_no_names_files_are_flushed(
        self, again: Callable[[str], LocalStore], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flushed: list[int] = []
        monkeypatch.setattr(os, "fdatasync", flushed.append)
        again("one").blobs.put(LARGE)
        assert not flushed
        store = again("")
        store.blobs.put(LARGE + b"more")
        assert len(flushed) == 1
