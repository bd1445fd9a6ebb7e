"""The executor: runs the actions whose keys have no result yet, in dependency order, several at a time.

One coordinating thread owns all state; workers run operations and report through a queue. An action goes through

    waiting -> examined (its inputs have values, so it has a key) -> hit | running -> done | failed | skipped

A hit gives values, not bytes. When an action that runs needs a blob that is not in the store (any more), the action
that makes it runs first, and so does the one that made *its* inputs, as far down as needed: a lost blob heals itself.
"""

from __future__ import annotations

import queue
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from buildsys.errors import BuildError, BuildErrors, InternalError, Interrupted
from buildsys.execution.action_io import BuildIO
from buildsys.execution.blame import as_build_error, not_deterministic, of_action
from buildsys.execution.critical_path import critical_path
from buildsys.execution.makers import Makers, NobodyMakes
from buildsys.execution.outcome import Options, Outcome, Ran
from buildsys.execution.stop import Stop
from buildsys.model.action import Action, ActionResult, Artifact, Value, action_key
from buildsys.store.cas import BlobMissing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from buildsys.execution.outputs import Outputs
    from buildsys.execution.sources import Sources
    from buildsys.model.digest import Digest
    from buildsys.model.events import Events
    from buildsys.model.graph import ActionGraph
    from buildsys.store.local import LocalStore

FLUSH_SECONDS = 2.0
"""How much work a kill can cost: results are made durable this often."""

LOSSES = 3
"""How often a blob is made again in one build before something must be wrong with the store, or the disk under it."""

NETWORK = "network"

IN_STORE = ""
"""In place of a path: the artifact is to be in the store, and nowhere else."""


