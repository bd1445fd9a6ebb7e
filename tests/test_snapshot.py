"""The null build: a snapshot that says "current" is right, whatever was changed.

Time is set: a build takes its files for older than they are, so that no test has to wait for a snapshot to be written.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildsys import snapshot
from buildsys.cli.dispatch import dispatch
from buildsys.cli.main import run
from buildsys.recording import write
from buildsys.snapshot import COARSE_NS, FINE_NS, SAME, Seen, examine, look, look_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def current(argv: list[str]) -> str | None:
    """Return what the snapshot of a request answers, None where something has changed."""
    found = examine(argv)
    if found is None or found.changed:
        return None
    return found.answer("0.000", *snapshot.NOTHING_RAN)


AGES_NS = 60_000_000_000
ARGV = ["build", "//a:all"]
WORKSPACE = """\
workspace: w
packages: context
parameters:
  cri: {type: choice, values: [docker, containerd], default: docker}
"""
PACKAGE = """\
targets:
  - {rule: template, name: x, src: x.j2, out: etc/x, params: [cri]}
  - {rule: filegroup, name: files, srcs: [{glob: ["files/**"]}], prefix: opt}
  - {rule: rootfs, name: tree, layers: [x, files], links: {etc/y: x}, directories: [var/empty]}
  - {rule: tarball, name: tar, tree: tree}
