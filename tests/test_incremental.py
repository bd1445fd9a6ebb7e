"""The second way through a build: from the plan, it makes what the whole way would, and leaves the rest to that."""

from __future__ import annotations

import os
import random
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from buildsys.execution import plan as plan_module
from buildsys.execution.plan import Plan, Unplanned
from tests.space import PACKAGE, WORKSPACE, Space, flip, gone, mode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = ["build", "//a:x", "//a:tar"]
"""A request without trees among its outputs: these are delivered by the whole way."""


@pytest.fixture
def built(space: Space) -> Space:
    assert space.build(FILES).is_whole
    assert not space.build(FILES).is_whole
    space.shown = ["buildsys-bin/a/etc/x", "buildsys-bin/a/tar.tar.zst"]
    return space


def files_of(space: Space) -> list[Path]:
    (snapshot,) = {path.name.partition(".")[0] for path in (space.root / "buildsys-out/snapshots").iterdir()}
    return [space.root / "buildsys-out/snapshots" / f"{snapshot}{end}" for end in ("", ".plan", ".edits")]


def edit(space: Space, name: str, text: str) -> int:
    return (space.package / name).write_text(text)


def scratch(space: Space, folder: Path) -> dict[str, tuple[int, str]]:
    return space.from_scratch_of(FILES, folder)


def test_an_edit_runs_what_it_reaches_and_loads_nothing(built: Space, tmp_path: Path) -> None:
    edit(built, "x.j2", "cri is {{ cri }}\n")
    made = built.build(FILES)
    assert (made.code, made.is_whole) == (0, False)
    assert re.sub(r"\d\.\d+s", "#s", made.said) == (
        "INFO: Analyzed 2 targets (0 packages loaded, 0 targets configured).\n"
        "INFO: Found 2 targets...\n"
        "Target //a:x up-to-date:\n"
        "  buildsys-bin/a/etc/x\n"
        "Target //a:tar up-to-date:\n"
        "  buildsys-bin/a/tar.tar.zst\n"
        "INFO: Elapsed time: #s, Critical Path: #s\n"
        "INFO: 3 processes: 3 local.\n"
        "INFO: Build completed successfully, 3 total actions\n"
    )
    assert (built.bin / "a/etc/x").read_text() == "cri is docker\n"
    assert built.outputs() == scratch(built, tmp_path / "scratch")
    after = built.build(FILES)
    assert not after.is_whole
    assert "0 total actions" in after.said


def test_an_edit_that_changes_no_output_runs_no_further(built: Space) -> None:
    edit(built, "x.j2", "cri={{ cri }}{# nobody sees this #}\n")
    made = built.build(FILES)
    assert not made.is_whole
    assert "3 processes: 2 action cache hit, 1 local." in made.said


def test_it_says_what_the_whole_way_says(built: Space, tmp_path: Path) -> None:
    for number, text in enumerate(("one {{ cri }}\n", "two {{ cri }}\n")):
        edit(built, "x.j2", text)
        if number:
            for path in files_of(built):
                gone(path)
        made = built.build(FILES)
        assert made.is_whole is bool(number)
        counted = re.findall(r"Found.*|\d+ local|Build completed.*", made.said)
        assert counted == ["Found 2 targets...", "3 local", "Build completed successfully, 3 total actions"]


def test_the_journal_tells_of_it(built: Space, capfd: pytest.CaptureFixture[str]) -> None:
    edit(built, "x.j2", "changed {{ cri }}\n")
    built.build(FILES)
    built.build(["explain"])
    said = capfd.readouterr().out
    assert "//a:x Render etc/x" in said
    assert "context/a/x.j2" in said
    assert "//a:files" not in said.partition("\n")[2]


