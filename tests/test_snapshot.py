"""The null build: a snapshot that says "current" is right, whatever was changed.

Time is set: a build takes its files for older than they are, so that no test has to wait for a snapshot to be written.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from buildsys import snapshot
from buildsys.cli.dispatch import dispatch
from buildsys.cli.main import run
from buildsys.recording import write
from buildsys.snapshot import COARSE_NS, FINE_NS, SAME, Seen, look, look_identity
from tests.space import ARGV, CHANGES, EDITS, Space, attempt, current

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.usefixtures("later")


def test_after_a_build_the_snapshot_is_current(space: Space) -> None:
    space.full()
    answer = space.current()
    assert answer is not None
    assert "Target //a:tar up-to-date:\n  buildsys-bin/a/tar.tar.zst\n" in answer
    assert "0 total actions" in answer


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_makes_it_stale(space: Space, change: str) -> None:
    space.full()
    assert space.current() is not None
    CHANGES[change](space)
    assert space.current() is None


@pytest.mark.parametrize("change", ["content", "deletion", "output", "output deleted", "package file", "rc file"])
def test_two_processes_see_what_one_does(space: Space, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    monkeypatch.setattr(snapshot, "TWO_PROCESSES", 1)
    space.full()
    assert space.current() is not None
    CHANGES[change](space)
    assert space.current() is None


def test_a_second_process_that_dies_leaves_no_answer(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "TWO_PROCESSES", 1)
    space.full()
    parent, looked = os.getpid(), snapshot._looked

    def dying(*arguments: Any) -> object:
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return looked(*arguments)

    monkeypatch.setattr(snapshot, "_looked", dying)
    assert space.current() is None


@pytest.mark.parametrize("name", snapshot.ENVIRONMENT)
def test_another_environment_is_another_request(space: Space, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    space.full()
    monkeypatch.setenv(name, str(space.root.parent))
    assert space.current() is None


def test_other_arguments_are_another_request(space: Space) -> None:
    space.full()
    for argv in ([*ARGV, "-k"], ["build", "//a:x"], ["build", "//a:x //a:all"], ["build", "//a", ":all"]):
        assert space.current(argv) is None


def test_another_folder_is_another_request(space: Space) -> None:
    space.full()
    with contextlib.chdir(space.root / "sub"):
        assert current(ARGV) is None


def test_a_terminal_is_answered_in_its_own_colours(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    space.full()
    monkeypatch.setattr(sys, "stderr", type("Tty", (io.StringIO,), {"isatty": lambda _: True})())
    with contextlib.chdir(space.root):
        assert current(ARGV) is None


def test_another_program_is_another_answer(space: Space, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    space.full()
    monkeypatch.setattr(snapshot, "__file__", str(tmp_path / "other" / "snapshot.py"))
    assert space.current() is None


def test_other_libraries_are_another_answer(space: Space, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    (site / "Jinja2-3.1.dist-info").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    space.full()
    assert space.current() is not None
    (site / "Jinja2-3.1.dist-info").rename(site / "Jinja2-3.2.dist-info")
    assert space.current() is None


def test_a_workspace_that_is_begun_in_between_is_another_answer(space: Space) -> None:
    inner = space.root / "sub" / "folder"
    with contextlib.chdir(inner), contextlib.redirect_stderr(io.StringIO()):
        assert dispatch(ARGV) == 0
        assert current(ARGV) is not None
        (space.root / "sub/BUILD.yaml").write_text("workspace: inner\n")
        assert current(ARGV) is None


def test_a_snapshot_from_a_folder_below_is_found(space: Space) -> None:
    with contextlib.chdir(space.root / "sub" / "folder"), contextlib.redirect_stderr(io.StringIO()):
        assert dispatch(ARGV) == 0
        assert current(ARGV) is not None


@pytest.mark.parametrize("argv", [["--output_base={}", *ARGV], ["--output_base", "{}", *ARGV]])
def test_a_snapshot_in_another_output_base_is_found(space: Space, tmp_path: Path, argv: list[str]) -> None:
    words = [word.format(tmp_path / "base") for word in argv]
    space.full(words)
    assert space.current(words) is not None
    (tmp_path / "base/bin/a/etc/x").write_text("")
    assert space.current(words) is None


def test_an_rc_file_that_is_imported_counts(space: Space) -> None:
    (space.root / ".buildsysrc").write_text("import %workspace%/more\ntry-import %workspace%/none\n")
    (space.root / "more").write_text("build --param=cri=containerd\n")
    space.full()
    assert space.current() is not None
    (space.root / "none").write_text("build -k\n")
    assert space.current() is None
    (space.root / "none").unlink()
    (space.root / "more").write_text("build --param=cri=docker\n")
    assert space.current() is None


@pytest.mark.parametrize("name", ["BUILD.yaml", "context/a/BUILD.yaml", "context/a/x.j2", ".buildsysrc", "gone"])
def test_what_changes_while_the_build_runs_makes_it_stale(
    space: Space, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What was read is what counts, not what was there when the build ended."""
    (space.root / ".buildsysrc").write_text("build --param=cri=containerd\ntry-import %workspace%/gone\n")
    (space.root / "gone").write_text("build --param=cri=docker\n")
    from buildsys import session

    real = session.build

    def build(*arguments: object) -> object:
        built = real(*arguments)  # type: ignore[arg-type]
        (space.root / name).unlink()
        return built

    monkeypatch.setattr(session, "build", build)
    space.full()
    assert space.current() is None


