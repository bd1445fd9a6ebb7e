"""Work in advance: payloads are compressed while others are on their way, and nothing depends on it."""

from __future__ import annotations

import random
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from buildsys.actions.merge import Merge, MergedFile
from buildsys.actions.tarball import Tarball
from buildsys.adapters import zstd
from buildsys.model.action import make_action
from buildsys.model.label import Label
from tests.execution.engine import BEHAVIOURS, Engine, output, toy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from buildsys.model.action import Action, ActionIO, Artifact, Value

SIZE = 400_000
SECONDS = 20.0


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    before = dict(BEHAVIOURS)
    yield Engine(tmp_path)
    BEHAVIOURS.clear()
    BEHAVIOURS.update(before)


def payload(number: int) -> bytes:
    return random.Random(number).randbytes(SIZE // 2).hex().encode()


def graph(*names: str) -> list[Action]:
    """Two toys, the tree of both, and its tarball."""
    makers = [toy(name) for name in names]
    files = tuple(MergedFile(path=name, artifact=output(name)) for name in names)
    merge = make_action(
        Merge(files=files), (output("tree"),), owner=Label("p", "tree"), config="", progress="Merge", tools={}
    )
    tar = make_action(
        Tarball(tree=output("tree")), (output("tar"),), owner=Label("p", "tar"), config="", progress="Tar", tools={}
    )
    return [*makers, merge, tar]


def writes(number: int, then: Callable[[], object] = lambda: None) -> Callable[[ActionIO, tuple[Artifact, ...]], None]:
    def behave(io: ActionIO, srcs: tuple[Artifact, ...]) -> None:
        then()
        with io.create() as out:
            out.write(payload(number))

    return behave


def unpacked(engine: Engine) -> bytes:
    done = subprocess.run(["tar", "--zstd", "-xOf", str(engine.bin("p/tar"))], capture_output=True, check=True)
    return done.stdout


def test_a_payload_is_compressed_while_another_is_on_its_way(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second toy ends only when the frame of the first one has been made."""
    compressed, compress = threading.Event(), zstd.compress_stream

    def compressing(src: object, dst: object, size: int, level: int) -> None:
        compress(src, dst, size, level)  # type: ignore[arg-type]
        if size >= SIZE:
            compressed.set()

    monkeypatch.setattr(zstd, "compress_stream", compressing)
    BEHAVIOURS["first"] = writes(1)
    waited: list[bool] = []
    BEHAVIOURS["second"] = writes(2, lambda: waited.append(compressed.wait(SECONDS)))
    engine.good(graph("first", "second"), output("tar"))
    assert waited == [True]
    assert unpacked(engine) == payload(1) + payload(2)


def test_each_payload_is_compressed_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    frames: list[int] = []
    compress = zstd.compress_stream

    def counting(src: object, dst: object, size: int, level: int) -> None:
        frames.append(size)
        compress(src, dst, size, level)  # type: ignore[arg-type]

    monkeypatch.setattr(zstd, "compress_stream", counting)
    for number in range(6):
        BEHAVIOURS[f"toy{number}"] = writes(number % 3)
    engine.good(graph(*(f"toy{number}" for number in range(6))), output("tar"))
    assert sum(size >= SIZE for size in frames) == 3, "equal payloads have one frame"


def test_several_tarballs_share_what_is_done_in_advance(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two compress alike, a third does not; each frame that both have is made once, whoever is first."""
    frames: list[int] = []
    compress = zstd.compress_stream

    def counting(src: object, dst: object, size: int, level: int) -> None:
        frames.append(size)
        compress(src, dst, size, level)  # type: ignore[arg-type]

    offered: list[str] = []
    anticipate = Tarball.anticipate

    def noting(self: Tarball, io: ActionIO, value: Value) -> None:
        offered.append(f"{self.level} {value.digest}")
        anticipate(self, io, value)

    monkeypatch.setattr(zstd, "compress_stream", counting)
    monkeypatch.setattr(Tarball, "anticipate", noting)
    for number in range(3):
        BEHAVIOURS[f"toy{number}"] = writes(number)
    made = graph("toy0", "toy1", "toy2")
    for name, level in (("second", 0), ("third", 1)):
        operation = Tarball(tree=output("tree"), level=level)
        owner = Label("p", name)
        made.append(make_action(operation, (output(name),), owner=owner, config="", progress=name, tools={}))
    engine.good(made, output("tar"), output("second"), output("third"))
    assert len(offered) == len(set(offered)) == 2 * 3
    assert sum(size >= SIZE for size in frames) == 2 * 3
    assert engine.bin("p/tar").read_bytes() == engine.bin("p/second").read_bytes()


def test_what_fails_in_advance_is_done_by_the_action(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise RuntimeError("not now")

    monkeypatch.setattr(Tarball, "anticipate", failing)
    BEHAVIOURS["first"] = writes(1)
    engine.good(graph("first"), output("tar"))
    assert unpacked(engine) == payload(1)


def test_nothing_is_done_in_advance_for_what_ran_before(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    BEHAVIOURS["first"], BEHAVIOURS["second"] = writes(1), writes(2)
    engine.good(graph("first"), output("tar"))
    offered: list[str] = []
    monkeypatch.setattr(Tarball, "anticipate", lambda _, io, value: offered.append(value.digest))
    engine.good(graph("first", "second"), output("tar"))
    assert len(offered) == 1


def test_a_failure_elsewhere_ends_the_build_all_the_same(engine: Engine) -> None:
    def fail() -> None:
        raise ValueError("no")

    BEHAVIOURS["first"], BEHAVIOURS["second"] = writes(1), writes(2, fail)
    outcome = engine.build(graph("first", "second"), output("tar"))
    assert len(outcome.errors) == 1
    assert output("tar") in outcome.failed
