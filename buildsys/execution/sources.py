"""Source files: their values, and their bytes staged into the store before any action reads them.

An action reads the staged copy, so a file that is edited during a build cannot disagree with the key it was read under.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, BinaryIO

from buildsys.archive.streams import copy
from buildsys.errors import EnvironmentFault, UserError
from buildsys.model.action import Artifact, Value
from buildsys.store.workspace_state import file_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildsys.model.digest import Digest
    from buildsys.snapshot import Seen
    from buildsys.store.cas import BlobStore
    from buildsys.store.workspace_state import WorkspaceState

_ATTEMPTS = 5


class Sources:
    """Values of source files, each read at most once a build, and not at all while its times prove it unchanged."""

    def __init__(self, folder: str, shown: str, blobs: BlobStore, state: WorkspaceState) -> None:
        self._folder = folder
        self._shown = shown
        self._blobs = blobs
        self._state = state
        self._values: dict[Artifact, Value] = {}
        self._by_digest: dict[Digest, Artifact] = {}
        self.seen: list[Seen] = []
        """What `stat` said of each source file before it was read."""

    def path(self, artifact: Artifact) -> str:
        """Return the path of a source file as it is shown: relative to the workspace."""
        return os.path.normpath(os.path.join(self._shown, artifact.path))

    def value(self, artifact: Artifact) -> Value:
        """Return the value of a source file. Raises `UserError` B208 when it is gone."""
        known = self._values.get(artifact)
        if known is None:
            known = self._values[artifact] = self._examine(artifact)
            self._by_digest.setdefault(known.digest, artifact)
        return known

    def assume(self, artifact: Artifact, value: Value) -> None:
        """Take a source file for what it is known to be; its bytes are verified where they are read."""
        self._values[artifact] = value
        self._by_digest.setdefault(value.digest, artifact)

    def stage(self, digest: Digest) -> bool:
        """Put the source file with this digest into the store; False when no source file has it.

        Raises `EnvironmentFault` B505 when the file has changed since its value was taken.
        """
        artifact = self._by_digest.get(digest)
        if artifact is None:
            return False
        if self._read(artifact).digest != digest:
            raise EnvironmentFault(
                "B505", f"'{self.path(artifact)}' has changed during the build", hint="run the same command again"
            )
        return True

    def _examine(self, artifact: Artifact) -> Value:
        path = os.path.join(self._folder, artifact.path)
        try:
            found = os.stat(path)
        except OSError as error:
            raise self._fault(artifact, error) from error
        seen = (path, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_mode)
        if not stat.S_ISREG(found.st_mode):
            raise UserError("B208", f"'{self.path(artifact)}' is not a regular file", hint="name a file")
        known = self._state.file(artifact.path)
        if known is not None and known.holds(found):
            value = Value(known.digest, known.size, bool(found.st_mode & stat.S_IXUSR))
        else:
            value = self._read(artifact)
        self.seen.append((*seen, value.digest))
        return value

    def _read(self, artifact: Artifact) -> Value:
        path = os.path.join(self._folder, artifact.path)
        for _ in range(_ATTEMPTS):
            try:
                seen_ns = time.time_ns()
                with open(path, "rb", buffering=0) as stream:
                    before = os.fstat(stream.fileno())
                    with self._blobs.create() as writer:
                        copy(_Source(stream, artifact, self._fault), writer)
                    after = os.fstat(stream.fileno())
            except OSError as error:
                raise self._fault(artifact, error) from error
            if _times(before) == _times(after):
                self._state.remember_file(artifact.path, file_state(before, seen_ns, writer.digest))
                return Value(writer.digest, writer.size, bool(before.st_mode & stat.S_IXUSR))
        raise EnvironmentFault(
            "B505", f"'{self.path(artifact)}' keeps changing while it is read", hint="stop whatever writes it"
        )

    def _fault(self, artifact: Artifact, error: OSError) -> UserError | EnvironmentFault:
        shown = self.path(artifact)
        if isinstance(error, FileNotFoundError):
            hint = "restore it, or mend the label"
            return UserError(
                "B208", f"missing input file '{shown}', named by '//{artifact.package}:{artifact.name}'", hint=hint
            )
        return EnvironmentFault("B504", f"cannot read '{shown}': {error.strerror}", hint="check its permissions")


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


def _times(found: os.stat_result) -> tuple[int, int, int]:
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns)