def test_a_failed_build_leaves_no_snapshot(space: Space) -> None:
    (space.package / "x.j2").write_text("{{ unknown }}")
    with contextlib.redirect_stderr(io.StringIO()), contextlib.chdir(space.root):
        assert dispatch(ARGV) == 1
        assert current(ARGV) is None


def test_the_command_line_answers_from_it(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    space.full()
    monkeypatch.chdir(space.root)
    monkeypatch.setattr("buildsys.cli.dispatch.dispatch", lambda argv: pytest.fail("the snapshot was not asked"))
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert run(ARGV) == 0
    assert "{elapsed}" not in said.getvalue()
    assert "Build completed successfully, 0 total actions" in said.getvalue()


class TestSeen:
    """`write` and `current` on files of our own."""

    @pytest.fixture
    def base(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.chdir(tmp_path)
        return str(tmp_path / "buildsys-out")

    @pytest.mark.parametrize(
        ("ctime", "age", "written"),
        [
            (1_700_000_000_123_456_789, FINE_NS - 1, False),
            (1_700_000_000_123_456_789, FINE_NS, True),
            (1_700_000_000_000_000_000, COARSE_NS - 1, False),
            (1_700_000_000_000_000_000, COARSE_NS, True),
            (1_700_000_000_123_000_000, FINE_NS, False),
        ],
    )
    def test_what_changed_just_before_cannot_be_told(self, base: str, ctime: int, age: int, written: bool) -> None:
        seen: list[Seen] = [("/nowhere", 1, 5, ctime, 1, 1, "")]
        assert (write(["build"], base, seen, [], ctime + age, "text") != b"") is written

    def digested(self, path: Path) -> Seen:
        return (*look(path.name)[:6], hashlib.sha256(path.read_bytes()).hexdigest())

    def test_a_file_that_was_touched_is_asked_for_its_content_once(
        self, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "source"
        path.write_text("one")
        assert write(["build"], base, [self.digested(path)], [], snapshot.now_ns(), "text")
        os.utime(path)
        assert current(["build"]) == "text"
        monkeypatch.setattr(snapshot, "_content", lambda _: "another")
        assert current(["build"]) == "text", "the new times were not kept"
        os.utime(path)
        assert current(["build"]) is None

    @pytest.mark.parametrize("change", ["two", "longer", "mode", "gone", "folder"])
    def test_a_file_with_another_content_or_kind_is_another(self, base: str, tmp_path: Path, change: str) -> None:
        path = tmp_path / "source"
        path.write_text("one")
        assert write(["build"], base, [self.digested(path)], [], snapshot.now_ns(), "text")
        if change in {"gone", "folder"}:
            path.unlink()
        if change == "folder":
            path.mkdir()
        if change == "mode":
            path.chmod(0o755)
        if change in {"two", "longer"}:
            path.write_text(change)
        assert current(["build"]) is None

    def test_what_changed_just_before_is_told_by_its_digest(
        self, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(snapshot, "now_ns", time.time_ns)
        path = tmp_path / "source"
        path.write_text("one")
        seen = self.digested(path)
        assert write(["build"], base, [seen], [], seen[3] + 1, "text")
        asked: list[str] = []

        def content(path: str) -> str:
            asked.append(path)
            return seen[6]

        monkeypatch.setattr(snapshot, "_content", content)
        assert current(["build"]) == "text"
        assert asked == ["source"], "its times have not changed, yet they must not be trusted"

    def test_a_file_that_must_not_be_there(self, base: str, tmp_path: Path) -> None:
        assert write(["build"], base, [look("absent")], [], 0, "text")
        assert current(["build"]) == "text"
        (tmp_path / "absent").mkdir()
        assert current(["build"]) is None

    def test_a_file_that_must_be_the_same_but_may_change(self, base: str, tmp_path: Path) -> None:
        path = tmp_path / "index"
        path.write_text("one")
        seen = look_identity("index")
        assert seen[1] == SAME
        assert write(["build"], base, [seen], [], 0, "text")
        path.write_text("two, longer")
        assert current(["build"]) == "text"
        path.with_name("other").write_text("two, longer")
        path.with_name("other").replace(path)
        assert current(["build"]) is None

    def test_a_file_that_was_the_same_and_is_gone(self, base: str, tmp_path: Path) -> None:
        (tmp_path / "index").write_text("one")
        assert write(["build"], base, [look_identity("index")], [], 0, "text")
        (tmp_path / "index").unlink()
        assert current(["build"]) is None

    def test_an_output_that_another_build_replaced_before_the_snapshot_was_written(
        self, base: str, tmp_path: Path
    ) -> None:
        (tmp_path / "out").write_text("one")
        seen = look("out")
        (tmp_path / "other").write_text("two")
        (tmp_path / "other").replace(tmp_path / "out")
        assert write(["build"], base, [], [seen], 0, "text")
        assert current(["build"]) is None

    def test_outputs_count_as_they_were_seen(self, base: str, tmp_path: Path) -> None:
        (tmp_path / "out").write_text("one")
        assert write(["build"], base, [], [look("out")], 0, "text")
        assert current(["build"]) == "text"
        (tmp_path / "out").chmod(0o600)
        assert current(["build"]) is None

    def test_no_snapshot_is_current_where_none_was_written(self, base: str) -> None:
        assert current(["build"]) is None

    def test_a_folder_that_cannot_be_written_is_no_error(self, base: str, tmp_path: Path) -> None:
        (tmp_path / "buildsys-out").write_text("")
        assert not write(["build"], base, [], [], 0, "text")

    @pytest.mark.parametrize("place", [0, 7, 8, 20, -1])
    def test_a_flipped_bit_is_stale(self, base: str, place: int) -> None:
        assert write(["build"], base, [], [], 0, "text")
        (path,) = Path(base, "snapshots").iterdir()
        data = bytearray(path.read_bytes())
        for bit in range(8):
            data[place] ^= 1 << bit
            path.write_bytes(data)
            assert current(["build"]) is None
            data[place] ^= 1 << bit
        path.write_bytes(data)
        assert current(["build"]) == "text"


@pytest.mark.parametrize("seed", range(8))
def test_whenever_it_says_current_a_build_runs_nothing_and_changes_nothing(
    space: Space, tmp_path: Path, seed: int
) -> None:
    """Invariant 2, over random edits; and what is built after any of them equals what is built from nothing."""
    choice = random.Random(seed)
    space.full()
    answered, done = 0, []
    for step in range(10):
        edit = choice.choice(list(EDITS)) if step % 4 else "nothing"
        done.append(edit)
        attempt(EDITS[edit], space)
        answer, before = space.current(), None
        if answer is not None:
            answered, before = answered + 1, space.outputs()
        said = space.full()
        if before is not None:
            assert "0 total actions" in said, done
            assert space.outputs() == before, done
        else:
            assert edit != "nothing", done
        assert space.outputs() == space.from_scratch(tmp_path / f"scratch{step}"), done
    space.full()
    assert space.current() is not None
    assert answered
