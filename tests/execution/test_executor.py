"""The executor: what runs, in which order, what is answered from the cache, and what happens when things go wrong."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from buildsys.errors import ActionFailed, EnvironmentFault, InternalError, Interrupted
from buildsys.execution import executor
from buildsys.model.digest import digest_bytes
from buildsys.model.tree import FILE, Entry, Tree
from buildsys.store.cas import BlobMissing
from tests.execution.engine import (
    BEHAVIOURS,
    Blind,
    Direct,
    Engine,
    Recorder,
    Toy,
    act,
    output,
    source,
    toy,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from buildsys.model.action import Action, ActionIO, Artifact

BIG = 100_000
"""More bytes than are packed: such a blob is a file of its own."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    BEHAVIOURS.clear()
    yield Engine(tmp_path)
    BEHAVIOURS.clear()


def writes(data: bytes, number: int = 0) -> Callable[[ActionIO, tuple[Artifact, ...]], None]:
    return lambda io, _: io.write(data, number)


def chain(length: int, first: Artifact) -> list[Action]:
    """Return actions of which each reads the output of the one before."""
    return [toy("0", first), *(toy(str(n), output(str(n - 1))) for n in range(1, length))]


class TestOrderAndValues:
    def test_an_action_runs_after_those_it_depends_on(self, engine: Engine) -> None:
        src = engine.source("s", "S")
        actions = [toy("a", src), toy("b", output("a")), toy("c", output("a")), toy("d", output("b"), output("c"))]
        engine.good(actions, output("d"))
        assert engine.ran[0] == "a"
        assert engine.ran[-1] == "d"
        assert engine.bin("p/d").read_text() == "S+a+b+S+a+c+d"

    def test_only_what_is_wanted_runs(self, engine: Engine) -> None:
        engine.good([toy("a"), toy("b", output("a")), toy("other")], output("b"))
        assert engine.ran == ["a", "b"]
        assert not engine.bin("p/a").exists()

    def test_a_second_build_runs_nothing(self, engine: Engine) -> None:
        actions = [toy("a", engine.source("s", "S")), toy("b", output("a"))]
        engine.good(actions, output("b"))
        outcome = engine.good(actions, output("b"))
        assert engine.ran == []
        assert outcome.hits == 2

    def test_a_changed_source_runs_what_depends_on_it(self, engine: Engine) -> None:
        one, two = engine.source("one", "1"), engine.source("two", "2")
        actions = [toy("a", one), toy("b", two), toy("c", output("a"), output("b"))]
        engine.good(actions, output("c"))
        engine.source("two", "two")
        engine.good(actions, output("c"))
        assert engine.ran == ["b", "c"]
        assert engine.bin("p/c").read_text() == "1+a+two+b+c"

    def test_an_equal_output_stops_the_change(self, engine: Engine) -> None:
        BEHAVIOURS["upper"] = lambda io, srcs: io.write(io.read(srcs[0]).upper())
        actions = [toy("upper", engine.source("s", "text")), toy("after", output("upper"))]
        engine.good(actions, output("after"))
        engine.source("s", "TEXT")
        engine.good(actions, output("after"))
        assert engine.ran == ["upper"]

    def test_the_executable_bit_is_part_of_a_value(self, engine: Engine) -> None:
        src = engine.source("s", "S")
        engine.good([toy("a", src)], output("a"))
        (engine.root / "src/p/s").chmod(0o755)
        engine.good([toy("a", src)], output("a"))
        assert engine.ran == ["a"]

    def test_equal_keys_run_once_at_the_same_time(self, engine: Engine) -> None:
        actions = [act(Toy(name="same"), output(f"o{n}")) for n in range(6)]
        engine.good(actions, *(output(f"o{n}") for n in range(6)))
        assert len(engine.ran) == 1
        assert {engine.bin(f"p/o{n}").read_text() for n in range(6)} == {"same"}

    def test_equal_keys_run_once_one_after_the_other(self, engine: Engine) -> None:
        BEHAVIOURS["base"] = writes(b"x")
        BEHAVIOURS["slow base"] = lambda io, srcs: io.write(io.read(srcs[0]))
        actions = [
            toy("base"),
            toy("slow base", output("base")),
            act(Toy(name="same", srcs=(output("base"),)), output("first")),
            act(Toy(name="same", srcs=(output("slow base"),)), output("second")),
        ]
        engine.good(actions, output("first"), output("second"), jobs=1)
        assert len(engine.ran) == 3
        assert engine.bin("p/first").read_bytes() == engine.bin("p/second").read_bytes() == b"x+same"

    def test_one_worker_and_eight_give_the_same(self, tmp_path: Path) -> None:
        found = []
        for jobs in (1, 8):
            (tmp_path / str(jobs)).mkdir()
            engine = Engine(tmp_path / str(jobs))
            src = engine.source("s", "S")
            actions = [toy(f"l{n}", src) for n in range(20)]
            actions += [toy(f"m{n}", output(f"l{n}"), output(f"l{n + 1}")) for n in range(19)]
            actions.append(toy("top", *(output(f"m{n}") for n in range(19))))
            outcome = engine.good(actions, output("top"), jobs=jobs)
            found.append((engine.bin("p/top").read_bytes(), sorted(engine.ran), outcome.values))
        assert found[0] == found[1]

    def test_several_outputs_each_have_a_value(self, engine: Engine) -> None:
        def both(io: ActionIO, _: tuple[Artifact, ...]) -> None:
            io.write(b"second", 1, executable=True)
            io.write(b"first", 0)

        BEHAVIOURS["both"] = both
        one, two = output("one", "t"), output("two", "t")
        engine.good([act(Toy(name="both"), one, two)], one, two)
        assert (engine.bin("p/one").read_text(), engine.bin("p/two").read_text()) == ("first", "second")
        assert (engine.bin("p/one").stat().st_mode & 0o777, engine.bin("p/two").stat().st_mode & 0o777) == (
            0o644,
            0o755,
        )

    def test_a_long_chain_needs_no_deep_stack(self, engine: Engine) -> None:
        BEHAVIOURS.update({str(n): writes(b"x") for n in range(3000)})
        actions = chain(3000, engine.source("s", "S"))
        engine.good(actions, output("2999"))
        assert len(engine.ran) == 3000


