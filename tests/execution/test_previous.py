"""Earlier outputs: put back when they are wanted again, and only when nobody has touched them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from buildsys.execution import output_folder
from buildsys.model.action import Value
from buildsys.model.digest import digest_bytes
from tests.execution.engine import BEHAVIOURS, Direct, Engine, act, output, source, toy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from buildsys.model.action import Action


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    BEHAVIOURS.clear()
    yield Engine(tmp_path)
    BEHAVIOURS.clear()


def graph() -> list[Action]:
    return [toy("a", source("s")), act(Direct(name="d", srcs=(output("a"),)), output("d"))]


def build(engine: Engine, text: str) -> list[str]:
    """Build with a source; return what ran."""
    engine.source("s", text)
    engine.good(graph(), output("d"))
    assert engine.bin("p/d").read_text() == f"{text}+a+d"
    assert engine.written == [str(engine.bin("p/d"))]
    return engine.ran


def kept(engine: Engine) -> list[Path]:
    return list((engine.base / "previous").iterdir())


def test_going_back_runs_nothing_and_is_a_rename(engine: Engine) -> None:
    build(engine, "one")
    inode = engine.bin("p/d").stat().st_ino
    assert build(engine, "two") == ["a", "d"]
    assert build(engine, "one") == []
    assert engine.bin("p/d").stat().st_ino == inode
    assert build(engine, "two") == []
    assert build(engine, "one") == []
    assert len(kept(engine)) == 1


def test_one_is_kept(engine: Engine) -> None:
    for text in ("one", "two", "three"):
        build(engine, text)
    assert [path.read_text() for path in kept(engine)] == ["two+a+d"]
    assert build(engine, "one") == ["d"]


def spoil(path: Path) -> None:
    before = path.stat()
    path.write_text("X" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def exchange(path: Path) -> None:
    path.unlink()
    path.write_text("one+a+d")


def lead_away(path: Path) -> None:
    path.rename(path.parent / "y")
    path.symlink_to("y")


TAMPERED: dict[str, Callable[[Path], object]] = {
    "spoilt": spoil,
    "touched": lambda path: path.touch(),
    "of another mode": lambda path: path.chmod(0o600),
    "linked": lambda path: os.link(path, path.parent.parent / "second name"),
    "removed": lambda path: path.unlink(),
    "another file": exchange,
    "a link": lead_away,
}


@pytest.mark.parametrize("how", TAMPERED)
def test_what_was_tampered_with_is_not_put_back(engine: Engine, how: str) -> None:
    build(engine, "one")
    build(engine, "two")
    TAMPERED[how](kept(engine)[0])
    assert build(engine, "one") == ["d"]


def test_an_output_that_was_tampered_with_is_not_kept(engine: Engine) -> None:
    build(engine, "one")
    spoil(engine.bin("p/d"))
    build(engine, "two")
    assert not (engine.base / "previous").exists()
    assert build(engine, "one") == ["d"]


def test_an_output_with_a_second_name_is_not_kept(engine: Engine) -> None:
    build(engine, "one")
    os.link(engine.bin("p/d"), engine.root / "mine")
    build(engine, "one")
    os.link(engine.bin("p/d"), engine.root / "mine too")
    build(engine, "two")
    assert (engine.root / "mine").read_text() == "one+a+d"
    assert build(engine, "one") == ["d"]


def test_stored_outputs_are_not_kept(engine: Engine) -> None:
    for text in ("one", "two"):
        engine.good([toy("a", engine.source("s", text))], output("a"))
    assert not (engine.base / "previous").exists()


def test_a_mode_that_changes_is_set(engine: Engine) -> None:
    build(engine, "one")
    build(engine, "two")
    store = engine.open()
    from buildsys.execution.outputs import Outputs
    from buildsys.store.workspace_state import WorkspaceState

    state = WorkspaceState(str(engine.base / "state.sqlite"))
    outputs = Outputs(str(engine.base), store.blobs, state)
    value = Value(digest_bytes(b"one+a+d"), 7, executable=True)
    assert outputs.restore("p/d", value)
    assert os.access(engine.bin("p/d"), os.X_OK)
    assert outputs.is_current("p/d", value)
    state.close()
    store.close()


def test_a_file_system_without_hard_links_keeps_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", cannot)
    build(engine, "one")
    build(engine, "two")
    assert not (engine.base / "previous").exists()
    assert engine.leftovers() == []


def test_clean_removes_what_is_kept(engine: Engine, tmp_path: Path) -> None:
    build(engine, "one")
    build(engine, "two")
    removed = output_folder.remove(str(tmp_path), str(engine.base), expunge=False)
    assert str(engine.base / "previous") in removed
    assert not (engine.base / "previous").exists()
    assert build(engine, "one") == ["d"]
