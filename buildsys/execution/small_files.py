"""Small outputs: many files, each written from memory and looked at once.

A folder is made, and judged to be one, once a build. The mode is given when the file is opened, and set again only
where the umask (or a default access list) has taken something from it. What `stat` says of a file that was put in its
place, or found there, is kept for the snapshot.
"""

from __future__ import annotations

import os
import stat
from array import array
from itertools import count
from typing import TYPE_CHECKING

from buildsys.execution.folders import make_folder, remove_file, remove_folder
from buildsys.store.fault import store_fault
from buildsys.store.rubbish import owner
from buildsys.store.workspace_state import FileState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from buildsys.model.action import Value
    from buildsys.model.digest import Digest
    from buildsys.snapshot import Seen
    from buildsys.store.workspace_state import WorkspaceState

OTHER = "--output_base=DIR"

_PREFIX = "out:"
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class SmallFiles:
    """Files below `folder`, written by way of the folder `tmp` on the same file system."""

    def __init__(self, folder: str, tmp: str, state: WorkspaceState) -> None:
        self._folder = folder
        self._tmp = tmp
        self._part = os.path.join(tmp, f"{owner()}small")
        self._serial = count()
        self._state = state
        self._made: set[str] = set()
        self._chmod: dict[int, bool] = {}
        self._paths: list[str] = []
        self._numbers = array("q")

    def known(self, paths: Collection[str]) -> dict[str, FileState]:
        """Return what is remembered of outputs, by path."""
        found = self._state.files([_PREFIX + path for path in paths])
        return {key[len(_PREFIX) :]: state for key, state in found.items()}

    def put(self, path: str, value: Value, data: bytes, known: FileState | None = None) -> None:
        """Make the file at `path` hold `data`, unless `known` tells that it does, and count it among the outputs.

        Raises `EnvironmentFault` when it cannot be written.
        """
        if not self.accept_current(path, value, known):
            self._accept(path, self.write(path, data, value.digest, 0o755 if value.executable else 0o644))

    def write(self, path: str, data: bytes, digest: Digest, mode: int) -> os.stat_result:
        """Write a file; return what `stat` then says of it. Raises `EnvironmentFault` when it cannot be written."""
        target = f"{self._folder}/{path}"
        part = f"{self._part}{next(self._serial)}"
        try:
            self._prepare(target)
            self._write(part, data, mode)
            try:
                os.replace(part, target)
            except (IsADirectoryError, FileNotFoundError, NotADirectoryError):
                self._make_way(target)
                os.replace(part, target)
            found = os.stat(target)
        except OSError as error:
            remove_file(part)
            raise store_fault(error, target, OTHER) from error
        state = FileState(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, 0, digest)
        self._state.remember_file(_PREFIX + path, state)
        return found

    def accept_current(self, path: str, value: Value, known: FileState | None) -> bool:
        """Tell whether a file is, by what is known of it, the one that was written for `value`; then count it."""
        if known is None or known.digest != value.digest or value.tree:
            return False
        try:
            found = os.lstat(f"{self._folder}/{path}")
        except OSError:
            return False
        fingerprint = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        if fingerprint != known[:4] or found.st_mode != stat.S_IFREG | (0o755 if value.executable else 0o644):
            return False
        self._accept(path, found)
        return True

    def seen(self) -> Iterator[Seen]:
        """Yield what `stat` said of each file that was counted when it was put in its place, or found there."""
        numbers = iter(self._numbers)
        for path, *found in zip(self._paths, numbers, numbers, numbers, numbers, numbers, strict=True):
            size, mtime, ctime, inode, mode = found
            yield (f"{self._folder}/{path}", size, mtime, ctime, inode, mode, "")

    def _accept(self, path: str, found: os.stat_result) -> None:
        self._paths.append(path)
        self._numbers.extend((found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_mode))

    def _prepare(self, target: str) -> None:
        folder = target.rpartition("/")[0]
        if folder not in self._made:
            make_folder(folder, self._folder)
            os.makedirs(self._tmp, exist_ok=True)
            self._made.add(folder)

    def _make_way(self, target: str) -> None:
        """Remove a folder that stands where a file belongs, and make those that the file is to be in."""
        self._made.clear()
        if os.path.isdir(target) and not os.path.islink(target):
            remove_folder(target)
        self._prepare(target)

    def _write(self, part: str, data: bytes, mode: int) -> None:
        descriptor = os.open(part, _FLAGS, mode)
        try:
            if mode not in self._chmod:
                self._chmod[mode] = stat.S_IMODE(os.fstat(descriptor).st_mode) != mode
            if self._chmod[mode]:
                os.fchmod(descriptor, mode)
            written = os.write(descriptor, data)
            while written < len(data):
                written += os.write(descriptor, data[written:])
        finally:
            os.close(descriptor)
