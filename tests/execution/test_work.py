"""How much work it is to build many small files, counted: system calls, statements, transactions, bytes and flushes."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from buildsys.actions.render import Render
from buildsys.execution import sources
from buildsys.execution.executor import WAVE
from buildsys.execution.journal import record
from buildsys.execution.sources import Sources
from buildsys.model.action import Action, Artifact, make_action
from buildsys.model.label import Label
from buildsys.store import database
from buildsys.store.workspace_state import WorkspaceState
from tests.execution.engine import BEHAVIOURS, Engine, output, toy

if TYPE_CHECKING:
    from pathlib import Path

    from buildsys.execution.outcome import Outcome

NODES = 1000
WAVES = -(-NODES // WAVE)


class Watch:
    """Counts what is asked of the system and of SQLite, from any thread."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls: Counter[str] = Counter()
        self.statements: Counter[str] = Counter()
        self.written = 0
        for name in (
            "open",
            "read",
            "fstat",
            "stat",
            "lstat",
            "replace",
            "chmod",
            "fchmod",
            "unlink",
            "mkdir",
            "fsync",
        ):
            self._count(patch, name)
        self._count(patch, "fdatasync")
        real_write, real_connect = os.write, sqlite3.connect

        def write(descriptor: int, data: bytes) -> int:
            self.written += len(data)
            return real_write(descriptor, data)

        def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connection: sqlite3.Connection = real_connect(*arguments, **options)
            connection.set_trace_callback(lambda text: self.statements.update([text.split(" ", 1)[0]]))
            return connection

        patch.setattr(os, "write", write)
        patch.setattr(database.sqlite3, "connect", connect)  # type: ignore[attr-defined]

    def _count(self, patch: pytest.MonkeyPatch, name: str) -> None:
        real = getattr(os, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            self.calls[name] += 1
            return real(*arguments, **options)

        patch.setattr(os, name, counted)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    BEHAVIOURS.clear()
    return Engine(tmp_path)


def nodes(engine: Engine) -> tuple[list[Action], list[Artifact]]:
    """Return many actions, each of a template of its own, and their outputs."""
    actions, outputs = [], []
    for number in range(NODES):
        template = engine.source(f"t{number}", f"{number} {{{{ name }}}}\n")
        made = output(f"o{number}")
        operation = Render(template=template, variables=(("name", f"value {number}"),))
        label = Label("p", made.target)
        actions.append(make_action(operation, (made,), owner=label, config="", progress=made.name, tools={}))
        outputs.append(made)
    return actions, outputs


def journalled(engine: Engine, outcome: Outcome) -> None:
    """Write a build down as a command does."""
    state = WorkspaceState(str(engine.base / "state.sqlite"))
    store = engine.open()
    record(state, Sources(str(engine.root / "src"), "src", store.blobs, state), "build", outcome)
    store.close()
    state.close()


def test_a_first_build_looks_at_each_file_once_and_writes_each_byte_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    actions, outputs = nodes(engine)
    watch = Watch(monkeypatch)
    outcome = engine.good(actions, *outputs)
    assert len(outcome.ran) == NODES
    few = 60
    calls = watch.calls
    assert calls["open"] <= 2 * NODES + few, "a source is opened once, and so is an output"
    assert calls["read"] <= NODES + few
    assert calls["fstat"] <= 2 * NODES + few, "before and after a source is read"
    assert calls["stat"] <= NODES + few, "of an output, when it is in its place"
    assert calls["replace"] <= NODES + few
    assert calls["lstat"] + calls["mkdir"] + calls["chmod"] + calls["fchmod"] + calls["unlink"] <= few
    assert calls["fsync"] + calls["fdatasync"] == 0
    assert watch.written == sum((engine.bin(f"p/o{number}")).stat().st_size for number in range(NODES))
    database_bytes = sum(path.stat().st_size for path in (engine.store / "v1").glob("index.sqlite*"))
    assert database_bytes < 1500 * NODES


def test_rows_are_asked_for_and_written_in_bulk(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    actions, outputs = nodes(engine)
    watch = Watch(monkeypatch)
    outcome = engine.good(actions, *outputs)
    journalled(engine, outcome)
    assert watch.statements["SELECT"] <= 8 * WAVES + 20
    assert watch.statements["INSERT"] <= 8 * (NODES // database.ROWS + 1)
    assert watch.statements["BEGIN"] <= 12
    watch.statements.clear()
    engine.trust_times()
    outcome = engine.good(actions, *outputs)
    journalled(engine, outcome)
    assert watch.statements["SELECT"] <= 10 * WAVES + 20
    assert watch.statements["INSERT"] + watch.statements["DELETE"] <= 4, "the journal's line about the build"


def test_a_second_build_touches_no_file(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    actions, outputs = nodes(engine)
    engine.good(actions, *outputs)
    engine.trust_times()
    before = {path: path.stat().st_ctime_ns for path in (engine.base / "bin").rglob("*")}
    watch = Watch(monkeypatch)
    outcome = engine.good(actions, *outputs)
    calls, few = watch.calls, 60
    monkeypatch.undo()
    assert (len(outcome.ran), outcome.hits) == (0, NODES)
    assert calls["open"] + calls["read"] + calls["fstat"] + calls["replace"] + calls["unlink"] + calls["mkdir"] <= few
    assert calls["stat"] <= NODES + few, "of each source"
    assert calls["lstat"] <= NODES + few, "of each output"
    assert {path: path.stat().st_ctime_ns for path in (engine.base / "bin").rglob("*")} == before
    assert len(engine.written) == NODES


def test_outputs_that_are_gone_are_read_from_the_store_in_bulk(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    actions, outputs = nodes(engine)
    engine.good(actions, *outputs)
    for number in range(NODES):
        engine.bin(f"p/o{number}").unlink()
    watch = Watch(monkeypatch)
    outcome = engine.good(actions, *outputs)
    assert not outcome.ran
    assert engine.bin("p/o7").read_text() == "7 value 7\n"
    assert watch.statements["SELECT"] <= 10 * WAVES + 20


def test_of_sources_that_templates_read_a_bounded_number_is_stored(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "KEPT_SOURCES", 9)
    actions, outputs = nodes(engine)
    outcome = engine.good(actions, *outputs)
    store = engine.open()
    values = [outcome.values[artifact].digest for action in actions for artifact in action.inputs]
    assert len(store.blobs.missing(values)) == NODES - 9
    assert store.blobs.missing(outcome.values[made].digest for made in outputs) == []
    store.close()


def test_a_wide_graph_over_one_source_reads_it_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    src = engine.source("s", "S")
    actions = [toy(f"a{number}", src) for number in range(300)]
    watch = Watch(monkeypatch)
    engine.good(actions, *(output(f"a{number}") for number in range(300)))
    assert watch.calls["read"] <= 20