class TestLostBlobs:
    def test_hits_need_no_blobs(self, engine: Engine) -> None:
        actions = [toy("a", engine.source("s", "S")), toy("b", output("a"))]
        outcome = engine.good(actions, output("b"))
        engine.lose(outcome.values[output("a")].digest, outcome.values[output("b")].digest)
        engine.good(actions, output("b"))
        assert engine.ran == []

    def test_a_lost_blob_runs_its_producer_again(self, engine: Engine) -> None:
        actions = [toy("a", engine.source("s", "S")), toy("b", output("a")), toy("unrelated")]
        outcome = engine.good(actions, output("b"), output("unrelated"))
        engine.lose(outcome.values[output("b")].digest)
        engine.bin("p/b").unlink()
        engine.good(actions, output("b"), output("unrelated"))
        assert engine.ran == ["b"]
        assert engine.bin("p/b").read_text() == "S+a+b"

    def test_lost_blobs_are_made_again_all_the_way_down(self, engine: Engine) -> None:
        src = engine.source("s", "S")
        actions = chain(6, src)
        outcome = engine.good(actions, output("5"))
        engine.lose(*(outcome.values[output(str(n))].digest for n in (2, 3, 4, 5)), digest_bytes(b"S"))
        engine.bin("p/5").unlink()
        engine.good(actions, output("5"))
        assert engine.ran == ["2", "3", "4", "5"]
        assert engine.bin("p/5").read_text() == "S+0+1+2+3+4+5"

    def test_everything_lost_is_made_again(self, engine: Engine) -> None:
        src = engine.source("s", "S")
        actions = [toy("a", src), toy("b", output("a"), src), toy("c", output("a"), output("b"))]
        outcome = engine.good(actions, output("c"))
        engine.lose(*(value.digest for value in outcome.values.values()))
        engine.bin("p/c").unlink()
        engine.good(actions, output("c"))
        assert engine.ran == ["a", "b", "c"]

    def test_two_that_need_one_lost_blob_have_it_made_once(self, engine: Engine) -> None:
        base = toy("base", engine.source("s", "S"))
        outcome = engine.good([base], output("base"))
        engine.lose(outcome.values[output("base")].digest)
        users = [toy(f"u{n}", output("base")) for n in range(5)]
        engine.good([base, *users], *(output(f"u{n}") for n in range(5)))
        assert sorted(engine.ran) == ["base", "u0", "u1", "u2", "u3", "u4"]

    def test_one_that_needs_the_outputs_of_two_lost_chains_waits_for_both(self, engine: Engine) -> None:
        actions = [toy("a"), toy("b", output("a")), toy("x"), toy("y", output("x"))]
        outcome = engine.good(actions, output("b"), output("y"))
        engine.lose(*(value.digest for value in outcome.values.values()))
        engine.good([*actions, toy("z", output("b"), output("y"))], output("z"))
        assert sorted(engine.ran) == ["a", "b", "x", "y", "z"]
        assert engine.bin("p/z").read_text() == "a+b+x+y+z"

    def test_a_lost_blob_of_a_tree_is_made_again(self, engine: Engine) -> None:
        data = b"x" * BIG

        def tree(io: ActionIO, srcs: tuple[Artifact, ...]) -> None:
            value = io.value(srcs[0])
            io.write_tree(Tree.of([Entry("d/f", FILE, 0o644, value.digest, value.size)]))

        BEHAVIOURS.update({"payload": writes(data), "tree": tree})
        actions = [toy("payload"), toy("tree", output("payload"))]
        engine.good(actions, output("tree"))
        engine.lose(digest_bytes(data))
        engine.bin("p/tree/d/f").unlink()
        engine.good(actions, output("tree"))
        assert engine.ran == ["payload"]
        assert engine.bin("p/tree/d/f").read_bytes() == data

    def test_a_tree_whose_files_all_stand_needs_no_blobs(self, engine: Engine) -> None:
        data = b"x" * BIG
        BEHAVIOURS["payload"] = writes(data)
        BEHAVIOURS["tree"] = lambda io, srcs: io.write_tree(
            Tree.of([Entry("f", FILE, 0o644, io.value(srcs[0]).digest, BIG)])
        )
        actions = [toy("payload"), toy("tree", output("payload"))]
        engine.good(actions, output("tree"))
        engine.lose(digest_bytes(data))
        engine.good(actions, output("tree"))
        assert engine.ran == []

    def test_a_blob_that_is_lost_while_its_reader_runs_is_made_again(self, engine: Engine) -> None:
        lost = threading.Event()

        def reader(io: ActionIO, srcs: tuple[Artifact, ...]) -> None:
            if not lost.is_set():
                lost.set()
                engine.lose(io.value(srcs[0]).digest)
            io.write(io.read(srcs[0])[:3])

        BEHAVIOURS.update({"big": writes(b"x" * BIG), "reader": reader})
        engine.good([toy("big"), toy("reader", output("big"))], output("reader"))
        assert engine.ran == ["big", "reader", "big", "reader"]
        assert engine.bin("p/reader").read_text() == "xxx"

    def test_a_source_that_is_lost_while_its_reader_runs_is_staged_again(self, engine: Engine) -> None:
        lost = threading.Event()

        def reader(io: ActionIO, srcs: tuple[Artifact, ...]) -> None:
            with io.open(srcs[0]) as stream:
                assert stream.read(1) == b"S"
            if not lost.is_set():
                lost.set()
                engine.lose(io.value(srcs[0]).digest)
            with io.open(srcs[0]) as stream:
                io.write(stream.read(3))

        BEHAVIOURS["reader"] = reader
        engine.good([toy("reader", engine.source("s", "S" * BIG))], output("reader"))
        assert engine.bin("p/reader").read_text() == "SSS"

    def test_a_blob_that_is_lost_again_and_again_is_an_error(self, engine: Engine) -> None:
        def reader(io: ActionIO, srcs: tuple[Artifact, ...]) -> None:
            engine.lose(io.value(srcs[0]).digest)
            io.write(io.read(srcs[0]))

        BEHAVIOURS.update({"big": writes(b"x" * BIG), "reader": reader})
        outcome = engine.build([toy("big"), toy("reader", output("big"))], output("reader"))
        assert [error.code for error in outcome.errors] == ["B905"]
        assert len(engine.ran) < 20

    def test_a_source_that_a_tree_holds_and_that_is_lost_again_and_again_is_an_error(self, engine: Engine) -> None:
        def tree(io: ActionIO, srcs: tuple[Artifact, ...]) -> None:
            io.write_tree(Tree.of([Entry("f", FILE, 0o644, io.value(srcs[0]).digest, BIG)]))

        def reader(io: ActionIO, srcs: tuple[Artifact, ...]) -> None:
            raise BlobMissing(io.tree(srcs[0]).entries[0].digest)

        BEHAVIOURS.update({"tree": tree, "reader": reader})
        actions = [toy("tree", engine.source("s", "S" * BIG)), toy("reader", output("tree"))]
        outcome = engine.build(actions, output("reader"))
        assert [error.code for error in outcome.errors] == ["B905"]
        assert len(engine.ran) < 20

    @pytest.mark.parametrize("size", [1, BIG])
    def test_a_tree_of_sources_is_delivered_whole(self, engine: Engine, size: int) -> None:
        def tree(io: ActionIO, srcs: tuple[Artifact, ...]) -> None:
            entries = [Entry(f"f{n}", FILE, 0o644, io.value(src).digest, size + 1) for n, src in enumerate(srcs)]
            io.write_tree(Tree.of(entries))

        BEHAVIOURS["tree"] = tree
        sources = [engine.source(f"s{n}", str(n) + "s" * size) for n in range(9)]
        engine.good([toy("tree", *sources)], output("tree"))
        assert [engine.bin(f"p/tree/f{n}").read_text() for n in range(9)] == [str(n) + "s" * size for n in range(9)]

    def test_a_producer_that_gives_other_bytes_the_second_time_is_an_error(self, engine: Engine) -> None:
        numbers = iter(range(100))
        BEHAVIOURS["random"] = lambda io, _: io.write(b"%d" % next(numbers) * BIG)
        actions = [toy("random"), toy("a", output("random"))]
        outcome = engine.good(actions, output("random"))
        engine.lose(outcome.values[output("random")].digest)
        outcome = engine.build(actions, output("a"))
        assert [error.code for error in outcome.errors] == ["B905"]
        assert "//p:random" in outcome.errors[0].message

    def test_an_output_that_comes_out_otherwise_when_it_is_delivered_is_an_error(self, engine: Engine) -> None:
        numbers = iter(range(100))
        BEHAVIOURS["random"] = lambda io, _: io.write(b"%d" % next(numbers) * BIG)
        outcome = engine.good([toy("random")], output("random"))
        engine.lose(outcome.values[output("random")].digest)
        engine.bin("p/random").unlink()
        outcome = engine.build([toy("random")], output("random"))
        assert [error.code for error in outcome.errors] == ["B905"]

    def test_a_producer_that_fails_the_second_time_fails_what_waits_for_it(self, engine: Engine) -> None:
        actions = [toy("a"), toy("b", output("a")), toy("c", output("b"))]
        outcome = engine.good(actions[:2], output("b"))
        engine.lose(*(value.digest for value in outcome.values.values()))

        def fail(io: ActionIO, _: tuple[Artifact, ...]) -> None:
            raise ActionFailed("B400", "broken by now")

        BEHAVIOURS["a"] = fail
        outcome = engine.build(actions, output("c"))
        assert [error.code for error in outcome.errors] == ["B400"]
        assert output("c") in outcome.failed
        assert engine.ran == ["a"]

    def test_many_levels_of_loss_and_failure_need_no_deep_stack(self, engine: Engine) -> None:
        length = 1100
        BEHAVIOURS.update({str(n): writes(b"%d" % n) for n in range(length)})
        actions = chain(length, engine.source("s", "S"))
        outcome = engine.good(actions, output(str(length - 1)))
        store = engine.open()
        with store.database.transaction() as connection:
            connection.execute("DELETE FROM pack")
        store.close()
        del outcome

        def fail(io: ActionIO, _: tuple[Artifact, ...]) -> None:
            raise ActionFailed("B400", "broken by now")

        BEHAVIOURS["0"] = fail
        outcome = engine.build([*actions, toy("top", output(str(length - 1)))], output("top"))
        assert [error.code for error in outcome.errors] == ["B400"]
        assert engine.ran == ["0"]