EDITS: dict[str, Callable[[Space], object]] = {
    "template": lambda s: edit(s, "x.j2", f"{random.random()} {{{{ cri }}}}\n"),
    "template back": lambda s: edit(s, "x.j2", "cri={{ cri }}\n"),
    "comment": lambda s: edit(s, "x.j2", "cri={{ cri }}{# more #}\n"),
    "file": lambda s: edit(s, "files/one", f"{random.random()}\n"),
    "file back": lambda s: edit(s, "files/one", "1\n"),
    "file deep down": lambda s: edit(s, "files/sub/two", f"{random.random()}\n"),
    "both": lambda s: [edit(s, name, "both {{ cri }}\n") for name in ("files/one", "x.j2")],
    "touch": lambda s: (s.package / "files/one").touch(),
    "nothing": lambda s: s,
    "executable bit": lambda s: mode(s.package / "files/one", 0o755),
    "package": lambda s: edit(s, "BUILD.yaml", PACKAGE + f"# {random.random()}\n"),
    "parameter": lambda s: (s.root / "BUILD.yaml").write_text(WORKSPACE.replace("t: docker", "t: containerd")),
    "output": lambda s: (s.bin / "a/etc/x").write_text("tampered"),
    "output deleted": lambda s: gone(s.bin / "a/tar.tar.zst"),
    "store deleted": lambda s: gone(s.root / "cache"),
    "new file": lambda s: edit(s, "files/new", "new"),
}
CONTENT = {"template", "template back", "comment", "file", "file back", "file deep down", "both"}


@pytest.mark.parametrize("seed", range(6))
def test_after_any_edits_the_outputs_are_those_of_a_build_from_nothing(built: Space, tmp_path: Path, seed: int) -> None:
    choice = random.Random(seed)
    done = []
    for step in range(10):
        names = choice.sample(sorted(EDITS) if step % 3 == 2 else sorted(CONTENT), choice.choice([1, 1, 2]))
        done.append(names)
        for name in names:
            EDITS[name](built)
        made = built.build(FILES)
        assert made.code == 0, (done, made.said)
        if set(names) <= CONTENT:
            assert not made.is_whole, done
        assert built.outputs() == scratch(built, tmp_path / f"scratch{step}"), done
        assert "0 total actions" in built.build(FILES).said, done
        assert "0 total actions" in built.full(FILES), done


OUT_OF_THE_ORDINARY: dict[str, Callable[[Space], object]] = {
    "no plan": lambda s: gone(files_of(s)[1]),
    "damaged plan": lambda s: flip(files_of(s)[1]),
    "plan of another build": lambda s: files_of(s)[1].write_bytes(files_of(s)[1].read_bytes()[::-1]),
    "a package, too": lambda s: edit(s, "BUILD.yaml", PACKAGE + "# more\n"),
    "an output, too": lambda s: gone(s.bin / "a/etc/x"),
    "a lost blob": lambda s: (s.root / "cache/v1/index.sqlite").unlink(),
    "the store": lambda s: gone(s.root / "cache"),
}


@pytest.mark.parametrize("change", OUT_OF_THE_ORDINARY)
def test_what_is_out_of_the_ordinary_is_left_to_the_whole_way(built: Space, tmp_path: Path, change: str) -> None:
    edit(built, "files/one", "before\n")
    assert not built.build(FILES).is_whole
    edit(built, "x.j2", "after {{ cri }}\n")
    OUT_OF_THE_ORDINARY[change](built)
    made = built.build(FILES)
    assert (made.code, made.is_whole) == (0, True)
    assert built.outputs() == scratch(built, tmp_path / "scratch")


def test_a_blob_that_is_lost_is_made_again_by_the_whole_way(built: Space, tmp_path: Path) -> None:
    """The index is the same file, so that nothing tells before the merge asks for what is gone."""
    import sqlite3

    with sqlite3.connect(built.root / "cache/v1/index.sqlite") as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert {"pack", "files"} <= set(tables)
        connection.execute("DELETE FROM pack")
        connection.execute("DELETE FROM files")
    connection.close()
    edit(built, "x.j2", "after {{ cri }}\n")
    made = built.build(FILES)
    assert made.code == 0, made.said
    assert built.outputs() == scratch(built, tmp_path / "scratch")


def test_a_failure_is_told_by_the_whole_way(built: Space) -> None:
    edit(built, "x.j2", "{{ nobody }}\n")
    made = built.build(FILES)
    assert made.is_whole
    assert made.code == 1
    assert made.said.count("template variable: 'nobody' is undefined") == 1
    edit(built, "x.j2", "{{ cri }} again\n")
    assert built.build(FILES).code == 0
    assert (built.bin / "a/etc/x").read_text() == "docker again\n"


