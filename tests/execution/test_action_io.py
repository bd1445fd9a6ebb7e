"""What a running operation may touch, and what is written down of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from buildsys.errors import ActionFailed
from buildsys.execution import journal
from buildsys.execution.journal import record
from buildsys.execution.sources import Sources
from buildsys.model.action import Value
from buildsys.model.digest import digest_bytes
from buildsys.store import workspace_state
from buildsys.store.workspace_state import WorkspaceState
from tests.execution.engine import BEHAVIOURS, Engine, output, toy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from buildsys.model.action import Action, ActionIO, Artifact

BIG = b"x" * 100_000


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    BEHAVIOURS.clear()
    yield Engine(tmp_path)
    BEHAVIOURS.clear()


@pytest.mark.parametrize("text", ["small", "L" * 100_000])
def test_an_input_has_a_path_with_its_bytes(engine: Engine, text: str) -> None:
    seen: list[str] = []

    def read(io: ActionIO, srcs: tuple[Artifact, ...]) -> None:
        path = io.path(srcs[0])
        seen.append(path)
        with open(path, encoding="utf-8") as stream:
            io.write(stream.read().encode())

    BEHAVIOURS["read"] = read
    engine.good([toy("read", engine.source("s", text))], output("read"))
    assert engine.bin("p/read").read_text() == text
    assert not seen[0].startswith(str(engine.root / "src"))


def test_scratch_space_is_one_folder_that_is_removed(engine: Engine) -> None:
    seen: list[str] = []

    def scratch(io: ActionIO, _: tuple[Artifact, ...]) -> None:
        with open(os.path.join(io.scratch(), "file"), "w", encoding="utf-8") as stream:
            stream.write("x")
        seen.extend([io.scratch(), io.scratch()])
        io.write(b"done")

    BEHAVIOURS["scratch"] = scratch
    engine.good([toy("scratch")], output("scratch"))
    assert seen[0] == seen[1]
    assert engine.leftovers() == []


def test_a_by_product_is_recalled_while_its_blob_is_there(engine: Engine) -> None:
    recalled: list[Value | None] = []

    def frame(io: ActionIO, srcs: tuple[Artifact, ...]) -> None:
        recalled.append(io.recall("frame of x").get("frame of x"))
        io.remember("frame of x", Value(io.put_blob(BIG), len(BIG)))
        io.write(io.read(srcs[0]))

    BEHAVIOURS["frame"] = frame
    for text in ("one", "two"):
        engine.good([toy("frame", engine.source("s", text))], output("frame"))
    engine.lose(digest_bytes(BIG))
    engine.good([toy("frame", engine.source("s", "three"))], output("frame"))
    assert recalled == [None, Value(digest_bytes(BIG), len(BIG)), None]


def test_a_blob_that_is_there_can_be_adopted(engine: Engine) -> None:
    there: list[bool] = []

    def adopt(io: ActionIO, _: tuple[Artifact, ...]) -> None:
        there.append(io.adopt("0" * 64))
        there.append(io.adopt(digest_bytes(BIG), executable=True))

    BEHAVIOURS.update({"big": lambda io, _: io.write(BIG), "adopt": adopt})
    engine.good([toy("big"), toy("adopt", output("big"))], output("adopt"))
    assert there == [False, True]
    assert engine.bin("p/adopt").read_bytes() == BIG
    assert os.access(engine.bin("p/adopt"), os.X_OK)


def test_an_output_is_streamed_and_can_be_given_up(engine: Engine) -> None:
    def twice(io: ActionIO, _: tuple[Artifact, ...]) -> None:
        try:
            with io.create() as out:
                out.write(b"wrong" + BIG)
                raise ActionFailed("B400", "once more")
        except ActionFailed:
            with io.create() as out:
                out.write(b"right")

    BEHAVIOURS["twice"] = twice
    engine.good([toy("twice")], output("twice"))
    assert engine.bin("p/twice").read_bytes() == b"right"
    assert engine.leftovers() == []


def test_the_journal_takes_any_number_of_actions(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace_state, "FLUSH_COUNT", 3)
    monkeypatch.setattr(journal, "BULK", 7)
    actions = [toy(f"a{number}") for number in range(20)]
    outcome = engine.good(actions, *(action.outputs[0] for action in actions))
    store, state = engine.open(), WorkspaceState(str(engine.base / "state.sqlite"))
    record(state, Sources(str(engine.root / "src"), "src", store.blobs, state), "build //p:b", outcome)
    last = state.last_build()
    assert last is not None
    assert sorted(entry.name for entry in last[2]) == sorted(action.name for action in actions)
    assert {state.last_key(action.name) for action, _ in outcome.keys.values()} == {
        (key, ()) for _, key in outcome.keys.values()
    }
    state.close()
    store.close()


def test_the_journal_says_what_ran_and_why(engine: Engine) -> None:
    def run(text: str) -> dict[str, tuple[str, tuple[str, ...]]]:
        actions: list[Action] = [toy("a", engine.source("s", text)), toy("b", output("a"))]
        outcome = engine.good(actions, output("b"))
        store, state = engine.open(), WorkspaceState(str(engine.base / "state.sqlite"))
        record(state, Sources(str(engine.root / "src"), "src", store.blobs, state), "build //p:b", outcome)
        state.close()
        state = WorkspaceState(str(engine.base / "state.sqlite"))
        last = state.last_build()
        state.close()
        store.close()
        assert last is not None
        return {entry.name: (entry.reason, entry.inputs) for entry in last[2]}

    names = {"a": "//p:a Toy a", "b": "//p:b Toy b"}
    assert run("one") == {names["a"]: ("new", ("src/p/s",)), names["b"]: ("new", ("//p:a a",))}
    assert run("one") == {}
    assert run("two") == {names["a"]: ("changed", ("src/p/s",)), names["b"]: ("changed", ("//p:a a",))}
    outcome = engine.good([toy("a", engine.source("s", "two")), toy("b", output("a"))], output("b"))
    engine.lose(outcome.values[output("b")].digest)
    engine.bin("p/b").unlink()
    assert run("two") == {names["b"]: ("lost", ("//p:a a",))}