def fails(code: str, text: str) -> Callable[[ActionIO, tuple[Artifact, ...]], None]:
    def fail(io: ActionIO, _: tuple[Artifact, ...]) -> None:
        raise ActionFailed(code, text)

    return fail


class TestFailures:
    def test_a_failure_skips_what_depends_on_it(self, engine: Engine) -> None:
        BEHAVIOURS["bad"] = fails("B400", "no")
        outcome = engine.build([toy("bad"), toy("after", output("bad"))], output("after"))
        assert engine.ran == ["bad"]
        assert [error.code for error in outcome.errors] == ["B400"]
        assert "//p:bad" in outcome.errors[0].notes[-1]
        assert outcome.failed == {output("bad"), output("after")}

    def test_without_keep_going_nothing_new_is_started(self, engine: Engine) -> None:
        BEHAVIOURS["bad"] = fails("B400", "no")
        actions = [toy("bad"), toy("x", engine.source("s", "S")), toy("y", output("x"))]
        outcome = engine.build(actions, output("bad"), output("y"), jobs=1)
        assert "y" not in engine.ran
        assert output("y") in outcome.failed

    def test_with_keep_going_the_rest_is_built(self, engine: Engine) -> None:
        BEHAVIOURS["bad"] = fails("B400", "no")
        actions = [toy("bad"), toy("after", output("bad")), toy("x"), toy("y", output("x"))]
        outcome = engine.build(actions, output("after"), output("y"), keep_going=True)
        assert sorted(engine.ran) == ["bad", "x", "y"]
        assert engine.bin("p/y").read_text() == "x+y"
        assert not engine.bin("p/after").exists()
        assert outcome.failed == {output("bad"), output("after")}

    def test_all_errors_are_collected(self, engine: Engine) -> None:
        BEHAVIOURS.update({"one": fails("B400", "first"), "two": fails("B401", "second")})
        outcome = engine.build([toy("one"), toy("two")], output("one"), output("two"), keep_going=True)
        assert sorted(error.code for error in outcome.errors) == ["B400", "B401"]

    def test_a_failure_is_not_cached(self, engine: Engine) -> None:
        BEHAVIOURS["bad"] = fails("B400", "no")
        engine.build([toy("bad")], output("bad"))
        del BEHAVIOURS["bad"]
        engine.good([toy("bad")], output("bad"))
        assert engine.ran == ["bad"]

    def test_a_missing_source_fails_its_readers_alone(self, engine: Engine) -> None:
        outcome = engine.build([toy("a", source("gone")), toy("b")], output("a"), output("b"), keep_going=True)
        assert [error.code for error in outcome.errors] == ["B208"]
        assert "src/p/gone" in outcome.errors[0].message
        assert engine.bin("p/b").read_text() == "b"

    @pytest.mark.parametrize("error", [ValueError("odd"), RecursionError("deep"), SystemExit(3), KeyError("k")])
    def test_any_exception_of_an_operation_is_an_internal_error_with_its_name(
        self, engine: Engine, error: BaseException
    ) -> None:
        def fail(io: ActionIO, _: tuple[Artifact, ...]) -> None:
            raise error

        BEHAVIOURS["odd"] = fail
        outcome = engine.build([toy("odd"), toy("fine")], output("odd"), output("fine"), keep_going=True)
        assert [e.code for e in outcome.errors] == ["B900"]
        assert "//p:odd Toy odd" in outcome.errors[0].message
        assert type(error).__name__ in outcome.errors[0].message
        assert engine.bin("p/fine").exists()

    def test_an_exception_in_needs_is_an_internal_error_with_its_name(self, engine: Engine) -> None:
        action = act(Blind(name="needs fails"), output("odd"))
        outcome = engine.build([action, toy("fine")], output("odd"), output("fine"), keep_going=True)
        assert [error.code for error in outcome.errors] == ["B900"]
        assert "//p:odd Blind odd" in outcome.errors[0].message
        assert engine.bin("p/fine").exists()

    def test_a_full_disk_in_an_operation_is_a_fault_of_the_machine(self, engine: Engine) -> None:
        def fail(io: ActionIO, _: tuple[Artifact, ...]) -> None:
            raise OSError(28, "No space left on device", "/scratch/file")

        BEHAVIOURS["full"] = fail
        outcome = engine.build([toy("full")], output("full"))
        assert [error.code for error in outcome.errors] == ["B501"]
        assert isinstance(outcome.errors[0], EnvironmentFault)

    def test_an_output_that_is_forgotten_is_an_internal_error(self, engine: Engine) -> None:
        BEHAVIOURS["lazy"] = writes(b"x")
        one, two = output("one", "t"), output("two", "t")
        outcome = engine.build([act(Toy(name="lazy"), one, two)], one)
        assert [error.code for error in outcome.errors] == ["B904"]
        assert "p/two" in outcome.errors[0].message
        assert isinstance(outcome.errors[0], InternalError)

    def test_reading_what_is_no_input_is_an_internal_error(self, engine: Engine) -> None:
        secret = engine.source("secret", "x")
        BEHAVIOURS["nosy"] = lambda io, _: io.write(io.read(secret))
        outcome = engine.build([toy("a", secret), toy("nosy")], output("a"), output("nosy"), keep_going=True)
        assert [error.code for error in outcome.errors] == ["B903"]
        assert "p/secret" in outcome.errors[0].message

    def test_equal_keys_fail_together(self, engine: Engine) -> None:
        BEHAVIOURS["bad"] = fails("B400", "no")
        actions = [act(Toy(name="bad"), output("one")), act(Toy(name="bad"), output("two"))]
        outcome = engine.build(actions, output("one"), output("two"), keep_going=True)
        assert outcome.failed == {output("one"), output("two")}

    def test_a_failure_leaves_no_part_files(self, engine: Engine) -> None:
        def fail(io: ActionIO, _: tuple[Artifact, ...]) -> None:
            io.scratch()
            with io.create() as out:
                out.write(b"x" * BIG)
                raise ActionFailed("B400", "half-way")

        BEHAVIOURS["half"] = fail
        for operation in (Toy(name="half"), Direct(name="half")):
            outcome = engine.build([act(operation, output("half"))], output("half"))
            assert [error.code for error in outcome.errors] == ["B400"]
            assert engine.leftovers() == []
            assert not engine.bin("p/half").exists()


