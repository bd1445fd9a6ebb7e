"""What a running operation may touch: implements `model.action.ActionIO` over the store and the output folder."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypeVar

from buildsys.archive.streams import copy
from buildsys.errors import InternalError
from buildsys.execution.assembly import write_segment
from buildsys.execution.recipes import Recipes
from buildsys.execution.stop import Stopped
from buildsys.model.action import Action, ActionResult, Artifact, Value, action_key
from buildsys.model.tree import Tree
from buildsys.store.cas import BlobMissing
from buildsys.store.partial import resumed
from buildsys.store.rubbish import owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from buildsys.execution.anticipation import Anticipation
    from buildsys.execution.by_products import ByProducts
    from buildsys.execution.delivery import Delivery
    from buildsys.execution.hashing import HashingWriter
    from buildsys.execution.outputs import Outputs
    from buildsys.execution.shared import Shared
    from buildsys.execution.sources import Sources
    from buildsys.execution.stop import Stop
    from buildsys.model.action import Closable, Fetching, Segment, Writer
    from buildsys.model.composition import Part
    from buildsys.model.digest import Digest
    from buildsys.model.events import Events
    from buildsys.store.cas import BlobWriter
    from buildsys.store.local import LocalStore


C = TypeVar("C", bound="Closable")


class Surroundings(NamedTuple):
    """What all actions of a build share. `direct` gives outputs that bypass the store their path."""

    values: Mapping[Artifact, Value]
    store: LocalStore
    sources: Sources
    outputs: Outputs
    delivery: Delivery
    direct: Mapping[Artifact, str]
    stop: Stop
    by_products: ByProducts
    fetching: Fetching
    events: Events
    anticipation: Anticipation
    shared: Shared


_FEW = 8


class BuildIO:
    """The inputs, outputs and scratch space of one action; a `first` run may put its outputs where they belong."""

    __slots__ = (
        "_action",
        "_around",
        "_direct",
        "_first",
        "_inputs",
        "_made",
        "_outputs",
        "_scratch",
        "_store",
        "_values",
        "fetching",
    )

    def __init__(self, action: Action, around: Surroundings, *, first: bool = True) -> None:
        inputs = action.inputs
        self._action = action
        self._around = around
        self._first = first
        self._inputs = inputs if len(inputs) <= _FEW else frozenset(inputs)
        self._values = around.values
        self._store = around.store
        self._outputs = around.outputs
        self._direct = around.direct
        self.fetching = around.fetching
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
        value = self.value(artifact)
        return self._store.blobs.open(value.digest) if artifact.target else self._around.sources.open(artifact)

    def read(self, artifact: Artifact) -> bytes:
        """Return the bytes of an input that is known to be small."""
        value = self.value(artifact)
        return self._store.blobs.read(value.digest) if artifact.target else self._around.sources.read(artifact)

    def path(self, artifact: Artifact) -> str:
        """Return the path of a read-only file with the bytes of an input."""
        digest = self.value(artifact).digest
        if not artifact.target:
            self._around.sources.stage(digest)
        found = self._store.blobs.path(digest)
        if found is None:
            found = os.path.join(self.scratch(), digest)
            with self.open(artifact) as source, open(found, "wb") as stream:
                copy(source, stream)
        return found

    def tree(self, artifact: Artifact) -> Tree:
        """Return an input that is a tree."""
        return Tree.from_bytes(self.read(artifact))

    def open_blob(self, digest: Digest) -> BinaryIO:
        """Open a blob of a tree."""
        try:
            return self._store.blobs.open(digest)
        except BlobMissing:
            if not self._around.sources.stage(digest):
                raise
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

    def assemble(
        self,
        segments: Sequence[Segment],
        output: int = 0,
        *,
        executable: bool = False,
        rest: Iterable[Segment] | None = None,
    ) -> None:
        """Write an output that is a sequence of segments. Raises `SizeFault` when a blob has not its stated size."""
        path = self._direct.get(self._action.outputs[output])
        if path is None:
            with self.create(output, executable=executable) as out:
                for segment in chain(segments, rest or ()):
                    write_segment(segment, self._store.blobs, out)
            return
        made = self._outputs.assemble(
            path,
            (segments, rest),
            self._check,
            Recipes(self._store),
            self._expected(output),
            executable=executable,
        )
        self._made[output] = Value(made.digest, made.size, executable)

    def _expected(self, output: int) -> Digest:
        """Return the digest that an output had when it was last made of these inputs; empty if it never was."""
        key = action_key(self._action.descriptor([self._values[artifact] for artifact in self._action.inputs]))
        known = self._store.actions.get(key)
        return known.outputs[output].digest if known else ""

    def write(self, data: bytes, output: int = 0, *, executable: bool = False) -> None:
        """Write a small output."""
        if self._action.outputs[output] in self._direct:
            with self.create(output, executable=executable) as writer:
                writer.write(data)
            return
        self._check()
        value = self._made[output] = Value(self._store.blobs.put(data), len(data), executable)
        if self._first:
            self._around.delivery.offer(self._action.outputs[output], value, data)

    def write_tree(self, tree: Tree, output: int = 0) -> None:
        """Write an output that is a tree."""
        data = tree.to_bytes()
        self._made[output] = Value(self._store.blobs.put(data), len(data), tree=True)

    @contextmanager
    def create_blob(self) -> Iterator[BlobWriter]:
        """Write a blob of a tree."""
        with self._store.blobs.create(self._check) as writer:
            yield writer

    @contextmanager
    def resume_blob(self, digest: Digest, size: int) -> Iterator[BlobWriter]:
        """Write a blob whose digest is known, going on from what an earlier, broken attempt left."""
        with resumed(self._store.blobs, self._store.root, digest, size, self._check) as writer:
            yield writer

    def holds(self, digest: Digest) -> bool:
        """Tell whether a blob is in the store."""
        return self._store.blobs.contains(digest)

    def put_blob(self, data: bytes) -> Digest:
        """Store a small blob of a tree."""
        return self._store.blobs.put(data)

    def recall(self, *keys: str) -> dict[str, Value]:
        """Return those by-products that are kept and whose blobs are still in the store."""
        return self._around.by_products.recall(keys)

    def remember(self, key: str, value: Value) -> None:
        """Keep a by-product."""
        self._around.by_products.remember(key, value)

    def begin(self, key: str, make: Callable[[], Value], *, fetched: bool = False) -> Callable[[], Value]:
        """Have a by-product made by a helper and kept; return what waits for it."""
        return self._around.by_products.begin(key, make, fetched=fetched)

    def adopt(self, digest: Digest, output: int = 0, *, executable: bool = False) -> bool:
        """Make a blob of the store an output; False when it is not there."""
        if not self._store.blobs.contains(digest) and not self._around.sources.stage(digest):
            return False
        self._made[output] = Value(digest, self._store.blobs.size(digest), executable)
        return True

    def compose(self, digest: Digest, parts: Sequence[Part], output: int = 0) -> None:
        """Make an output of blobs that are in the store; `digest` is that of the parts one after the other."""
        self._store.blobs.compose(digest, parts)
        self._made[output] = Value(digest, sum(part.size for part in parts))

    def pause(self, seconds: float) -> None:
        """Wait, unless the build is interrupted."""
        if self._around.stop.wait(seconds):
            raise Stopped

    def waking(self, waker: Callable[[], None]) -> AbstractContextManager[None]:
        """Have `waker` called when the build is interrupted meanwhile: for operations that wait for others."""
        return self._around.stop.waking(waker)

    def transferred(self, what: str, received: int, total: int | None) -> None:
        """Tell whoever watches that bytes have arrived."""
        self._around.events.transferred(what, received, total)

    def shared(self, name: str, make: Callable[[], C]) -> C:
        """Return what `make` makes: once for all actions of a build, and closed when it ends."""
        return self._around.shared.get(name, make)

    def scratch(self) -> str:
        """Return a folder that is removed when the action ends."""
        if not self._scratch:
            import tempfile

            self._scratch = tempfile.mkdtemp(prefix=owner(), dir=os.path.join(self._store.root, "tmp"))
        return self._scratch

    def _check(self) -> None:
        if self._around.stop.is_set():
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
        self._around.events.worked(self._action, key, seconds, good=isinstance(result, ActionResult))
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
            import shutil

            shutil.rmtree(self._scratch, ignore_errors=True)
