"""Source files: values that are right whatever happens to the files while and between they are read."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from buildsys.errors import EnvironmentFault, UserError
from buildsys.execution import sources as module
from buildsys.execution.sources import Sources
from buildsys.model.action import Artifact, Value
from buildsys.model.digest import digest_bytes
from buildsys.store.cas import PACK_LIMIT
from buildsys.store.local import open_store
from buildsys.store.workspace_state import FileState, WorkspaceState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

S = Artifact("p", "s")
LATER_NS = 10_000_000_000
SIZES = [0, 1, PACK_LIMIT - 1, PACK_LIMIT, 3 << 20]


def after_reading(monkeypatch: pytest.MonkeyPatch, edit: Callable[[], object]) -> None:
    """Have a file edited each time when its content has been hashed."""

    def hashed(data: bytes) -> str:
        edit()
        return digest_bytes(data)

    monkeypatch.setattr(module, "digest_bytes", hashed)


class Place:
    """A folder with one source file; `again` gives the sources of a new build."""

    def __init__(self, root: Path) -> None:
        self.file = root / "src" / "p" / "s"
        self.file.parent.mkdir(parents=True)
        self.file.write_text("one")
        self.root = root
        self.store = open_store(str(root / "store"))
        self.state = WorkspaceState(str(root / "state.sqlite"))

    def again(self) -> Sources:
        return Sources(str(self.root / "src"), "context", self.store.blobs, self.state)

    def trust(self) -> None:
        """Let what is remembered count as seen long after it changed."""
        known = self.state.file("p/s")
        assert known is not None
        self.state.remember_file("p/s", known._replace(seen_ns=known.seen_ns + LATER_NS))

    def known(self) -> FileState:
        known = self.state.file("p/s")
        assert known is not None
        return known


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.state.close()
    made.store.close()


def test_a_value_is_the_digest_of_the_content(place: Place) -> None:
    value = place.again().value(S)
    assert (value.digest, value.size, value.executable) == (digest_bytes(b"one"), 3, False)


@pytest.mark.parametrize("size", SIZES)
def test_bytes_are_read_where_they_stand_and_only_large_ones_that_are_opened_are_stored(
    place: Place, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_SOURCES", 0)
    place.file.write_bytes(b"x" * size)
    value = place.again().value(S)
    for sources in (place.again(), place.again()):
        assert sources.value(S) == value
        assert sources.read(S) == b"x" * size
        assert not place.store.blobs.contains(value.digest)
    with sources.open(S) as stream:
        assert stream.read() == b"x" * size
    assert place.store.blobs.contains(value.digest) == (size >= PACK_LIMIT)


def test_what_is_assumed_is_verified_when_it_is_read(place: Place) -> None:
    sources = place.again()
    sources.assume(S, Value(digest_bytes(b"one"), 3))
    assert sources.read(S) == b"one"
    sources = place.again()
    sources.assume(S, Value(digest_bytes(b"two"), 3))
    with pytest.raises(EnvironmentFault) as caught:
        sources.read(S)
    assert caught.value.code == "B505"


def test_what_was_read_to_be_hashed_is_not_read_again_until_there_is_no_room(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"n{number}" for number in range(9)]
    for name in names:
        place.file.with_name(name).write_text(name)
    sources = place.again()
    assert sources.examine([Artifact("p", name) for name in names]) == {}
    shutil.rmtree(place.file.parent)
    assert [sources.read(Artifact("p", name)) for name in names] == [name.encode() for name in names]
    monkeypatch.setattr(module, "HELD_BYTES", 8)
    place.file.parent.mkdir()
    for name in names:
        place.file.with_name(name).write_text(name)
    sources = place.again()
    sources.examine([Artifact("p", name) for name in names])
    shutil.rmtree(place.file.parent)
    assert sources.read(Artifact("p", names[-1])) == names[-1].encode()
    with pytest.raises(UserError):
        sources.read(Artifact("p", names[0]))


def test_the_executable_bit_of_the_owner_counts(place: Place) -> None:
    place.file.chmod(0o744)
    assert place.again().value(S).executable
    place.file.chmod(0o655)
    assert not place.again().value(S).executable


def test_the_executable_bit_counts_where_the_content_is_known(place: Place) -> None:
    place.again().value(S)
    place.file.chmod(0o755)
    os.utime(place.file)
    value = place.again().value(S)
    place.trust()
    assert value == place.again().value(S)
    assert value.executable


def test_a_file_that_has_not_changed_for_long_is_not_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    value = place.again().value(S)
    place.trust()
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("the file is read"))
    assert place.again().value(S) == value


def test_a_file_that_changed_just_before_it_was_read_is_read_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.again().value(S)
    known = place.known()
    place.state.remember_file("p/s", known._replace(digest="0" * 64, seen_ns=known.ctime_ns + 1))
    assert place.again().value(S).digest == digest_bytes(b"one")


@pytest.mark.parametrize("same_size", [True, False])
def test_an_edit_with_its_mtime_set_back_is_seen(place: Place, same_size: bool) -> None:
    place.again().value(S)
    place.trust()
    before = place.file.stat()
    place.file.write_text("two" if same_size else "three")
    os.utime(place.file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert place.again().value(S).digest == digest_bytes(b"two" if same_size else b"three")


def test_a_file_that_is_replaced_is_seen(place: Place) -> None:
    place.again().value(S)
    place.trust()
    other = place.file.with_name("other")
    other.write_text("two")
    before = place.file.stat()
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(place.file)
    assert place.again().value(S).digest == digest_bytes(b"two")


def test_a_file_that_changes_while_it_is_read_is_read_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    edits = iter([b"two, longer", b"three, longer still"])

    def edit() -> None:
        if (text := next(edits, None)) is not None:
            place.file.write_bytes(text)

    after_reading(monkeypatch, edit)
    assert place.again().value(S).digest == digest_bytes(b"three, longer still")


def test_a_file_that_never_stops_changing_is_an_error(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = iter(range(100))
    after_reading(monkeypatch, lambda: place.file.write_text("x" * (10 + next(turns))))
    with pytest.raises(EnvironmentFault) as caught:
        place.again().value(S)
    assert (caught.value.code, "context/p/s" in caught.value.message) == ("B505", True)


def test_each_file_is_read_once_a_build(place: Place) -> None:
    sources = place.again()
    before = sources.value(S)
    place.file.write_text("edited in the middle")
    assert sources.value(S) == before


def test_what_was_seen_is_what_stat_said_before_the_file_was_read(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = place.file.stat()
    edits = iter([b"two, longer"])

    def edit() -> None:
        if (text := next(edits, None)) is not None:
            place.file.write_bytes(text)

    after_reading(monkeypatch, edit)
    sources = place.again()
    sources.value(S)
    (seen,) = sources.seen
    assert seen[:2] == (str(place.file), before.st_size)
    assert seen[6] == digest_bytes(b"two, longer")


def test_a_file_that_is_missing_is_an_error_with_its_path_and_its_label(place: Place) -> None:
    place.file.unlink()
    with pytest.raises(UserError) as caught:
        place.again().value(S)
    assert caught.value.code == "B208"
    assert "'context/p/s'" in caught.value.message
    assert "//p:s" in caught.value.message


def test_a_folder_is_no_file(place: Place) -> None:
    place.file.unlink()
    place.file.mkdir()
    with pytest.raises(UserError) as caught:
        place.again().value(S)
    assert caught.value.code == "B208"


def test_a_pipe_is_no_file_and_does_not_block(place: Place) -> None:
    place.file.unlink()
    os.mkfifo(place.file)
    with pytest.raises(UserError):
        place.again().value(S)


def test_an_unreadable_file_is_a_fault_of_the_machine(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(EnvironmentFault) as caught:
        place.again().value(S)
    assert (caught.value.code, caught.value.message) == ("B504", "cannot read 'context/p/s': Permission denied")


def test_a_link_is_what_it_points_to(place: Place) -> None:
    target = place.root / "elsewhere"
    target.write_text("two")
    place.file.unlink()
    place.file.symlink_to(target)
    assert place.again().value(S).digest == digest_bytes(b"two")
    place.trust()
    other = place.root / "other"
    other.write_text("six")
    before = target.stat()
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    place.file.unlink()
    place.file.symlink_to(other)
    assert place.again().value(S).digest == digest_bytes(b"six")


def test_a_link_to_nothing_is_a_missing_file(place: Place) -> None:
    place.file.unlink()
    place.file.symlink_to("nowhere")
    with pytest.raises(UserError) as caught:
        place.again().value(S)
    assert caught.value.code == "B208"


def test_only_what_is_a_source_can_be_staged(place: Place) -> None:
    sources = place.again()
    value = sources.value(S)
    assert sources.stage(value.digest)
    assert not sources.stage("0" * 64)


def test_what_has_changed_since_cannot_be_staged(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_SOURCES", 0)
    sources = place.again()
    value = sources.value(S)
    sources = place.again()
    sources.assume(S, value)
    place.file.write_text("edited")
    with pytest.raises(EnvironmentFault) as caught:
        sources.stage(value.digest)
    assert caught.value.code == "B505"