class Interrupting(Recorder):
    """Presses Ctrl-C when an action begins."""

    def started(self, action: Action) -> None:
        super().started(action)
        if action.outputs[0].name == "last":
            raise KeyboardInterrupt


class TestInterrupts:
    @pytest.mark.parametrize("kind", [Toy, Direct])
    def test_an_interrupt_stops_what_runs_and_leaves_no_part_files(
        self, engine: Engine, kind: type[Toy | Direct]
    ) -> None:
        writing, stopped = threading.Event(), threading.Event()

        def endless(io: ActionIO, _: tuple[Artifact, ...]) -> None:
            try:
                with io.create() as out:
                    while True:
                        out.write(b"x" * BIG)
                        writing.set()
                        io.pause(0)
            finally:
                stopped.set()

        def waits(io: ActionIO, _: tuple[Artifact, ...]) -> None:
            assert writing.wait(20)
            io.write(b"done")

        BEHAVIOURS.update({"endless": endless, "waits": waits})
        actions = [act(kind(name="endless"), output("endless")), toy("waits"), toy("last", output("waits"))]
        with pytest.raises(Interrupted):
            engine.build(actions, output("endless"), output("last"), events=Interrupting())
        assert stopped.is_set()
        assert engine.leftovers() == []
        assert not engine.bin("p/endless").exists()

    def test_what_was_finished_is_kept(self, engine: Engine) -> None:
        actions = [toy("first"), toy("last", output("first"))]
        with pytest.raises(Interrupted):
            engine.build(actions, output("last"), events=Interrupting())
        engine.good(actions, output("last"))
        assert engine.ran == ["last"]