def test_trees_are_delivered_by_the_whole_way(space: Space) -> None:
    space.build()
    edit(space, "x.j2", "after {{ cri }}\n")
    assert space.build().is_whole
    assert (space.bin / "a/tree/etc/x").read_text() == "after docker\n"


def test_a_change_that_reaches_too_much_is_left_to_the_whole_way(built: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "LIMIT", 2)
    edit(built, "x.j2", "after {{ cri }}\n")
    assert built.build(FILES).is_whole


def test_each_bit_of_a_plan_is_verified_before_it_is_used(built: Space) -> None:
    snapshot, path, _ = files_of(built)
    check, data = snapshot.read_bytes()[:8], path.read_bytes()

    def read() -> object:
        plan = Plan(str(path), check, {})
        changed = plan.source("a/x.j2")
        return [(planned, *map(plan.value, planned.outputs)) for planned in plan.affected(changed)]

    right = read()
    for place in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[place] ^= 16
        path.write_bytes(damaged)
        try:
            assert read() == right
        except Unplanned:
            continue


def test_the_work_is_that_of_the_change(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a plan of a thousand actions, an edit reads a few pages."""
    lines = ["targets:\n"]
    for number in range(1000):
        edit(space, f"t{number}.j2", f"text {number}\n")
        lines.append(f"  - {{rule: template, name: t{number}, src: t{number}.j2, out: etc/t{number}}}\n")
    edit(space, "BUILD.yaml", "".join(lines))
    space.build()
    pages: list[set[int]] = []
    closed = Plan.affected

    def affected(self: Plan, changed: list[int]) -> object:
        found = closed(self, changed)
        pages.append(self._verified)
        return found

    monkeypatch.setattr(Plan, "affected", affected)
    edit(space, "t500.j2", "changed\n")
    made = space.build()
    assert not made.is_whole
    assert "1 process: 1 local." in made.said
    assert len(pages[0]) < 20, "bisection and one record, not the table"
    assert files_of(space)[1].stat().st_size > 60 * plan_module.PAGE
    assert files_of(space)[2].stat().st_size < 2000, "what changed is written, not all that there is"


@pytest.mark.parametrize("way", ["replaced", "beside a file that comes and goes"])
def test_an_editor_that_writes_in_its_own_way_makes_no_difference(built: Space, way: str) -> None:
    """Many editors rename a new file over the old one: the folder's times change, what is in it does not."""
    if way == "replaced":
        edit(built, "x.j2.new", "after {{ cri }}\n")
        (built.package / "x.j2.new").replace(built.package / "x.j2")
    else:
        edit(built, ".x.j2.swp", "")
        edit(built, "x.j2", "after {{ cri }}\n")
        gone(built.package / ".x.j2.swp")
    assert not built.build(FILES).is_whole
    assert (built.bin / "a/etc/x").read_text() == "after docker\n"


def test_the_first_build_of_all_leaves_a_snapshot(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders and files that it made itself are younger than it; their content tells that they are the same."""
    monkeypatch.undo()
    assert space.build(FILES).is_whole
    assert not space.build(FILES).is_whole


def test_a_full_disk_leaves_nothing_half_written(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def full(source: str, target: str) -> None:
        if "snapshots" in str(target):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    assert space.build(FILES).code == 0
    assert list((space.root / "buildsys-out/snapshots").iterdir()) == []


def test_what_a_killed_build_was_writing_is_removed(space: Space) -> None:
    folder = space.root / "buildsys-out/snapshots"
    folder.mkdir(parents=True)
    ended = subprocess.Popen(["true"])
    ended.wait()
    for name in (f"0123456789abcdef.plan.{ended.pid}", f"0123456789abcdef.{os.getpid()}"):
        (folder / name).write_text("half")
    assert space.build(FILES).code == 0
    left = {path.name for path in folder.iterdir()}
    assert f"0123456789abcdef.plan.{ended.pid}" not in left
    assert f"0123456789abcdef.{os.getpid()}" in left
