"""Source files: their values, and their bytes for the actions that read them.

The bytes of a source are verified where they are read: a file that is edited during a build cannot disagree with the
key it was read under. A small one is read where it stands, and what was read to hash it is held in memory for a while;
a large one is first copied into the store, since it is read in pieces and may be read twice.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
import time
from array import array
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from buildsys.archive.streams import copy
from buildsys.errors import BuildError, EnvironmentFault, UserError
from buildsys.model.action import Artifact, Value
from buildsys.model.digest import CHUNK, digest_bytes
from buildsys.store.cas import PACK_LIMIT
from buildsys.store.workspace_state import file_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from buildsys.model.digest import Digest
    from buildsys.snapshot import Seen
    from buildsys.store.cas import BlobStore
    from buildsys.store.workspace_state import FileState, WorkspaceState

_ATTEMPTS = 5

HELD_BYTES = 8 << 20
"""How much of what was read to be hashed is held for the actions that read it next."""

KEPT_SOURCES = 1000
"""How many of the small sources that a build reads are put into the store, where `explain` finds what they were before
the next change. Nothing else needs them there, and storing all those of a large workspace would take a tenth of a first
build's time."""

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""Opening a pipe that nobody writes to must not wait."""


class Sources:
    """Values of source files, each examined at most once a build, and not read while its times prove it unchanged."""

    def __init__(self, folder: str, shown: str, blobs: BlobStore, state: WorkspaceState) -> None:
        self._folder = os.path.join(folder, "")
        self._shown = "" if os.path.normpath(shown) == "." else os.path.join(os.path.normpath(shown), "")
        self._blobs = blobs
        self._state = state
        self.values: dict[Artifact, Value] = {}
        """What is known of artifacts; an executor adds the values of outputs, so that a build has one table of them."""
        self._examined: list[Artifact] = []
        self._numbers = array("q")
        self._held: dict[Artifact, bytes] = {}
        self._held_before: dict[Artifact, bytes] = {}
        self._held_bytes = 0
        self._kept = 0
        self._lock = threading.Lock()
        self._by_digest: dict[Digest, Artifact] = {}
        self._indexed = 0

    @property
    def seen(self) -> Iterator[Seen]:
        """What `stat` said of each source file before it was read."""
        numbers = iter(self._numbers)
        for artifact, *found in zip(self._examined, numbers, numbers, numbers, numbers, numbers, strict=True):
            size, mtime, ctime, inode, mode = found
            yield (self._folder + artifact.path, size, mtime, ctime, inode, mode, self.values[artifact].digest)

    def path(self, artifact: Artifact) -> str:
        """Return the path of a source file as it is shown: relative to the workspace."""
        return self._shown + artifact.path

    def value(self, artifact: Artifact) -> Value:
        """Return the value of a source file. Raises `UserError` B208 when it is gone."""
        faults = self.examine([artifact])
        if faults:
            raise faults[artifact]
        return self.values[artifact]

    def examine(self, artifacts: Iterable[Artifact]) -> dict[Artifact, BuildError]:
        """Find the values of source files; return what is wrong with those that have none."""
        values, examined, numbers = self.values, self._examined, self._numbers
        new = [(artifact, artifact.path) for artifact in dict.fromkeys(artifacts) if artifact not in values]
        known = self._state.files([path for _, path in new])
        seen_ns = time.time_ns()  # before any of them is looked at: a little early is on the safe side
        read: dict[str, FileState] = {}
        faults: dict[Artifact, BuildError] = {}
        for artifact, path in new:
            state = known.get(path)
            try:
                found = self._unchanged(path, state) if state is not None else None
                if found is None or state is None:
                    found, state, mode = self._read(artifact, path, seen_ns)
                    read[path] = state
                else:
                    mode = found.st_mode
            except OSError as error:
                faults[artifact] = self._fault(artifact, error)
                continue
            except BuildError as error:
                faults[artifact] = error
                continue
            values[artifact] = Value(state.digest, state.size, mode & stat.S_IXUSR != 0)
            examined.append(artifact)
            numbers.extend((found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_mode))
        self._state.remember_files(read)
        return faults

    def assume(self, artifact: Artifact, value: Value) -> None:
        """Take a source file for what it is known to be; its bytes are verified where they are read."""
        self.values[artifact] = value
        self._by_digest[value.digest] = artifact

    def read(self, artifact: Artifact) -> bytes:
        """Return the bytes of a source file with a value.

        Raises `EnvironmentFault` B505 when it has changed since its value was taken.
        """
        data = self._held.get(artifact) or self._held_before.get(artifact)
        if data is not None:
            return data
        try:
            with open(self._folder + artifact.path, "rb", opener=_opened) as stream:
                data = stream.read()
        except OSError as error:
            raise self._fault(artifact, error) from error
        if digest_bytes(data) != self.values[artifact].digest:
            raise self._changed(artifact)
        if len(data) < PACK_LIMIT:
            self._hold(artifact, data, self.values[artifact].digest)
        return data

    def open(self, artifact: Artifact) -> BinaryIO:
        """Open a source file with a value. Raises `EnvironmentFault` B505 when it has changed since."""
        value = self.values[artifact]
        if value.size < PACK_LIMIT:
            return BytesIO(self.read(artifact))
        self.stage(value.digest)
        return self._blobs.open(value.digest)

    def stage(self, digest: Digest) -> bool:
        """Have the source file with this digest in the store; False when no source file has it.

        Raises `EnvironmentFault` B505 when the file has changed since its value was taken.
        """
        artifact = self._find(digest)
        if artifact is None:
            return False
        if self._blobs.contains(digest):
            return True
        if self.values[artifact].size < PACK_LIMIT:
            self._blobs.put(self.read(artifact))
            return True
        try:
            path = self._folder + artifact.path
            with open(path, "rb", buffering=0, opener=_opened) as stream, self._blobs.create() as writer:
                copy(_Source(stream, artifact, self._fault), writer)
        except OSError as error:
            raise self._fault(artifact, error) from error
        if writer.digest != digest:
            raise self._changed(artifact)
        return True

    def _find(self, digest: Digest) -> Artifact | None:
        """Return a source file with a digest; the index is made when it is first asked for."""
        with self._lock:
            if digest not in self._by_digest and self._indexed < len(self._examined):
                some = self._examined[self._indexed :]
                self._by_digest.update((self.values[artifact].digest, artifact) for artifact in some)
                self._indexed += len(some)
            return self._by_digest.get(digest)

    def _unchanged(self, path: str, known: FileState) -> os.stat_result | None:
        """Return what `stat` says of a file if it proves that the content is still the one that is known."""
        found = os.stat(self._folder + path)
        return found if known.holds(found) and stat.S_ISREG(found.st_mode) else None

    def _read(self, artifact: Artifact, path: str, seen_ns: int) -> tuple[os.stat_result, FileState, int]:
        """Read a file; return what `stat` said of it before, its state to remember, and its mode."""
        first = None
        for _ in range(_ATTEMPTS):
            descriptor = os.open(self._folder + path, _FLAGS)
            try:
                before = os.fstat(descriptor)
                if not stat.S_ISREG(before.st_mode):
                    raise self._no_file(artifact)
                if before.st_size < PACK_LIMIT:
                    data = _read_whole(descriptor, before.st_size)
                    digest = digest_bytes(data)
                else:
                    data, digest = b"", _hash(descriptor)
                after = os.fstat(descriptor)
            finally:
                os.close(descriptor)
            first = first or before
            if _times(before) == _times(after):
                self._hold(artifact, data, digest)
                return first, file_state(before, seen_ns, digest), before.st_mode
        raise EnvironmentFault(
            "B505", f"'{self.path(artifact)}' keeps changing while it is read", hint="stop whatever writes it"
        )

    def _hold(self, artifact: Artifact, data: bytes, digest: Digest) -> None:
        """Hold the bytes of a small file until as many others have been read as there is room for."""
        if data and self._kept < KEPT_SOURCES:
            self._kept += 1
            self._blobs.add_small(digest, data)
        self._held[artifact] = data
        self._held_bytes += len(data)
        if self._held_bytes > HELD_BYTES // 2:
            self._held_before, self._held, self._held_bytes = self._held, {}, 0

    def _changed(self, artifact: Artifact) -> EnvironmentFault:
        message = f"'{self.path(artifact)}' has changed during the build"
        return EnvironmentFault("B505", message, hint="run the same command again")

    def _no_file(self, artifact: Artifact) -> UserError:
        return UserError("B208", f"'{self.path(artifact)}' is not a regular file", hint="name a file")

    def _fault(self, artifact: Artifact, error: OSError) -> UserError | EnvironmentFault:
        shown = self.path(artifact)
        if isinstance(error, FileNotFoundError):
            hint = "restore it, or mend the label"
            return UserError(
                "B208", f"missing input file '{shown}', named by '//{artifact.package}:{artifact.name}'", hint=hint
            )
        if error.errno == errno.ENXIO:  # a socket
            return self._no_file(artifact)
        return EnvironmentFault("B504", f"cannot read '{shown}': {error.strerror}", hint="check its permissions")


def _opened(path: str, _: int) -> int:
    return os.open(path, _FLAGS)


class _Source:
    """A source file being read; where that fails, the file is at fault and not the store that it is copied to."""

    def __init__(self, stream: BinaryIO, artifact: Artifact, fault: Callable[[Artifact, OSError], Exception]) -> None:
        self._stream = stream
        self._artifact = artifact
        self._fault = fault

    def read(self, size: int, /) -> bytes:
        """Read up to `size` bytes."""
        try:
            return self._stream.read(size)
        except OSError as error:
            raise self._fault(self._artifact, error) from error


def _read_whole(descriptor: int, size: int) -> bytes:
    """Read a file of `size` bytes, or however many it has by now."""
    data = os.read(descriptor, size + 1)
    while len(data) != size and (more := os.read(descriptor, CHUNK)):
        data += more
    return data


def _hash(descriptor: int) -> Digest:
    hasher = hashlib.sha256()
    while data := os.read(descriptor, CHUNK):
        hasher.update(data)
    return hasher.hexdigest()


def _times(found: os.stat_result) -> tuple[int, int, int]:
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns)
