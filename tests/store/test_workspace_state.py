"""What a workspace remembers: file states that prove something, keys, and a journal of bounded length."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from buildsys.snapshot import COARSE_NS, FINE_NS
from buildsys.store import workspace_state
from buildsys.store.workspace_state import KEPT_BUILDS, FileState, RanAction, WorkspaceState, file_state

if TYPE_CHECKING:
    from pathlib import Path

FINE, COARSE = 1_700_000_000_123_456_789, 1_700_000_000_000_000_000


def stat_of(size: int = 3, mtime: int = FINE, ctime: int = FINE, inode: int = 7) -> Any:
    return SimpleNamespace(st_size=size, st_mtime_ns=mtime, st_ctime_ns=ctime, st_ino=inode)


@pytest.mark.parametrize(
    ("ctime", "seen", "holds"),
    [
        (FINE, FINE, False),
        (FINE, FINE - 1_000_000_000, False),
        (FINE, FINE + FINE_NS, False),
        (FINE, FINE + FINE_NS + 1, True),
        (COARSE, COARSE + FINE_NS + 1, False),
        (COARSE, COARSE + COARSE_NS, False),
        (COARSE, COARSE + COARSE_NS + 1, True),
        (COARSE + 7_000_000, COARSE + 8_000_000 + FINE_NS, False),
    ],
)
def test_a_state_holds_when_the_file_had_not_changed_for_long(ctime: int, seen: int, holds: bool) -> None:
    """A clock that counts whole milliseconds may not tell two changes of one millisecond apart."""
    state = file_state(stat_of(ctime=ctime), seen, "d")
    assert state.holds(stat_of(ctime=ctime)) is holds


@pytest.mark.parametrize("change", ["size", "mtime", "ctime", "inode"])
def test_a_state_does_not_hold_when_anything_differs(change: str) -> None:
    state = file_state(stat_of(), FINE + 10 * COARSE_NS, "d")
    assert state.holds(stat_of())
    assert not state.holds(stat_of(**{change: {"size": 4, "inode": 8}.get(change, FINE + 1)}))


def test_files_and_keys_come_back(tmp_path: Path) -> None:
    path = str(tmp_path / "state.sqlite")
    state = WorkspaceState(path)
    one, two = FileState(1, 2, 3, 4, 5, "a" * 64), FileState(1, 2, 3, 4, 6, "b" * 64)
    assert state.file("p") is None
    state.remember_file("p", one)
    assert state.file("p") == one
    state.remember_file("p", two)
    state.remember_key("name", "k" * 64, ["in", "other"])
    assert state.last_key("name") == ("k" * 64, ("in", "other"))
    state.close()
    state = WorkspaceState(path)
    assert state.file("p") == two
    assert state.file("q") is None
    assert state.last_key("name") == ("k" * 64, ("in", "other"))
    assert state.last_key("other") is None
    state.close()


def test_what_is_remembered_before_anything_is_asked_is_not_lost(tmp_path: Path) -> None:
    path = str(tmp_path / "state.sqlite")
    state = WorkspaceState(path)
    state.remember_file("p", FileState(1, 2, 3, 4, 5, "a" * 64))
    state.remember_key("n", "k", [])
    assert (state.file("p"), state.last_key("n")) == (FileState(1, 2, 3, 4, 5, "a" * 64), ("k", ()))
    state.close()


def ran(name: str) -> RanAction:
    return RanAction(name, "//p:t", "k", ("a", "b"), "old", ("a",), "changed", 0.5)


def test_the_journal_gives_the_last_build_back(tmp_path: Path) -> None:
    state = WorkspaceState(str(tmp_path / "state.sqlite"))
    assert state.last_build() is None
    state.record_build("build //:a", "{}", [ran("one")])
    state.record_build("build //:b", '{"hits": 1}', [ran("two"), ran("three")])
    assert state.last_build() == ("build //:b", '{"hits": 1}', [ran("two"), ran("three")])
    state.record_build("build //:c", "{}", [])
    assert state.last_build() == ("build //:c", "{}", [])
    state.close()


def test_the_journal_keeps_a_bounded_number_of_builds(tmp_path: Path) -> None:
    path = str(tmp_path / "state.sqlite")
    for number in range(KEPT_BUILDS + 7):
        state = WorkspaceState(path)
        state.record_build(f"build {number}", "{}", [ran("x"), ran("y")])
        state.close()
    state = WorkspaceState(path)
    rows = state._database.rows
    assert rows("SELECT count(*), min(request) FROM builds") == [(KEPT_BUILDS, "build 10")]
    assert rows("SELECT count(*) FROM ran") == [(2 * KEPT_BUILDS,)]
    assert rows("SELECT count(*) FROM ran WHERE build NOT IN (SELECT build FROM builds)") == [(0,)]
    last = state.last_build()
    assert last is not None
    assert last[0] == f"build {KEPT_BUILDS + 6}"
    state.close()


def test_a_damaged_memory_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    path.write_bytes(b"rubbish" * 1000)
    state = WorkspaceState(str(path))
    assert state.file("p") is None
    state.remember_file("p", FileState(1, 2, 3, 4, 5, "a" * 64))
    state.close()
    assert WorkspaceState(str(path)).file("p") == FileState(1, 2, 3, 4, 5, "a" * 64)


def test_durations_come_back_and_the_last_counts(tmp_path: Path) -> None:
    path = str(tmp_path / "state.sqlite")
    state = WorkspaceState(path)
    assert state.durations() == []
    state.remember_durations([("Render", "", 0.001), ("Extract", "", 2.0), ("Extract", "one", 3.0)])
    state.remember_durations([("Render", "", 0.002)])
    state.close()
    state = WorkspaceState(path)
    assert sorted(state.durations()) == [("Extract", "", 2.0), ("Extract", "one", 3.0), ("Render", "", 0.002)]
    state.close()


def test_what_is_asked_for_in_bulk_is_what_is_asked_for_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "state.sqlite")
    state = WorkspaceState(path)
    states = {f"p{number}": FileState(number, 2, 3, 4, 5, "a" * 64) for number in range(1700)}
    state.remember_files(states)
    assert state.files(list(states)) == states
    state.flush()
    state.remember_file("p7", states["p8"])
    asked = [*states, "other"]
    assert state.files(asked) == states | {"p7": states["p8"]}
    state.close()


def test_where_blobs_were_pushed_is_known_of_each_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "state.sqlite")
    state = WorkspaceState(path)
    state.remember_pushed("one:5000", "a/b", ["aa", "bb"])
    state.remember_pushed("two", "c", ["bb"])
    state.remember_pushed("one:5000", "later", ["bb"])
    state.close()
    state = WorkspaceState(path)
    assert state.pushed("one:5000", ["aa", "bb", "cc"]) == {"aa": "a/b", "bb": "later"}
    assert state.pushed("two", ["aa", "bb"]) == {"bb": "c"}
    assert state.pushed("three", ["aa"]) == {}
    monkeypatch.setattr(workspace_state, "KEPT_PUSHED", 2)
    state.remember_pushed("two", "c", ["dd"])
    assert state.pushed("one:5000", ["aa", "bb"]) == {"bb": "later"}
    assert state.pushed("two", ["bb", "dd"]) == {"dd": "c"}
    state.close()