class Executor:
    """Runs one request's actions."""

    def __init__(
        self,
        graph: ActionGraph,
        store: LocalStore,
        sources: Sources,
        outputs: Outputs,
        options: Options,
        events: Events,
    ) -> None:
        self._graph = graph
        self._store = store
        self._sources = sources
        self._outputs = outputs
        self._options = options
        self._events = events
        self._stop = Stop()
        self._done: queue.SimpleQueue[tuple[Action, Digest, str, ActionResult | BaseException, float]] = (
            queue.SimpleQueue()
        )
        self._outcome = Outcome()
        self._ready: deque[Action] = deque()
        self._waits: dict[int, int] = {}
        self._dependents: dict[int, list[Action]] = {}
        self._running: dict[Digest, list[Action]] = {}
        self._forced: set[int] = set()
        self._hit: set[int] = set()
        self._blocked: dict[int, list[Action]] = {}
        self._lost: Counter[Digest] = Counter()
        self._direct: dict[Artifact, str] = {}
        self._has_known = False
        self._makers = Makers(store.blobs, self._outcome.values)
        self._flushed = time.monotonic()

    def run(
        self,
        wanted: Mapping[Artifact, str],
        kept: Iterable[Artifact] = (),
        known: Mapping[Artifact, Value] | None = None,
    ) -> Outcome:
        """Make the artifacts `wanted`, put each at its path of the output folder, and keep those `kept` in the store.

        `known` gives values of artifacts that no action of the graph makes; a blob of theirs that turns out to be lost
        is in `Outcome.lost`. Failures are in the outcome. Raises `Interrupted` when the user asks to stop, once
        everything that ran has stopped and nothing half-written is left.
        """
        wanted = {**dict.fromkeys(kept, IN_STORE), **wanted}
        self._outcome.values.update(known or {})
        self._has_known = bool(known)
        with self._events.phase("schedule"):
            self._plan(self._graph.closure(wanted), wanted)
        with (
            ThreadPoolExecutor(self._options.jobs, "action") as workers,
            ThreadPoolExecutor(self._options.downloads, "download") as network,
            ThreadPoolExecutor(self._options.jobs, "helper") as helpers,
        ):
            self._workers, self._network, self._helpers = workers, network, helpers
            try:
                with self._events.phase("execution"):
                    self._loop()
                with self._events.phase("delivery"):
                    self._deliver(wanted)
            except KeyboardInterrupt as error:
                self._stop.set()
                workers.shutdown(cancel_futures=True)
                network.shutdown(cancel_futures=True)
                raise Interrupted(
                    "B801", "build interrupted", hint="run it again: what was finished is kept"
                ) from error
            finally:
                self._stop.set()
                self._store.flush()
        self._outcome.critical = critical_path(self._outcome)
        self._events.critical([ran.action for ran in self._outcome.critical])
        return self._outcome

    def _plan(self, order: list[Action], wanted: Mapping[Artifact, str]) -> None:
        consumed: set[Artifact] = set()
        for action in order:
            producers = {id(p): p for a in action.inputs if (p := self._graph.producer(a)) is not None}
            consumed.update(action.inputs)
            self._waits[id(action)] = len(producers)
            for producer in producers:
                self._dependents.setdefault(producer, []).append(action)
            if not producers:
                self._ready.append(action)
        for artifact, path in wanted.items():
            producer_ = self._graph.producer(artifact)
            stored = producer_ is None or producer_.operation.STORED or path == IN_STORE
            if not stored and artifact not in consumed:
                self._direct[artifact] = path

    def _loop(self) -> None:
        """Examine what is ready and take in what has finished, until nothing is left."""
        while self._ready or self._running:
            while self._ready:
                self._examine(self._ready.popleft())
            if self._running:
                with suppress(queue.Empty):  # while one action takes long, the others' results are made durable
                    self._take(*self._done.get(timeout=FLUSH_SECONDS))
            if time.monotonic() - self._flushed > FLUSH_SECONDS:
                self._store.flush()
                self._flushed = time.monotonic()

    def _examine(self, action: Action) -> None:
        """Give an action its key; answer it from the cache, or start it."""
        values = self._outcome.values
        if any(artifact in self._outcome.failed for artifact in action.inputs):
            self._skip(action)
            return
        if self._outcome.lost or (self._outcome.errors and not self._options.keep_going):
            self._skip(action)
            return
        try:
            for artifact in action.inputs:
                if artifact.is_source and artifact not in values:
                    values[artifact] = self._sources.value(artifact)
            descriptor = action.descriptor([values[artifact] for artifact in action.inputs])
        except BuildError as error:
            self._failed(action, error)
            return
        key = action_key(descriptor)
        self._outcome.keys[id(action)] = (action, key)
        if id(action) not in self._forced:
            result = self._store.actions.get(key)
            if result is not None:
                self._events.answered(action, key)
                self._outcome.hits += 1
                self._hit.add(id(action))
                self._finish(action, result)
                return
        self._start(action, key, descriptor)

    def _start(self, action: Action, key: Digest, descriptor: str) -> None:
        if key in self._running:
            self._running[key].append(action)
            return
        io = self._io(action)
        missing = self._missing(action, io)
        if missing is None:
            return
        self._running[key] = [action]
        self._events.started(action)
        pool = self._network if getattr(action.operation, "POOL", "") == NETWORK else self._workers
        pool.submit(self._work, action, key, descriptor, io)

    def _missing(self, action: Action, io: BuildIO) -> list[Digest] | None:
        """Have the blobs that an action needs made again; None while it has to wait for them, or has failed."""
        try:
            missing = [d for d in self._store.blobs.missing(action.operation.needs(io)) if not self._sources.stage(d)]
        except BlobMissing as lost:
            missing = [lost.digest]
        except Exception as error:  # noqa: BLE001 - an operation's own code: its fault is no fault of the build
            self._failed(action, as_build_error(action, error))
            return None
        if not missing:
            return []
        self._revive(action, missing)
        return None

    def _revive(self, waiting: Action, missing: Iterable[Digest]) -> None:
        """Run the actions that make the blobs `missing` again, and `waiting` after them."""
        makers: dict[int, Action] = {}
        try:
            for digest in missing:
                maker = self._maker(digest)
                if maker is not None:
                    makers[id(maker)] = maker
        except NobodyMakes as nobody:
            self._outcome.lost.append(nobody.digest)
            self._skip(waiting)
            return
        except BuildError as error:
            self._failed(waiting, error)
            return
        if any(maker.outputs[0] in self._outcome.failed for maker in makers.values()):
            self._skip(waiting)
            return
        self._waits[id(waiting)] = len(makers)
        for maker in makers.values():
            self._blocked.setdefault(id(maker), []).append(waiting)
            self._force(maker)
        if not makers:
            self._ready.append(waiting)

    def _maker(self, digest: Digest) -> Action | None:
        """Return the action to run again for a lost blob; None where a source file has given it back.

        Raises `InternalError` B905 when nothing makes it (`NobodyMakes` where its maker may be beyond the graph), or it
        is lost each time it was made.
        """
        maker = None
        if not self._sources.stage(digest):
            maker = self._makers.find(digest)
            if maker is None and self._has_known:
                raise NobodyMakes(digest)
            if maker is None:
                raise InternalError("B905", f"the blob {digest} is lost, and nothing in this build makes it")
        if maker is None or id(maker) not in self._forced:
            self._lost[digest] += 1
            if self._lost[digest] > LOSSES:
                hint = "something removes files from the store while it is in use, or its disk is failing"
                raise InternalError("B905", f"the blob {digest} is lost again each time it has been made", hint=hint)
        return maker

    def _force(self, action: Action) -> None:
        """Have an action run that has a value already."""
        if id(action) not in self._forced:
            self._forced.add(id(action))
            self._ready.append(action)

    def _io(self, action: Action) -> BuildIO:
        return BuildIO(
            action,
            self._outcome.values,
            self._store,
            self._outputs,
            direct=self._direct,
            stop=self._stop,
            helpers=self._helpers,
            fetching=self._options.fetching,
            events=self._events,
        )

    def _work(self, action: Action, key: Digest, descriptor: str, io: BuildIO) -> None:
        """Run an operation; in a worker's thread."""
        self._done.put((action, key, descriptor, *io.perform(key)))

    def _take(
        self, action: Action, key: Digest, descriptor: str, result: ActionResult | BaseException, seconds: float
    ) -> None:
        """Take in what a worker reports."""
        together = self._running.pop(key)
        self._events.finished(action, seconds)
        if isinstance(result, BlobMissing):
            self._store.blobs.forget_soundness()
            for waiting in together:
                self._revive(waiting, [result.digest])
        elif isinstance(result, BaseException):
            self._failed(action, as_build_error(action, result))
            for other in together[1:]:  # what is exempt from the key, such as addresses, may let it succeed
                if self._options.keep_going and not self._stop.is_set():
                    self._start(other, key, descriptor)
                else:
                    self._skip(other)
        else:
            self._store.actions.put(key, result, descriptor)
            self._outcome.ran.append(Ran(action, key, seconds))
            if id(action) in self._hit:
                self._outcome.hits -= 1
                self._hit.discard(id(action))
            for finished in together:
                self._finish(finished, result)

    def _finish(self, action: Action, result: ActionResult) -> None:
        values = self._outcome.values
        again = id(action) in self._forced and action.outputs[0] in values
        self._forced.discard(id(action))
        if (
            again
            and id(action) in self._blocked
            and any(values[a] != v for a, v in zip(action.outputs, result.outputs, strict=True))
        ):
            self._failed(action, not_deterministic(action))
            return
        values.update(zip(action.outputs, result.outputs, strict=True))
        if not again:
            self._makers.add(action)
            self._release(action)
        for waiting in self._blocked.pop(id(action), ()):
            self._waits[id(waiting)] -= 1
            if not self._waits[id(waiting)]:
                self._ready.append(waiting)

    def _release(self, action: Action) -> None:
        for dependent in self._dependents.get(id(action), ()):
            self._waits[id(dependent)] -= 1
            if not self._waits[id(dependent)]:
                self._ready.append(dependent)

    def _failed(self, action: Action, error: BuildError | BuildErrors) -> None:
        self._outcome.errors.extend(of_action(action, error))
        self._skip(action)

    def _skip(self, action: Action) -> None:
        """Count an action and what waits for it as not made."""
        skipped = [action]
        while skipped:
            action = skipped.pop()
            self._forced.discard(id(action))
            self._outcome.failed.update(action.outputs)
            if action.outputs[0] not in self._outcome.values:
                self._release(action)
            for waiting in self._blocked.pop(id(action), ()):
                self._waits[id(waiting)] -= 1
                if not self._waits[id(waiting)]:
                    skipped.append(waiting)

    def _deliver(self, wanted: Mapping[Artifact, str]) -> None:
        """Put the artifacts wanted at their places, making again what is lost."""
        for artifact, path in wanted.items():
            if artifact not in self._outcome.failed:
                self._place(artifact, path, self._graph.producer(artifact))

    def _place(self, artifact: Artifact, path: str, producer: Action | None) -> None:
        value = self._outcome.values[artifact]
        if path != IN_STORE and self._outputs.is_current(path, value):
            self._outputs.accept(path)
            return
        if artifact in self._direct and producer is not None:
            self._force(producer)
            self._loop()
        while artifact not in self._outcome.failed:
            value = self._outcome.values[artifact]
            if artifact in self._direct and self._outputs.is_current(path, value):
                self._outputs.accept(path)
                return
            try:
                if path != IN_STORE:
                    self._outputs.write(path, value)
                elif not self._store.blobs.contains(value.digest):
                    raise BlobMissing(value.digest)
                return
            except BlobMissing as lost:
                self._heal(artifact, lost.digest)

    def _heal(self, artifact: Artifact, digest: Digest) -> None:
        """Have a blob of an output made again; where that fails, the output counts as not made."""
        self._store.blobs.forget_soundness()
        try:
            maker = self._maker(digest)
        except NobodyMakes as nobody:
            self._outcome.lost.append(nobody.digest)
            self._outcome.failed.add(artifact)
            return
        except BuildError as error:
            self._outcome.errors.append(error)
            self._outcome.failed.add(artifact)
            return
        if maker is not None:
            self._blocked.setdefault(id(maker), [])
            self._force(maker)
            self._loop()
            if maker.outputs[0] in self._outcome.failed:
                self._outcome.failed.add(artifact)