def test_what_has_finished_is_durable_while_another_action_takes_long(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "FLUSH_SECONDS", 0.02)

    def long(io: ActionIO, _: tuple[Artifact, ...]) -> None:
        other = engine.open()
        while not other.blobs.contains(digest_bytes(b"quick")):
            io.pause(0.01)
        other.close()
        io.write(b"long")

    BEHAVIOURS.update({"long": long, "quick": writes(b"quick")})
    engine.good([toy("quick"), toy("long")], output("long"), output("quick"))
    assert engine.bin("p/long").read_bytes() == b"long"


class TestDirectOutputs:
    def test_they_are_not_in_the_store(self, engine: Engine) -> None:
        BEHAVIOURS["d"] = lambda io, _: _stream(io, b"y" * BIG)
        outcome = engine.good([act(Direct(name="d"), output("d"))], output("d"))
        digest = outcome.values[output("d")].digest
        assert digest == digest_bytes(engine.bin("p/d").read_bytes())
        store = engine.open()
        assert store.blobs.missing([digest]) == [digest]
        store.close()

    def test_a_second_build_runs_nothing(self, engine: Engine) -> None:
        action = act(Direct(name="d"), output("d"))
        engine.good([action], output("d"))
        engine.good([action], output("d"))
        assert engine.ran == []

    @pytest.mark.parametrize("executable", [False, True])
    def test_small_and_executable_ones_are_made_once_too(self, engine: Engine, executable: bool) -> None:
        BEHAVIOURS["d"] = lambda io, _: io.write(b"small", executable=executable)
        BEHAVIOURS["e"] = lambda io, _: _stream(io, b"streamed", executable=executable)
        actions = [act(Direct(name="d"), output("d")), act(Direct(name="e"), output("e"))]
        engine.good(actions, output("d"), output("e"))
        assert engine.bin("p/d").read_bytes() == b"small"
        assert engine.bin("p/e").stat().st_mode & 0o777 == (0o755 if executable else 0o644)
        engine.good(actions, output("d"), output("e"))
        assert engine.ran == []

    @pytest.mark.parametrize("damage", ["content", "mode", "gone", "folder"])
    def test_one_that_was_tampered_with_is_made_again(self, engine: Engine, damage: str) -> None:
        action = act(Direct(name="d"), output("d"))
        engine.good([action], output("d"))
        path = engine.bin("p/d")
        if damage == "content":
            path.write_text("evil")
        elif damage == "mode":
            path.chmod(0o600)
        else:
            path.unlink()
        if damage == "folder":
            (path / "inner").mkdir(parents=True)
        engine.good([action], output("d"))
        assert engine.ran == ["d"]
        assert path.read_text() == "d"
        assert path.stat().st_mode & 0o777 == 0o644

    def test_one_key_with_two_paths_stands_at_both(self, engine: Engine) -> None:
        actions = [act(Direct(name="same"), output("one")), act(Direct(name="same"), output("two"))]
        engine.good(actions, output("one"), output("two"))
        assert (engine.bin("p/one").read_text(), engine.bin("p/two").read_text()) == ("same", "same")
        engine.good(actions, output("one"), output("two"))
        assert engine.ran == []

    def test_one_that_another_action_reads_is_stored(self, engine: Engine) -> None:
        actions = [act(Direct(name="d"), output("d")), toy("after", output("d"))]
        engine.good(actions, output("d"), output("after"))
        assert engine.bin("p/after").read_text() == "d+after"
        assert engine.bin("p/d").read_text() == "d"

    def test_one_that_was_direct_is_made_again_for_a_reader(self, engine: Engine) -> None:
        action = act(Direct(name="d"), output("d"))
        engine.good([action], output("d"))
        engine.good([action, toy("after", output("d"))], output("after"))
        assert engine.ran == ["d", "after"]

    def test_a_tree_that_is_not_stored_is_materialised(self, engine: Engine) -> None:
        def tree(io: ActionIO, _: tuple[Artifact, ...]) -> None:
            io.write_tree(Tree.of([Entry("f", FILE, 0o644, io.put_blob(b"text"), 4)]))

        BEHAVIOURS["t"] = tree
        engine.good([act(Direct(name="t"), output("t"))], output("t"))
        assert engine.bin("p/t/f").read_text() == "text"

    def test_after_a_failure_one_that_is_gone_is_not_claimed(self, engine: Engine) -> None:
        BEHAVIOURS["bad"] = fails("B400", "no")
        action = act(Direct(name="d"), output("d"))
        engine.good([action], output("d"))
        engine.bin("p/d").unlink()
        outcome = engine.build([action, toy("bad")], output("d"), output("bad"), jobs=1)
        assert output("d") in outcome.failed or engine.bin("p/d").exists()
        assert all(path.endswith("p/d") is engine.bin("p/d").exists() for path in engine.written)


