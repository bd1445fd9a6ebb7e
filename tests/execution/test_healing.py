"""Lost blobs are made again: together where one needs another, and never without end."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from buildsys.errors import InternalError
from buildsys.execution.executor import Executor
from buildsys.execution.outcome import Options, Outcome
from buildsys.execution.outputs import Outputs
from buildsys.execution.sources import Sources
from buildsys.model.action import Action, ActionIO, Artifact, BaseOperation, Value, make_action
from buildsys.model.events import NoEvents
from buildsys.model.graph import ActionGraph
from buildsys.model.label import Label
from buildsys.store.local import open_store
from buildsys.store.workspace_state import WorkspaceState

COUNTER = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Join(BaseOperation):
    """Writes its name and its inputs, `slow` ones after a while; `unsteady` ones write something else each time."""

    MNEMONIC: ClassVar[str] = "Join"
    VERSION: ClassVar[int] = 1

    name: str
    parts: tuple[Artifact, ...] = ()
    unsteady: bool = False
    slow: bool = False

    def execute(self, io: ActionIO) -> None:
        time.sleep(0.2 * self.slow)
        text = b"".join([self.name.encode(), *(io.read(part) for part in self.parts)])
        io.write(text + (str(next(COUNTER)).encode() if self.unsteady else b""))


class Bench:
    """A graph of Join actions over a store in a folder; each build opens all of it anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.actions: list[Action] = []
        self.values: dict[Artifact, Value] = {}

    def join(self, name: str, *parts: Artifact, unsteady: bool = False, slow: bool = False) -> Artifact:
        out = Artifact("pkg", name, name)
        operation = Join(name=name, parts=parts, unsteady=unsteady, slow=slow)
        label = Label("pkg", name)
        self.actions.append(make_action(operation, (out,), owner=label, config="", progress=name, tools={}))
        return out

    def build(self, *wanted: Artifact, lose: tuple[Artifact, ...] = (), keep_going: bool = False) -> Outcome:
        store = open_store(str(self.folder / "store"))
        state = WorkspaceState(str(self.folder / "out" / "state.sqlite"))
        try:
            for artifact in lose:
                digest = self.values[artifact].digest
                with store.database.transaction() as connection:
                    connection.execute("DELETE FROM pack WHERE digest = ?", (bytes.fromhex(digest),))
            outputs = Outputs(str(self.folder / "out"), store.blobs, state)
            sources = Sources(str(self.folder), "", store.blobs, state)
            options = Options(jobs=4, keep_going=keep_going)
            executor = Executor(ActionGraph(self.actions), store, sources, outputs, options, NoEvents())
            outcome = executor.run({artifact: artifact.name for artifact in wanted})
            self.values = outcome.values
            return outcome
        finally:
            state.close()
            store.close()

    def text(self, artifact: Artifact) -> str:
        return (self.folder / "out" / "bin" / artifact.name).read_text()

    def ran(self, outcome: Outcome) -> list[str]:
        return sorted(ran.action.progress for ran in outcome.ran)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_lost_blob_that_two_wait_for_is_made_once(bench: Bench) -> None:
    """`changed` needs `base` and `middle`, and `middle` needs `base`: both wait for one action at the same time."""
    base = bench.join("base", slow=True)
    middle = bench.join("middle", base)
    assert bench.build(middle).errors == []
    changed = bench.join("changed", base, middle)
    outcome = bench.build(changed, lose=(base, middle))
    assert outcome.errors == []
    assert bench.ran(outcome) == ["base", "changed", "middle"]
    assert bench.text(changed) == "changedbasemiddlebase"


def test_several_that_run_wait_for_one(bench: Bench) -> None:
    base = bench.join("base")
    bench.build(base)
    tops = [bench.join(f"top{number}", base) for number in range(5)]
    outcome = bench.build(*tops, lose=(base,))
    assert outcome.errors == []
    assert bench.ran(outcome) == ["base", *(f"top{number}" for number in range(5))]


def test_a_chain_that_is_lost_as_a_whole_is_made_from_its_start(bench: Bench) -> None:
    chain = [bench.join("0")]
    for number in range(1, 6):
        chain.append(bench.join(str(number), chain[-1]))
    bench.build(chain[-1])
    (bench.folder / "out" / "bin" / "5").unlink()
    outcome = bench.build(chain[-1], lose=tuple(chain))
    assert outcome.errors == []
    assert bench.ran(outcome) == ["0", "1", "2", "3", "4", "5"]
    assert bench.text(chain[-1]) == "543210"


@pytest.mark.parametrize("keep_going", [False, True])
def test_a_blob_that_is_made_differently_each_time_is_given_up(bench: Bench, keep_going: bool) -> None:
    """What was recorded is lost, and its action makes other bytes now: an error that says so, and an end."""
    unsteady = bench.join("unsteady", unsteady=True)
    bench.build(unsteady)
    (bench.folder / "out" / "bin" / "unsteady").unlink()
    sound = bench.join("sound")
    outcome = bench.build(unsteady, sound, lose=(unsteady,), keep_going=keep_going)
    (error,) = outcome.errors
    assert isinstance(error, InternalError)
    assert (error.code, bool(error.hint)) == ("B905", True)
    assert unsteady in outcome.failed
    if keep_going:
        assert bench.text(sound) == "sound"
