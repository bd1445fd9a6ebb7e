"""The lock on an output base: one build of a workspace at a time writes there; others wait."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from buildsys.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class LockHeld(BuildError):
    """Another command holds the lock, and waiting for it was not wanted."""

    exit_code = 9


@contextmanager
def exclusive(path: str, *, wait: bool, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file at `path`; the system releases it when the process ends, however it ends.

    `waiting` is called once before waiting. Raises `LockHeld` B506 when somebody else has it and `wait` is false.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if not wait:
                message = "another command is running in this workspace"
                raise LockHeld("B506", message, hint="wait for it, or leave out --noblock_for_lock") from error
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