"""


class Space:
    """A small workspace, built in this process."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.shown: list[str] = []
        """What the last build said that it made."""
        self.package = root / "context" / "a"
        for path, text in {
            "BUILD.yaml": WORKSPACE,
            "context/a/BUILD.yaml": PACKAGE,
            "context/a/x.j2": "cri={{ cri }}\n",
            "context/a/files/one": "1\n",
            "context/a/files/sub/two": "2\n",
            "context/a/files/tool": "#!/bin/sh\n",
        }.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        (root / "context/a/files/tool").chmod(0o755)
        (root / "context/a/files/link").symlink_to("one")
        (root / "sub" / "folder").mkdir(parents=True)

    @property
    def bin(self) -> Path:
        return self.root / "buildsys-out" / "bin"

    def full(self, argv: list[str] = ARGV) -> str:
        """Build without asking the snapshot; return what was said."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.chdir(self.root):
            code = dispatch(argv)
        assert code == 0, said.getvalue()
        lines = said.getvalue().splitlines()
        self.shown = [line.strip() for line in lines if line.startswith("  buildsys-bin/")]
        return said.getvalue()

    def current(self, argv: list[str] = ARGV) -> str | None:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.chdir(self.root):
            return current(argv)

    def outputs(self) -> dict[str, tuple[int, str]]:
        """Return mode and content of what was asked for."""
        found = {}
        for path in [self.root / shown for shown in self.shown]:
            for item in [path, *path.rglob("*")] if path.is_dir() else [path]:
                text = os.readlink(item) if item.is_symlink() else "" if item.is_dir() else item.read_bytes().hex()
                mode = 0 if item.is_symlink() or item == path else item.stat().st_mode
                found[str(item.relative_to(self.root))] = (mode, text)
        return found

    def from_scratch(self, folder: Path) -> dict[str, tuple[int, str]]:
        """Build a copy without any memory; return its outputs."""
        ignore = shutil.ignore_patterns("buildsys-*", "cache")
        copy = object.__new__(Space)
        copy.root = Path(shutil.copytree(self.root, folder, symlinks=True, ignore=ignore))
        copy.full()
        found = copy.outputs()
        shutil.rmtree(folder)
        return found


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Let every build begin long after whatever was written, and know no user's files."""
    monkeypatch.setattr(snapshot, "now_ns", lambda: time.time_ns() + AGES_NS)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BUILDSYS_CACHE", raising=False)
    monkeypatch.delenv("BUILDSYSRC", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def space(tmp_path: Path) -> Space:
    return Space(tmp_path / "w")


def rewrite(path: Path, text: str) -> Path:
    """Write another text of the same size, and set the mtime back."""
    before = path.stat()
    assert len(text) == before.st_size
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return path


def gone(path: Path) -> Path:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return path


def link(path: Path, target: str) -> Path:
    """Replace a file by a link."""
    gone(path).symlink_to(target)
    return path


def folder(path: Path) -> Path:
    """Make a folder, if it is not there."""
    path.mkdir(exist_ok=True)
    return path


def mode(path: Path, bits: int) -> Path:
    """Give a file or folder other bits."""
    path.chmod(bits)
    return path


def cut(path: Path, size: int) -> Path:
    """Make a file shorter."""
    os.truncate(path, size)
    return path


def flip(path: Path) -> Path:
    """Flip a bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    return path


def touch(path: Path) -> Path:
    """Give a file new times and nothing else."""
    if path.exists():
        os.utime(path)
    return path


CHANGES: dict[str, Callable[[Space], object]] = {
    "content": lambda s: (s.package / "files/one").write_text("changed"),
    "content, with size and mtime kept": lambda s: rewrite(s.package / "files/one", "7\n"),
    "template": lambda s: (s.package / "x.j2").write_text("{{ cri }} changed\n"),
    "executable bit": lambda s: mode(s.package / "files/one", 0o755),
    "deletion": lambda s: gone(s.package / "files/one"),
    "new file in a globbed folder": lambda s: (s.package / "files/new").write_text(""),
    "new file in a new folder": lambda s: (folder(s.package / "files/d") / "n").write_text(""),
    "new file deep in a globbed folder": lambda s: (s.package / "files/sub/new").write_text(""),
    "package in a globbed folder": lambda s: (s.package / "files/sub/BUILD.yaml").write_text("targets: []"),
    "file replaced": lambda s: shutil.copy(s.package / "x.j2", s.package / "files/one"),
    "file that becomes a link": lambda s: link(s.package / "files/one", "../x.j2"),
    "link that leads elsewhere": lambda s: link(s.package / "files/link", "tool"),
    "package file": lambda s: (s.package / "BUILD.yaml").write_text(PACKAGE + "# more\n"),
    "workspace file": lambda s: (s.root / "BUILD.yaml").write_text(WORKSPACE.replace("default: docker", "default: x")),
    "lock file": lambda s: (s.root / "buildsys.lock").write_text("version: 1\n"),
    "ignore file": lambda s: (s.root / ".buildsysignore").write_text("a\n"),
    "rc file": lambda s: (s.root / ".buildsysrc").write_text("build --param=cri=containerd\n"),
    "rc file at home": lambda s: (folder(s.root.parent / "home") / ".buildsysrc").write_text("build -k\n"),
    "output": lambda s: (s.bin / "a/etc/x").write_text("tampered"),
    "output, with size and mtime kept": lambda s: rewrite(s.bin / "a/etc/x", "cri=DOCKER\n"),
    "mode of an output": lambda s: mode(s.bin / "a/etc/x", 0o600),
    "output deleted": lambda s: gone(s.bin / "a/tar.tar.zst"),
    "archive tampered with": lambda s: (s.bin / "a/tar.tar.zst").write_bytes(b""),
    "file of a tree": lambda s: (s.bin / "a/tree/etc/x").write_text("tampered"),
    "file of a tree deleted": lambda s: gone(s.bin / "a/tree/etc/x"),
    "stranger in a tree": lambda s: (s.bin / "a/tree/etc/stranger").write_text(""),
    "stranger at the top of a tree": lambda s: folder(s.bin / "a/tree/stranger"),
    "stranger in an empty folder of a tree": lambda s: (s.bin / "a/tree/var/empty/stranger").write_text(""),
    "link of a tree": lambda s: link(s.bin / "a/tree/etc/y", "/etc"),
    "mode of a folder of a tree": lambda s: mode(s.bin / "a/tree/etc", 0o700),
    "all outputs deleted": lambda s: gone(s.bin),
    "link to the outputs deleted": lambda s: gone(s.root / "buildsys-bin"),
    "store deleted": lambda s: gone(s.root / "cache"),
    "store emptied": lambda s: (s.root / "cache/v1/epoch").write_text("again"),
    "store made anew": lambda s: (gone(s.root / "cache"), s.full(["build", "//a:x"])),
    "memory deleted": lambda s: gone(s.root / "buildsys-out/state.sqlite"),
    "snapshot damaged": lambda s: [flip(path) for path in (s.root / "buildsys-out/snapshots").iterdir()],
    "snapshot cut": lambda s: [cut(p, 40) for p in (s.root / "buildsys-out/snapshots").iterdir()],
    "snapshot emptied": lambda s: [cut(p, 0) for p in (s.root / "buildsys-out/snapshots").iterdir()],
}


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


@pytest.mark.parametrize("name", ["BUILDSYS_CACHE", "BUILDSYSRC", "HOME", "NO_COLOR"])
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
        monkeypatch.setattr(snapshot, "_holds", lambda *_: False)
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

        def holds(path: str, digest: str) -> bool:
            asked.append(path)
            return True

        monkeypatch.setattr(snapshot, "_holds", holds)
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


EDITS: dict[str, Callable[[Space], object]] = {
    "nothing": lambda s: s,
    "touch": lambda s: touch(s.package / "files/one"),
    "comment in a template": lambda s: (s.package / "x.j2").write_text("cri={{ cri }}{# more #}\n"),
    "template back": lambda s: (s.package / "x.j2").write_text("cri={{ cri }}\n"),
    "content back": lambda s: (s.package / "files/one").write_text("1\n"),
    "parameter": lambda s: (s.root / "BUILD.yaml").write_text(WORKSPACE.replace("t: docker", "t: containerd")),
    "parameter back": lambda s: (s.root / "BUILD.yaml").write_text(WORKSPACE),
    "no package in between": lambda s: gone(s.package / "files/sub/BUILD.yaml"),
    "rename": lambda s: (s.package / "files/sub/two").replace(s.package / "files/three"),
    "rename back": lambda s: (s.package / "files/sub/two").write_text("2\n"),
    "not executable": lambda s: mode(s.package / "files/tool", 0o644),
    "file that becomes a folder": lambda s: (folder(gone(s.package / "files/new")) / "inner").write_text("inner"),
    "folder that becomes a file": lambda s: gone(s.package / "files/new").write_text("a file"),
} | {
    name: CHANGES[name]
    for name in CHANGES
    if name
    not in {
        "workspace file",
        "lock file",
        "ignore file",
        "rc file at home",
        "new file in a new folder",
        "file that becomes a link",
        "content, with size and mtime kept",
        "output, with size and mtime kept",
        "new file in a globbed folder",
        "store made anew",
    }
}


def attempt(edit: Callable[[Space], object], space: Space) -> None:
    """Make an edit; one that the state of the workspace leaves nothing to do for is no edit."""
    with contextlib.suppress(FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError):
        edit(space)
    dangling = space.package / "files/link"
    if not dangling.exists():
        gone(dangling)


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
