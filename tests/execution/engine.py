"""An engine to test with: toy operations, and builds of hand-made actions that cannot hang the tests."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from buildsys.execution.executor import Executor
from buildsys.execution.outcome import Options, Outcome
from buildsys.execution.outputs import Outputs
from buildsys.execution.sources import Sources
from buildsys.model.action import Action, ActionIO, Artifact, BaseOperation, make_action
from buildsys.model.events import Events, NoEvents
from buildsys.model.graph import ActionGraph
from buildsys.model.label import Label
from buildsys.store.local import LocalStore, open_store
from buildsys.store.workspace_state import WorkspaceState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from buildsys.model.action import Value
    from buildsys.model.digest import Digest
    from buildsys.model.tree import Tree

GUARD_SECONDS = 30.0
"""After so long a build counts as hanging."""

BEHAVIOURS: dict[str, Callable[[ActionIO, tuple[Artifact, ...]], None]] = {}
"""What the operations of a test do, by name: a function cannot stand in a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy(BaseOperation):
    """Does what BEHAVIOURS says; without an entry, joins its inputs and its name."""

    MNEMONIC: ClassVar[str] = "Toy"
    VERSION: ClassVar[int] = 1

    name: str
    srcs: tuple[Artifact, ...] = ()

    def execute(self, io: ActionIO) -> None:
        join(io, self.srcs, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct(BaseOperation):
    """As Toy, with an output that goes to the output folder alone."""

    MNEMONIC: ClassVar[str] = "Direct"
    VERSION: ClassVar[int] = 1
    STORED: ClassVar[bool] = False

    name: str
    srcs: tuple[Artifact, ...] = ()

    def execute(self, io: ActionIO) -> None:
        join(io, self.srcs, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blind(BaseOperation):
    """As Toy, for an operation that needs blobs that it does not name."""

    MNEMONIC: ClassVar[str] = "Blind"
    VERSION: ClassVar[int] = 1

    name: str
    srcs: tuple[Artifact, ...] = ()

    def needs(self, io: ActionIO) -> Iterable[Digest]:
        if self.name == "needs fails":
            raise ValueError("no needs")
        return ()

    def execute(self, io: ActionIO) -> None:
        join(io, self.srcs, self.name)


def join(io: ActionIO, srcs: tuple[Artifact, ...], name: str) -> None:
    behaviour = BEHAVIOURS.get(name)
    if behaviour is not None:
        behaviour(io, srcs)
        return
    with io.create() as out:
        for src in srcs:
            out.write(io.read(src) + b"+")
        out.write(name.encode())


def source(path: str) -> Artifact:
    """Name a source file of the package `p`."""
    return Artifact("p", path)


def output(name: str, target: str = "") -> Artifact:
    """Name an output of the package `p`."""
    return Artifact("p", name, target or name)


def act(operation: BaseOperation, *outputs: Artifact) -> Action:
    """Make an action."""
    assert isinstance(operation, Toy | Direct | Blind)
    label = Label("p", outputs[0].target)
    return make_action(operation, outputs, owner=label, config="", progress=f"Toy {outputs[0].path}", tools={})


def toy(name: str, *srcs: Artifact) -> Action:
    """Make an action of a Toy whose output is called as it is."""
    return act(Toy(name=name, srcs=srcs), output(name))


def guarded(function: Callable[[], Any]) -> Any:
    """Run a function in a thread and fail when it takes too long."""
    answer: list[Any] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            answer.append(function())
        except BaseException as error:  # noqa: BLE001 - handed on below
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(GUARD_SECONDS)
    assert not thread.is_alive(), "the build hangs"
    if raised:
        raise raised[0]
    return answer[0]


@dataclass
class Recorder(NoEvents):
    """Writes down what runs."""

    names: list[str] = field(default_factory=list)

    def started(self, action: Action) -> None:
        self.names.append(action.outputs[0].name)


class Engine:
    """A folder of sources, a store and an output folder; every build opens them anew, as a new process does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.base = root / "out"
        self.store = root / "store"
        (root / "src" / "p").mkdir(parents=True)
        self.ran: list[str] = []
        """The actions that the last build ran, in the order they were started."""
        self.written: list[str] = []
        self.work: Counter[str] = Counter()
        """The bytes of each kind of work that assembling outputs took in the last build."""

    def source(self, name: str, text: str) -> Artifact:
        """Write a source file."""
        path = self.root / "src" / "p" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return source(name)

    def bin(self, path: str) -> Path:
        """Return the path of an output."""
        return self.base / "bin" / path

    def open(self) -> LocalStore:
        """Open the store."""
        return open_store(str(self.store))

    def build(
        self,
        actions: Iterable[Action],
        *wanted: Artifact | tuple[Artifact, str],
        jobs: int = 4,
        keep_going: bool = False,
        events: Events | None = None,
        before: Callable[[LocalStore], None] | None = None,
        known: Mapping[Artifact, Value] | None = None,
    ) -> Outcome:
        """Build `wanted`, each to stand at its path or at the one given."""
        paths = dict((item, item.path) if isinstance(item, Artifact) else item for item in wanted)
        recorder = Recorder()
        store = self.open()
        state = WorkspaceState(str(self.base / "state.sqlite"))
        try:
            if before is not None:
                before(store)
            outputs = Outputs(str(self.base), store.blobs, state)
            sources = Sources(str(self.root / "src"), "src", store.blobs, state)
            options = Options(jobs=jobs, keep_going=keep_going)
            executor = Executor(ActionGraph(actions), store, sources, outputs, options, events or recorder)
            outcome: Outcome = guarded(lambda: executor.run(paths, known=known))
        finally:
            state.close()
            store.close()
            self.ran = recorder.names
        self.written, self.work = [seen[0] for seen in outputs.seen()], outputs.work
        return outcome

    def good(self, actions: Iterable[Action], *wanted: Artifact | tuple[Artifact, str], jobs: int = 4) -> Outcome:
        """Build what must succeed."""
        outcome = self.build(actions, *wanted, jobs=jobs)
        assert not outcome.errors, [error.message for error in outcome.errors]
        return outcome

    def lose(self, *digests: Digest) -> None:
        """Take blobs out of the store, behind its back."""
        store = self.open()
        for digest in digests:
            with store.database.transaction() as connection:
                connection.execute("DELETE FROM pack WHERE digest = ?", (bytes.fromhex(digest),))
            path = store.blobs.path(digest)
            if path is not None:
                os.unlink(path)
        store.close()

    def leftovers(self) -> list[str]:
        """Return what stands in the temporary folders."""
        folders = (self.store / "v1" / "tmp", self.base / "tmp")
        return [str(path) for folder in folders if folder.exists() for path in folder.iterdir()]

    def trust_times(self) -> None:
        """Let the files that were looked at count as not having changed for long when they were."""
        with sqlite3.connect(self.base / "state.sqlite") as connection:
            connection.execute("UPDATE files SET seen_ns = seen_ns + 10000000000")
        connection.close()

    def tree(self, tree: Tree, path: str = "t") -> None:
        """Materialise a tree at a path of the output folder."""
        name = f"tree {tree.digest}"
        BEHAVIOURS[name] = lambda io, _: io.write_tree(tree)
        artifact = output("tree")
        self.good([act(Toy(name=name), artifact)], (artifact, path))