def _stream(io: ActionIO, data: bytes, *, executable: bool = False) -> None:
    with io.create(executable=executable) as out:
        out.write(data)


def test_a_source_that_changes_while_the_build_runs_is_an_error_of_the_user(engine: Engine) -> None:
    def edit(io: ActionIO, _: tuple[Artifact, ...]) -> None:
        engine.source("s", "edited")
        io.write(b"done")

    src = engine.source("s", "S")
    engine.good([toy("a", src)], output("a"))
    engine.trust_times()
    engine.lose(digest_bytes(b"S"))
    BEHAVIOURS["edit"] = edit
    outcome = engine.build([toy("edit"), toy("a", src), toy("late", output("edit"), src)], output("a"), output("late"))
    assert [error.code for error in outcome.errors] == ["B505"]
    assert "src/p/s" in outcome.errors[0].message


class TestPartOfAGraph:
    """A graph that lacks the makers of some artifacts, whose values are known."""

    def test_what_is_known_needs_no_maker(self, engine: Engine) -> None:
        base = toy("base", engine.source("s", "S"))
        known = engine.good([base], output("base")).values
        outcome = engine.build([toy("top", output("base"))], output("top"), output("base"), known=known)
        assert (outcome.errors, outcome.lost, engine.ran) == ([], [], ["top"])
        assert engine.bin("p/top").read_text() == "S+base+top"

    @pytest.mark.parametrize("keep_going", [False, True])
    def test_a_blob_that_is_lost_and_that_nobody_makes_is_told(self, engine: Engine, keep_going: bool) -> None:
        known = engine.good([toy("base")], output("base")).values
        digest = known[output("base")].digest
        engine.lose(digest)
        actions = [toy("top", output("base")), toy("after", output("top"))]
        outcome = engine.build(actions, output("after"), known=known, keep_going=keep_going)
        assert (outcome.errors, outcome.lost, engine.ran) == ([], [digest], [])
        assert outcome.failed == {output("top"), output("after")}

    def test_one_that_is_lost_when_it_is_delivered_is_told(self, engine: Engine) -> None:
        known = engine.good([toy("base")], output("base")).values
        digest = known[output("base")].digest
        engine.lose(digest)
        engine.bin("p/base").unlink()
        outcome = engine.build([toy("other")], output("base"), output("other"), known=known)
        assert (outcome.errors, outcome.lost, outcome.failed) == ([], [digest], {output("base")})
