"""What a tarball costs when one small file of its tree changes, and when it changes back: counted, not timed."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
from typing import TYPE_CHECKING

import pytest

from buildsys.actions.tarball import Tarball
from buildsys.adapters import sha256, zstd
from buildsys.archive import gzip
from buildsys.model.action import make_action
from buildsys.model.label import Label
from buildsys.model.tree import FILE, Entry, Tree
from tests.execution.engine import BEHAVIOURS, Engine, act, output, source
from tests.execution.engine import Toy as ToyOperation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from buildsys.model.action import Action, ActionIO, Artifact

pytestmark = pytest.mark.skipif(not sha256.begin().freeze(), reason="no libcrypto.so.3 here")

PAYLOAD = 3_000_000
PAYLOADS = 5
READERS = {"none": ["cat"], "gzip": ["gzip", "-dc"], "zstd": ["zstd", "-dcq"]}


class Bench:
    """An engine with one tarball: large payloads, one of them compressed already, and small files, one a source."""

    def __init__(self, root: Path, compression: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine = Engine(root)
        self.compression = compression
        self.frames = 0
        noise = random.Random(7)
        self.payloads = [noise.randbytes(PAYLOAD // 2).hex().encode() for _ in range(PAYLOADS - 1)]
        self.payloads.append(noise.randbytes(PAYLOAD))
        BEHAVIOURS["tree"] = self.tree
        for module in (gzip, zstd):
            monkeypatch.setattr(module, "compress_stream", self.counting(module.compress_stream))

    def counting(self, compress: object) -> object:
        def counted(src: object, dst: object, size: int, level: int) -> None:
            assert callable(compress)
            self.frames += size > 10_000
            compress(src, dst, size, level)

        return counted

    def tree(self, io: ActionIO, srcs: tuple[Artifact, ...]) -> None:
        entries = []
        for number, data in enumerate(self.payloads):
            with io.create_blob() as blob:
                blob.write(data)
            entries.append(Entry(f"bin/{number}", FILE, 0o755, blob.digest, blob.size))
        for number in range(300):
            data = hashlib.shake_128(b"%d" % number).hexdigest(300).encode()
            entries.append(Entry(f"etc/part-{number % 9}/{number}", FILE, 0o644, io.put_blob(data), len(data)))
        data = io.read(srcs[0])
        io.write_tree(Tree.of([*entries, Entry("etc/part-4/edited", FILE, 0o644, io.put_blob(data), len(data))]))

    def build(self, text: str) -> list[str]:
        """Build with a text as the source; return what ran."""
        self.frames = 0
        self.engine.source("s", text)
        tree = act(ToyOperation(name="tree", srcs=(source("s"),)), output("tree"))
        self.engine.good([tree, self.tarball()], output("x"))
        with self.path.open("rb") as stream:
            expanded = subprocess.run(READERS[self.compression], stdin=stream, capture_output=True, check=True).stdout
        assert text.encode() in expanded
        return self.engine.ran

    def tarball(self) -> Action:
        operation = Tarball(output("tree"), self.compression)
        return make_action(operation, (output("x"),), owner=Label("p", "x"), config="", progress="Tarball", tools={})

    @property
    def path(self) -> Path:
        return self.engine.bin("p/x")

    @property
    def size(self) -> int:
        return self.path.stat().st_size


@pytest.fixture(params=READERS)
def bench(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    BEHAVIOURS.clear()
    yield Bench(tmp_path, request.param, monkeypatch)
    BEHAVIOURS.clear()


def test_an_edit_costs_the_tail_and_going_back_nothing(bench: Bench) -> None:
    bench.build("one")
    digest = hashlib.sha256(bench.path.read_bytes()).hexdigest()
    assert bench.engine.work["hashed"] == bench.size

    bench.build("two")
    work = bench.engine.work
    assert bench.frames <= (0 if bench.compression == "none" else 2)
    assert work["hashed"] < 0.05 * bench.size
    stored = 0 if bench.compression == "none" else PAYLOAD
    assert work["written"] < stored + 0.05 * bench.size, "through this program, the copies being the kernel's"
    assert work["copied"] + work["written"] == bench.size

    bench.build("three")
    work = bench.engine.work
    assert bench.frames <= (0 if bench.compression == "none" else 2)
    assert work["hashed"] == work["written"] < 0.05 * bench.size
    assert work["standing"] > 0.95 * bench.size
    assert work["copied"] == 0

    assert bench.build("two") == []
    assert sum(bench.engine.work.values()) == 0
    bench.build("four")
    assert bench.build("one") == ["x"]
    assert hashlib.sha256(bench.path.read_bytes()).hexdigest() == digest
    assert bench.engine.work["hashed"] < 0.05 * bench.size


def test_outputs_that_are_gone_cost_a_copy(bench: Bench) -> None:
    bench.build("one")
    digest, size = hashlib.sha256(bench.path.read_bytes()).hexdigest(), bench.size
    for lost in ([bench.path], [bench.path, bench.engine.base / "state.sqlite"]):
        for path in lost:
            os.unlink(path)
        assert bench.build("one") == ["x"]
        assert bench.frames == 0
        assert bench.engine.work["hashed"] == 0
        assert bench.engine.work["copied"] + bench.engine.work["written"] == size
        assert hashlib.sha256(bench.path.read_bytes()).hexdigest() == digest
