"""The executor: runs the actions whose keys have no result yet, in dependency order, several at a time.

One coordinating thread owns all state; workers run operations and report. An action goes through

    waiting -> examined (its inputs have values, so it has a key) -> hit | running -> done | failed | skipped

in waves: those that are ready are examined together, so that files, results and rows are asked for in bulk. A hit
gives values, not bytes. When an action that runs needs a blob that is not in the store (any more), the action that
makes it runs first, and so does the one that made *its* inputs, as far down as needed: a lost blob heals itself.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from buildsys.errors import BuildError, BuildErrors, Interrupted
from buildsys.execution.action_io import BuildIO, Surroundings
from buildsys.execution.anticipation import Anticipation
from buildsys.execution.blame import as_build_error, not_deterministic, of_action
from buildsys.execution.by_products import ByProducts
from buildsys.execution.critical_path import critical_path
from buildsys.execution.delivery import IN_STORE, Delivery, lacking
from buildsys.execution.durations import NETWORK, Durations
from buildsys.execution.healing import Healing
from buildsys.execution.makers import NobodyMakes
from buildsys.execution.outcome import Options, Outcome, Ran
from buildsys.execution.stop import Stop
from buildsys.execution.waiting import Waiting
from buildsys.execution.workers import Task, Workers
from buildsys.model.action import Action, ActionResult, Artifact, BaseOperation, Value, action_key
from buildsys.store.cas import BlobMissing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from buildsys.execution.outputs import Outputs
    from buildsys.execution.sources import Sources
    from buildsys.execution.workers import Report
    from buildsys.model.digest import Digest
    from buildsys.model.events import Events
    from buildsys.model.graph import ActionGraph
    from buildsys.store.local import LocalStore

FLUSH_SECONDS = 2.0
"""How much work a kill can cost: results are made durable this often."""

PATIENCE_SECONDS = 0.1
"""How long to wait for quick actions before going on; usually they are done by then, and would only be slowed down."""

WAVE = 256
"""How many actions are examined together."""

BACKLOG = 1024
"""How many tasks may wait for a worker before no more actions are examined: what they hold in memory is bounded."""


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
        durations: Durations | None = None,
    ) -> None:
        self._graph = graph
        self._store = store
        self._sources = sources
        self._outputs = outputs
        self._options = options
        self._events = events
        self._durations = durations or Durations()
        self._stop = Stop()
        self._outcome = Outcome(values=sources.values)
        self._healing = Healing(store.blobs, sources, self._outcome.values)
        self._running: dict[Digest, list[Action]] = {}
        self._hit: set[int] = set()
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
        self._healing.partial = bool(known)
        with self._events.phase("schedule"):
            order = self._graph.closure(wanted)
            self._delivery = Delivery(self._graph, order, wanted, self._outputs.small)
            self._waiting = Waiting(self._graph, order, self._durations.seconds)
            self._anticipation = Anticipation(self._graph, order)
            del order
        try:
            with Workers(self._options, self._stop) as self._workers:
                self._around = self._surroundings()
                with self._events.phase("execution"):
                    self._loop()
                with self._events.phase("delivery"):
                    self._deliver()
        except KeyboardInterrupt as error:
            raise Interrupted("B801", "build interrupted", hint="run it again: what was finished is kept") from error
        finally:
            self._store.flush()
        self._outcome.learnt = list(self._durations.learnt())
        self._outcome.critical = critical_path(self._outcome)
        self._events.critical([ran.action for ran in self._outcome.critical])
        return self._outcome

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            self._outcome.values,
            self._store,
            self._sources,
            self._outputs,
            self._delivery,
            self._delivery.direct,
            self._stop,
            ByProducts(self._store, self._workers.helpers, self._workers.fetchers),
            self._options.fetching,
            self._events,
            self._anticipation,
            self._workers.shared,
        )

    def _loop(self) -> None:
        """Examine what is ready and take in what has finished, until nothing is left."""
        while self._waiting or self._running:
            busy = bool(self._waiting) and self._workers.backlog < BACKLOG
            if busy:
                self._examine(self._waiting.take(WAVE))
            while self._workers.hurrying and (reports := self._workers.reports(PATIENCE_SECONDS)):
                self._take(reports)
            if self._running:  # while one action takes long, the others' results are made durable
                self._take(self._workers.reports(0 if busy else FLUSH_SECONDS))
            if time.monotonic() - self._flushed > FLUSH_SECONDS:
                self._store.flush()
                self._flushed = time.monotonic()

    def _examine(self, ready: Iterable[Action]) -> None:
        """Give actions their keys; answer them from the cache, or start them."""
        values = self._outcome.values
        wave = [action for action in ready if not self._is_idle(action)]
        faults = self._sources.examine(
            [a for action in wave for a in action.inputs if not a.target and a not in values]
        )
        described: list[tuple[Action, Digest, str]] = []
        for action in wave:
            if faults and (fault := next((faults[a] for a in action.inputs if a in faults), None)):
                self._failed(action, fault)
                continue
            descriptor = action.descriptor([values[artifact] for artifact in action.inputs])
            key = action_key(descriptor)
            self._outcome.keys[id(action)] = (action, key)
            described.append((action, key, descriptor))
        results = self._store.actions.get_all([key for _, key, _ in described])
        tasks: list[tuple[Action, Digest, str]] = []
        for action, key, descriptor in described:
            result = results.get(key)
            if result is None or self._healing.is_forced(action):
                tasks.append((action, key, descriptor))
            else:
                self._events.answered(action, key)
                self._outcome.hits += 1
                self._hit.add(id(action))
                self._finish(action, result)
        self._delivery.expect(action for action, _, _ in tasks)
        for action, key, descriptor in tasks:
            if not self._is_idle(action):
                self._start(action, key, descriptor)

    def _is_idle(self, action: Action) -> bool:
        """Tell whether an action is not to run because something failed; then it is counted as not made."""
        outcome = self._outcome
        ended = outcome.lost or (outcome.errors and not self._options.keep_going)
        if ended or (outcome.failed and not outcome.failed.isdisjoint(action.inputs)):
            self._skip(action)
            return True
        return False

    def _start(self, action: Action, key: Digest, descriptor: str) -> None:
        if key in self._running:
            self._running[key].append(action)
            return
        io = BuildIO(action, self._around, first=not self._healing.is_forced(action))
        if self._lacks(action, io):
            return
        self._running[key] = [action]
        task = Task(action, key, descriptor, io, self._durations.is_quick(action))
        if getattr(action.operation, "POOL", "") == NETWORK:
            self._workers.fetch(task)
        else:
            self._workers.start(task)

    def _lacks(self, action: Action, io: BuildIO) -> bool:
        """Tell whether an action cannot run yet, or not at all: then the blobs that it needs are made again before."""
        try:
            missing = self._store.blobs.missing(self._needs(action, io))
            if missing:
                missing = [digest for digest in missing if not self._sources.stage(digest)]
        except BlobMissing as lost:
            missing = list(lost.digests)
        except Exception as error:  # noqa: BLE001 - an operation's own code: its fault is no fault of the build
            self._failed(action, as_build_error(action, error))
            return True
        if missing:
            self._revive(action, missing)
        return bool(missing)

    def _needs(self, action: Action, io: BuildIO) -> Iterable[Digest]:
        """Return the blobs that an action needs in the store: sources that are inputs are read where they stand."""
        if getattr(type(action.operation), "needs", None) is not BaseOperation.needs:
            return action.operation.needs(io)
        values = self._outcome.values
        return [values[artifact].digest for artifact in action.inputs if artifact.target]

    def _revive(self, waiting: Action, missing: Iterable[Digest]) -> None:
        """Run the actions that make the blobs `missing` again, and `waiting` after them."""
        try:
            makers = self._healing.makers(missing)
        except NobodyMakes as nobody:
            self._outcome.lost.append(nobody.digest)
            self._skip(waiting)
            return
        except BuildError as error:
            self._failed(waiting, error)
            return
        if any(maker.outputs[0] in self._outcome.failed for maker in makers):
            self._skip(waiting)
            return
        self._waiting.until(waiting, len(makers))
        for maker in makers:
            self._healing.await_(maker, [waiting])
            self._force(maker)

    def _force(self, action: Action) -> None:
        """Have an action run that has a value already."""
        if self._healing.force(action):
            self._waiting.add(action)

    def _take(self, reports: Iterable[Report]) -> None:
        """Take in what workers report."""
        made: list[tuple[Digest, ActionResult, str]] = []
        try:
            for task, result, seconds, begun in reports:
                if not begun:
                    self._events.started(task.action)
                if result is None:
                    continue
                self._events.finished(task.action, seconds)
                together = self._running.pop(task.key)
                if isinstance(result, ActionResult):
                    made.append((task.key, result, task.descriptor))
                    self._succeeded(task, together, result, seconds)
                elif isinstance(result, BlobMissing):
                    self._store.blobs.forget_soundness()
                    for waiting in together:
                        self._revive(waiting, result.digests)
                else:
                    self._stumbled(task, together, result)
        finally:
            self._store.actions.put_all(made)

    def _succeeded(self, task: Task, together: list[Action], result: ActionResult, seconds: float) -> None:
        action = task.action
        self._durations.add(action, seconds)
        self._outcome.ran.append(Ran(action, task.key, seconds))
        self._anticipation.offer(action, result, self._around)
        if id(action) in self._hit:
            self._outcome.hits -= 1
            self._hit.discard(id(action))
        for finished in together:
            self._finish(finished, result)

    def _stumbled(self, task: Task, together: list[Action], error: BaseException) -> None:
        """Blame an action that failed; what is exempt from the key, such as addresses, may let its equals succeed."""
        self._failed(task.action, as_build_error(task.action, error))
        for other in together[1:]:
            if self._options.keep_going and not self._stop.is_set():
                self._start(other, task.key, task.descriptor)
            else:
                self._skip(other)
        if not self._options.keep_going:
            for dropped in self._workers.drop():
                for action in self._running.pop(dropped.key):
                    self._skip(action)

    def _finish(self, action: Action, result: ActionResult) -> None:
        values, healing = self._outcome.values, self._healing
        again = healing.is_forced(action) and action.outputs[0] in values
        healing.done(action)
        differs = again and any(values[a] != v for a, v in zip(action.outputs, result.outputs, strict=True))
        if differs and healing.is_awaited(action):
            self._failed(action, not_deterministic(action))
            return
        values.update(zip(action.outputs, result.outputs, strict=True))
        if not again:
            healing.add(action)
            self._waiting.release(action)
        for waiting in healing.released(action):
            if self._waiting.count_down(waiting):
                self._waiting.add(waiting)

    def _failed(self, action: Action, error: BuildError | BuildErrors) -> None:
        self._outcome.errors.extend(of_action(action, error))
        self._skip(action)

    def _skip(self, action: Action) -> None:
        """Count an action and what waits for it as not made."""
        skipped = [action]
        while skipped:
            action = skipped.pop()
            self._healing.done(action)
            self._outcome.failed.update(action.outputs)
            if action.outputs[0] not in self._outcome.values:
                self._waiting.release(action)
            skipped += [waiting for waiting in self._healing.released(action) if self._waiting.count_down(waiting)]

    def _deliver(self) -> None:
        """Put the artifacts wanted at their places, making again what is lost."""
        rest = self._delivery.settle(self._store.blobs, self._outcome)
        lacking = [item for item in rest if not self._is_restored(*item)]
        if self._remake(lacking):
            self._loop()
        if rest:
            rest = self._delivery.settle(self._store.blobs, self._outcome)
        for artifact, path in rest:
            self._place(artifact, path)

    def _is_restored(self, artifact: Artifact, path: str) -> bool:
        """Put an output back that stood at its path before, where it is the one that is asked for."""
        return path != IN_STORE and self._outputs.restore(path, self._outcome.values[artifact])

    def _remake(self, rest: Iterable[tuple[Artifact, str]]) -> bool:
        """Begin to make again what is neither in its place nor in the store; tell whether there is any."""
        values, lost = self._outcome.values, []
        for artifact, _ in rest:
            producer = self._graph.producer(artifact)
            if artifact in self._delivery.direct and producer is not None:
                self._force(producer)
            else:
                lost.append(artifact)
        missing = set(self._store.blobs.missing(values[artifact].digest for artifact in lost))
        for artifact in lost:
            if values[artifact].digest in missing:
                self._begin_healing(artifact, [values[artifact].digest])
        return bool(self._waiting)

    def _place(self, artifact: Artifact, path: str) -> None:
        outputs, is_direct = self._outputs, artifact in self._delivery.direct
        while artifact not in self._outcome.failed:
            value = self._outcome.values[artifact]
            if is_direct and outputs.is_current(path, value):
                outputs.accept(path)
                return
            try:
                if path != IN_STORE:
                    outputs.write(path, value)
                elif missing := lacking(self._store.blobs, value):
                    raise BlobMissing(*missing)
                return
            except BlobMissing as lost:
                self._heal(artifact, lost.digests)

    def _heal(self, artifact: Artifact, digests: Iterable[Digest]) -> None:
        """Have blobs of an output made again; where that fails, the output counts as not made."""
        self._store.blobs.forget_soundness()
        makers = self._begin_healing(artifact, digests)
        self._loop()
        if any(maker.outputs[0] in self._outcome.failed for maker in makers):
            self._outcome.failed.add(artifact)

    def _begin_healing(self, artifact: Artifact, digests: Iterable[Digest]) -> list[Action]:
        """Have the actions run again that make lost blobs of an output; return them."""
        try:
            makers = self._healing.makers(digests)
        except NobodyMakes as nobody:
            self._outcome.lost.append(nobody.digest)
            self._outcome.failed.add(artifact)
            return []
        except BuildError as error:
            self._outcome.errors.append(error)
            self._outcome.failed.add(artifact)
            return []
        for maker in makers:
            self._healing.await_(maker)
            self._force(maker)
        return makers
