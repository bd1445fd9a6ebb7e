"""Earlier outputs: what stood at a path before, kept once for each path, so that going back costs a rename.

Only outputs that are nowhere else are kept: those that are written straight to the output folder. A kept file is used
again while all that `stat` says of it is what it said when it was kept, and never while it has a second name. It is
moved, not copied: an inode is at the path of the output or here, never at both for longer than the swap takes.
"""

from __future__ import annotations

import fcntl
import os
import signal
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from buildsys.model.digest import digest_bytes
from buildsys.store.workspace_state import FileState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildsys.store.workspace_state import WorkspaceState

FOLDER = "previous"


class Previous:
    """The kept files below an output base."""

    def __init__(self, base: str, state: WorkspaceState) -> None:
        self._folder = os.path.join(base, FOLDER)
        self._state = state

    def find(self, path: str) -> FileState | None:
        """Return the state of the file that is kept of the output at `path`, if it is as it was kept."""
        known = self._state.file(self._key(path))
        if known is None or not known.digest:
            return None
        try:
            found = os.lstat(self.file(path))
        except OSError:
            return None
        same = fingerprint(found) == (known.size, known.mtime_ns, known.ctime_ns, known.inode)
        return known if same and stat.S_ISREG(found.st_mode) and found.st_nlink == 1 else None

    def take(self, path: str, part: str, *, alone: bool = False) -> bool:
        """Move what is kept of the output at `path` to `part`; False when it is not there, or not as it was kept.

        With `alone` it may be written to afterwards: it is left if anybody has it open, who would see it change.
        """
        known = self.find(path)
        if known is None:
            return False
        descriptor = -1
        try:
            descriptor = os.open(self.file(path), (os.O_RDWR if alone else os.O_RDONLY) | os.O_NOFOLLOW)
            if alone and not _is_alone(descriptor):
                return False
            self._state.remember_file(self._key(path), FileState(0, 0, 0, 0, 0, ""))
            os.rename(self.file(path), part)
            found = os.fstat(descriptor)
        except OSError:
            return False
        finally:
            if descriptor >= 0:
                os.close(descriptor)  # and with it goes what `_is_alone` has asked for
        if (found.st_size, found.st_mtime_ns, found.st_ino) == (known.size, known.mtime_ns, known.inode):
            return True
        os.unlink(part)
        return False

    def drop(self, path: str) -> None:
        """Remove what is kept of the output at `path`: another one is about to be, and needs its room on the disk."""
        with suppress(OSError):
            os.unlink(self.file(path))

    @contextmanager
    def keeping(self, path: str, target: str, known: FileState, held: str) -> Iterator[None]:
        """Keep the output at `path`, the file `target` of state `known`, if it is replaced within the context.

        `held` is a temporary path for it. Where that fails, nothing is kept.
        """
        try:
            os.link(target, held, follow_symlinks=False)
        except OSError:
            yield
            return
        try:
            yield
            with suppress(OSError):
                found = os.lstat(held)
                same = (found.st_size, found.st_mtime_ns, found.st_ino) == (known.size, known.mtime_ns, known.inode)
                if same and found.st_nlink == 1:
                    os.makedirs(self._folder, mode=0o700, exist_ok=True)
                    os.replace(held, self.file(path))
                    state = FileState(*fingerprint(os.lstat(self.file(path))), 0, known.digest)
                    self._state.remember_file(self._key(path), state)
        finally:
            with suppress(OSError):
                os.unlink(held)

    def learn(self, path: str, state: FileState) -> None:
        """Take a file to be what is kept of the output at `path`, as long as it has the state told of it."""
        self._state.remember_file(self._key(path), state)

    def file(self, path: str) -> str:
        """Return where an earlier output of `path` is kept."""
        return os.path.join(self._folder, digest_bytes(path.encode())[:32])

    def _key(self, path: str) -> str:
        return f"previous:{path}"


def fingerprint(found: os.stat_result) -> tuple[int, int, int, int]:
    """Return what has to stay the same for a file to count as unchanged."""
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def _is_alone(descriptor: int) -> bool:
    """Tell whether nobody else has a file open or mapped: only then a write lease is given (fcntl(2), F_SETLEASE).

    Whoever opens it later waits, and we get a signal: one that is ignored unless someone asks for it.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except (OSError, AttributeError):
        return False
    return True
