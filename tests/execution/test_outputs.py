"""The output folder holds exactly what was built, whatever stood there before."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildsys.errors import EnvironmentFault
from buildsys.execution.outputs import Outputs
from buildsys.model.action import Value
from buildsys.model.tree import DIRECTORY, FILE, SYMLINK, Entry, Tree
from buildsys.store.cas import BlobMissing
from buildsys.store.local import LocalStore, open_store
from buildsys.store.workspace_state import WorkspaceState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534


class Folder:
    """An output folder and the store behind it."""

    def __init__(self, root: Path) -> None:
        self.base = root / "out"
        self.store: LocalStore = open_store(str(root / "store"))
        self.state = WorkspaceState(str(self.base / "state.sqlite"))
        self.outputs = Outputs(str(self.base), self.store.blobs, self.state)

    def file(self, path: str, text: str = "", mode: int = 0o644) -> Entry:
        return Entry(path, FILE, mode, self.store.blobs.put(text.encode()), len(text))

    def write(self, path: str, *entries: Entry) -> None:
        data = Tree.of(entries).to_bytes()
        self.outputs.write(path, Value(self.store.blobs.put(data), len(data), tree=True))

    def write_file(self, path: str, text: str, *, executable: bool = False) -> Value:
        value = Value(self.store.blobs.put(text.encode()), len(text), executable)
        self.outputs.write(path, value)
        return value

    def path(self, path: str) -> Path:
        return self.base / "bin" / path

    def found(self, path: str) -> list[tuple[str, str, int, str]]:
        """Return what stands below a path, as the entries of a tree say it."""
        root, entries = self.path(path), []
        for item in sorted(root.rglob("*")):
            inside, mode = str(item.relative_to(root)), stat.S_IMODE(item.lstat().st_mode)
            if item.is_symlink():
                entries.append((inside, SYMLINK, 0, str(item.readlink())))
            elif item.is_dir():
                entries.append((inside, DIRECTORY, mode, ""))
            else:
                entries.append((inside, FILE, mode, item.read_text()))
        return sorted(entries)

    def close(self) -> None:
        self.state.close()
        self.store.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path)
    yield made
    made.close()


def directory(path: str, mode: int = 0o755) -> Entry:
    return Entry(path, DIRECTORY, mode)


def link(path: str, target: str) -> Entry:
    return Entry(path, SYMLINK, target=target)


def test_a_tree_stands_as_it_is(folder: Folder) -> None:
    folder.write("t", folder.file("a/b/f", "text", 0o600), directory("empty", 0o700), link("a/l", "../empty"))
    assert folder.found("t") == [
        ("a", DIRECTORY, 0o755, ""),
        ("a/b", DIRECTORY, 0o755, ""),
        ("a/b/f", FILE, 0o600, "text"),
        ("a/l", SYMLINK, 0, "../empty"),
        ("empty", DIRECTORY, 0o700, ""),
    ]


def test_strangers_are_removed(folder: Folder) -> None:
    folder.write("t", folder.file("f", "text"), directory("d"))
    outside = folder.base / "outside"
    outside.mkdir()
    (outside / "keep").write_text("")
    (folder.path("t") / "stranger").write_text("")
    (folder.path("t") / "d" / "sub" / "deep").mkdir(parents=True)
    (folder.path("t") / "link").symlink_to(outside)
    folder.write("t", folder.file("f", "text"), directory("d"))
    assert [entry[0] for entry in folder.found("t")] == ["d", "f"]
    assert (outside / "keep").exists()


KINDS: dict[str, Callable[[Folder], list[Entry]]] = {
    "file": lambda f: [f.file("x", "file")],
    "other file": lambda f: [f.file("x", "other", 0o755)],
    "folder": lambda f: [directory("x")],
    "full folder": lambda f: [f.file("x/y/z", "deep"), directory("x", 0o700)],
    "link": lambda f: [link("x", "elsewhere")],
    "other link": lambda f: [link("x", "other")],
    "link to a folder": lambda f: [directory("d"), link("x", "d")],
    "nothing": lambda f: [],
}


@pytest.mark.parametrize("before", KINDS)
@pytest.mark.parametrize("after", KINDS)
def test_what_changes_its_kind_is_replaced(folder: Folder, before: str, after: str) -> None:
    folder.write("t", *KINDS[before](folder))
    folder.write("t", *KINDS[after](folder))
    changed = folder.found("t")
    folder.write("fresh", *KINDS[after](folder))
    assert changed == folder.found("fresh")


@pytest.mark.parametrize("before", ["file", "folder", "link"])
def test_an_output_that_was_something_else_is_replaced(folder: Folder, before: str) -> None:
    path = folder.path("x")
    path.parent.mkdir(parents=True)
    if before == "file":
        path.write_text("old")
    elif before == "folder":
        (path / "d").mkdir(parents=True)
    else:
        path.symlink_to(folder.base / "state.sqlite")
    folder.write_file("x", "new")
    assert not path.is_symlink()
    assert path.read_text() == "new"


@pytest.mark.parametrize("before", ["file", "link"])
def test_a_folder_of_an_output_that_was_something_else_is_replaced(folder: Folder, before: str) -> None:
    outside = folder.base / "outside"
    outside.mkdir()
    if before == "file":
        folder.write_file("a/b", "a file")
    else:
        folder.path("a").mkdir(parents=True)
        folder.path("a/b").symlink_to(outside)
    folder.write_file("a/b/c", "text")
    assert folder.path("a/b/c").read_text() == "text"
    assert list(outside.iterdir()) == []


def test_a_tree_that_was_a_link_is_not_written_through_it(folder: Folder) -> None:
    outside = folder.base / "outside"
    outside.mkdir()
    folder.path("t").parent.mkdir(parents=True)
    folder.path("t").symlink_to(outside)
    folder.write("t", folder.file("f", "text"))
    assert list(outside.iterdir()) == []
    assert folder.path("t/f").read_text() == "text"


def test_a_file_that_is_there_is_not_written_again(folder: Folder) -> None:
    folder.write("t", folder.file("f", "text"), folder.file("g", "text"))
    before = folder.path("t/f").stat()
    folder.write("t", folder.file("f", "text"), folder.file("g", "changed"))
    assert folder.path("t/f").stat().st_ino == before.st_ino
    assert folder.path("t/g").read_text() == "changed"


def test_a_file_that_was_tampered_with_is_written_again_with_its_times_set_back(folder: Folder) -> None:
    value = folder.write_file("x", "right")
    path = folder.path("x")
    before = path.stat()
    path.write_text("wrong")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not folder.outputs.is_current("x", value)
    folder.outputs.write("x", value)
    assert path.read_text() == "right"


def test_a_missing_blob_changes_nothing(folder: Folder) -> None:
    folder.write("t", folder.file("f", "text"))
    with pytest.raises(BlobMissing):
        folder.write("t", folder.file("a", "new"), Entry("b", FILE, 0o644, "0" * 64, 1))
    assert [entry[0] for entry in folder.found("t")] == ["f"]


def test_what_was_written_is_told_for_the_snapshot(folder: Folder) -> None:
    folder.write("t", folder.file("d/f", "text"), link("l", "d"))
    folder.write_file("x", "text")
    told = {os.path.relpath(path, folder.base / "bin") for path in folder.outputs.written}
    assert told == {"t", "t/d", "t/d/f", "x"}


def test_an_abandoned_file_leaves_the_old_one(folder: Folder) -> None:
    folder.write_file("x", "old")

    def give_up() -> None:
        with folder.outputs.create("x", lambda: None) as out:
            out.write(b"half of the n")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        give_up()
    assert folder.path("x").read_text() == "old"
    assert list((folder.base / "tmp").iterdir()) == []


def test_an_output_is_whole_at_every_moment(folder: Folder) -> None:
    texts = ["a" * 300_000, "b" * 300_000]
    values = [folder.write_file("x", text) for text in texts]
    seen: set[str] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.add(folder.path("x").read_text())

    thread = threading.Thread(target=watch)
    thread.start()
    for number in range(40):
        folder.outputs.write("x", values[number % 2])
    stop.set()
    thread.join()
    assert seen
    assert seen <= set(texts)


def test_many_threads_write_at_once(folder: Folder) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(20):
                with folder.outputs.create(f"o{number}-{turn}", lambda: None) as out:
                    out.write(f"{number} {turn}".encode())
        except BaseException as error:  # noqa: BLE001 - reported below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert errors == []
    assert all(folder.path(f"o{n}-{t}").read_text() == f"{n} {t}" for n in range(8) for t in range(20))


def test_a_full_disk_is_a_fault_of_the_machine(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(EnvironmentFault) as caught:
        folder.write_file("x", "text")
    assert (caught.value.code, "somewhere" in caught.value.message) == ("B501", True)
    assert list((folder.base / "tmp").iterdir()) == []


def as_nobody(work: Callable[[Path], None]) -> None:
    """Run as a user whom modes hold back: in a child of its own where the tests run as root."""
    root = Path(tempfile.mkdtemp(prefix="outputs-", dir="/tmp"))
    try:
        if os.getuid() != 0:
            work(root)
            return
        os.chown(root, NOBODY, NOBODY)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                work(root)
                code = 0
            except BaseException as error:  # noqa: BLE001 - the child must never return
                os.write(2, f"{error!r}\n".encode())
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        shutil.rmtree(root)


def test_folders_that_cannot_be_written_are_filled_changed_and_removed(folder: Folder) -> None:
    folder.write("warm", folder.file("f", "every module is imported before the user changes"))

    def work(root: Path) -> None:
        own = Folder(root)
        closed = [directory("ro", 0o555), directory("ro/deep", 0o500), own.file("ro/deep/f", "one")]
        own.write("t", *closed)
        assert stat.S_IMODE(own.path("t/ro").stat().st_mode) == 0o555
        assert stat.S_IMODE(own.path("t/ro/deep").stat().st_mode) == 0o500
        own.write("t", *closed[:2], own.file("ro/deep/f", "two"), own.file("ro/new", "three"))
        assert own.path("t/ro/deep/f").read_text() == "two"
        assert own.path("t/ro/new").read_text() == "three"
        assert stat.S_IMODE(own.path("t/ro").stat().st_mode) == 0o555
        own.write("t", own.file("only", "left"))
        assert [entry[0] for entry in own.found("t")] == ["only"]
        own.write("t", *closed, directory("none", 0o000))
        own.write_file("t", "a file where the tree was")
        assert own.path("t").read_text() == "a file where the tree was"
        own.close()

    as_nobody(work)


names = st.sampled_from(["a", "b", "c"])
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
contents = st.one_of(
    st.tuples(st.just(FILE), st.sampled_from([0o644, 0o755, 0o400]), st.sampled_from(["", "x", "yy"])),
    st.tuples(st.just(DIRECTORY), st.sampled_from([0o755, 0o700, 0o555]), st.just("")),
    st.tuples(st.just(SYMLINK), st.just(0), st.sampled_from(["a", "b/c", "nowhere"])),
)


def entries_of(folder: Folder, drawn: dict[str, tuple[str, int, str]]) -> list[Entry]:
    files = {path for path, (kind, _, _) in drawn.items() if kind != DIRECTORY}
    kept = {p: c for p, c in drawn.items() if not any(p.startswith(f"{f}/") for f in files)}
    return [
        folder.file(path, text, mode)
        if kind == FILE
        else (link(path, text) if kind == SYMLINK else directory(path, mode))
        for path, (kind, mode, text) in kept.items()
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(paths, contents, max_size=6), min_size=2, max_size=4))
def test_a_tree_over_any_others_is_the_tree_alone(
    folder: Folder, sequence: list[dict[str, tuple[str, int, str]]]
) -> None:
    for drawn in sequence:
        folder.write("t", *entries_of(folder, drawn))
    if folder.path("fresh").exists():
        shutil.rmtree(folder.path("fresh"))
    folder.write("fresh", *entries_of(folder, sequence[-1]))
    assert folder.found("t") == folder.found("fresh")


@pytest.mark.parametrize("size", [1_300_000, 1_048_576 * 2])
def test_a_file_that_the_disk_has_no_room_for_is_not_put_in_place(tmp_path: Path, size: int) -> None:
    """The last write of a file may be cut short without an error: only the next one would fail."""
    folder = Folder(tmp_path)
    value = Value(folder.store.blobs.put(b"x" * size), size)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_200_000, before[1]))
    try:
        with pytest.raises(EnvironmentFault) as caught:
            folder.outputs.write("f", value)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.code == "B501"
    assert not folder.path("f").exists()
    assert list((folder.base / "tmp").iterdir()) == []
    folder.outputs.write("f", value)
    assert folder.path("f").stat().st_size == size
