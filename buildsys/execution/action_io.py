"""What a running operation may touch: implements `model.action.ActionIO` over the store and the output folder."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from buildsys.errors import InternalError
from buildsys.execution.stop import Stop, Stopped
from buildsys.model.action import Action, ActionResult, Artifact, Value, action_key
from buildsys.model.tree import Tree
from buildsys.store.cas import owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager

    from buildsys.execution.hashing import HashingWriter
    from buildsys.execution.outputs import Outputs
    from buildsys.model.action import Fetching, Writer
    from buildsys.model.digest import Digest
    from buildsys.model.events import Events
    from buildsys.store.cas import BlobWriter
    from buildsys.store.local import LocalStore

T = TypeVar("T")
R = TypeVar("R")


class BuildIO:
    """The inputs, outputs and scratch space of one action. `direct` gives outputs that bypass the store their path."""

    def __init__(  # noqa: PLR0913 - the seam between the engine and an operation
        self,
        action: Action,
        values: Mapping[Artifact, Value],
        store: LocalStore,
        outputs: Outputs,
        *,
        direct: Mapping[Artifact, str],
        stop: Stop,
        helpers: Executor,
        fetching: Fetching,
        events: Events,
    ) -> None:
        self._action = action
        self._inputs = frozenset(action.inputs)
        self._values = values
        self._store = store
        self._outputs = outputs
        self._direct = direct
        self._stop = stop
        self._helpers = helpers
        self._events = events
        self.fetching = fetching
        self._made: dict[int, Value] = {}
        self._scratch = ""

    def value(self, artifact: Artifact) -> Value:
        """Return the value of an input."""
        if artifact not in self._inputs:
            raise InternalError("B903", f"{self._action.name} reads '{artifact.path}', which is none of its inputs")
        return self._values[artifact]

    def input_digests(self) -> list[Digest]:
        """Return the digests of all inputs."""
        return [self._values[artifact].digest for artifact in self._action.inputs]

    def open(self, artifact: Artifact) -> BinaryIO:
        """Open an input for reading."""
        return self._store.blobs.open(self.value(artifact).digest)

    def read(self, artifact: Artifact) -> bytes:
        """Return the bytes of an input that is known to be small."""
        return self._store.blobs.read(self.value(artifact).digest)

    def path(self, artifact: Artifact) -> str:
        """Return the path of a read-only file with the bytes of an input."""
        digest = self.value(artifact).digest
        found = self._store.blobs.path(digest)
        if found is None:
            found = os.path.join(self.scratch(), digest)
            with open(found, "wb") as stream:
                stream.write(self._store.blobs.read(digest))
        return found

    def tree(self, artifact: Artifact) -> Tree:
        """Return an input that is a tree."""
        return Tree.from_bytes(self.read(artifact))

    def open_blob(self, digest: Digest) -> BinaryIO:
        """Open a blob of a tree."""
        return self._store.blobs.open(digest)

    @contextmanager
    def create(self, output: int = 0, *, executable: bool = False) -> Iterator[Writer]:
        """Write an output; it counts once the context ends without an exception."""
        path = self._direct.get(self._action.outputs[output])
        if path is not None:
            writer: HashingWriter
            with self._outputs.create(path, self._check, executable=executable) as writer:
                yield writer
            self._made[output] = Value(writer.digest, writer.size, executable)
            return
        with self.create_blob() as blob:
            yield blob
        self._made[output] = Value(blob.digest, blob.size, executable)

    def write(self, data: bytes, output: int = 0, *, executable: bool = False) -> None:
        """Write a small output."""
        if self._action.outputs[output] in self._direct:
            with self.create(output, executable=executable) as writer:
                writer.write(data)
            return
        self._check()
        self._made[output] = Value(self._store.blobs.put(data), len(data), executable)

    def write_tree(self, tree: Tree, output: int = 0) -> None:
        """Write an output that is a tree."""
        data = tree.to_bytes()
        self._made[output] = Value(self._store.blobs.put(data), len(data), tree=True)

    @contextmanager
    def create_blob(self) -> Iterator[BlobWriter]:
        """Write a blob of a tree."""
        with self._store.blobs.create(self._check) as writer:
            yield writer

    def put_blob(self, data: bytes) -> Digest:
        """Store a small blob of a tree."""
        return self._store.blobs.put(data)

    def recall(self, key: str) -> Value | None:
        """Return a by-product whose blob is still in the store."""
        result = self._store.actions.get(action_key(key))
        if result is None or not self._store.blobs.contains(result.outputs[0].digest):
            return None
        return result.outputs[0]

    def remember(self, key: str, value: Value) -> None:
        """Keep a by-product."""
        self._store.actions.put(action_key(key), ActionResult((value,)), key)

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Apply a function to items, several at a time."""
        return list(self._helpers.map(function, items))

    def adopt(self, digest: Digest, output: int = 0, *, executable: bool = False) -> bool:
        """Make a blob of the store an output; False when it is not there."""
        if not self._store.blobs.contains(digest):
            return False
        self._made[output] = Value(digest, self._store.blobs.size(digest), executable)
        return True

    def pause(self, seconds: float) -> None:
        """Wait, unless the build is interrupted."""
        if self._stop.wait(seconds):
            raise Stopped

    def waking(self, waker: Callable[[], None]) -> AbstractContextManager[None]:
        """Have `waker` called when the build is interrupted meanwhile: for operations that wait for others."""
        return self._stop.waking(waker)

    def transferred(self, what: str, received: int, total: int | None) -> None:
        """Tell whoever watches that bytes have arrived."""
        self._events.transferred(what, received, total)

    def scratch(self) -> str:
        """Return a folder that is removed when the action ends."""
        if not self._scratch:
            self._scratch = tempfile.mkdtemp(prefix=owner(), dir=os.path.join(self._store.root, "tmp"))
        return self._scratch

    def _check(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def perform(self, key: Digest) -> tuple[ActionResult | BaseException, float]:
        """Run the operation; return what it made, or raised, and the seconds that it took."""
        begin = time.monotonic()
        result: ActionResult | BaseException
        try:
            self._action.operation.execute(self)
            result = self.result()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the coordinator judges it
            result = error
        self.clean()
        seconds = time.monotonic() - begin
        self._events.worked(self._action, key, seconds, good=isinstance(result, ActionResult))
        return result, seconds

    def result(self) -> ActionResult:
        """Return what was made. Raises `InternalError` B904 when an output is missing."""
        missing = [output.path for number, output in enumerate(self._action.outputs) if number not in self._made]
        if missing:
            raise InternalError("B904", f"{self._action.name}: declared outputs were not created: {', '.join(missing)}")
        return ActionResult(tuple(self._made[number] for number in range(len(self._action.outputs))))

    def clean(self) -> None:
        """Remove the scratch folder."""
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)
