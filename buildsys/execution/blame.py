"""Blame: whatever an operation raised, as an error that says which target it is about."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from buildsys.errors import ActionFailed, BuildError, BuildErrors, InternalError, Interrupted
from buildsys.execution.action_io import Stopped
from buildsys.store.database import store_fault

if TYPE_CHECKING:
    from buildsys.model.action import Action

_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}
"""What the system says when the machine is at fault, and not whoever asked."""


def as_build_error(action: Action, error: BaseException) -> BuildError | BuildErrors:
    """Turn whatever an operation raised into an error that says which target it is about."""
    if isinstance(error, BuildErrors):
        return error
    if isinstance(error, Stopped):
        return Interrupted("B801", "build interrupted")
    if isinstance(error, BuildError):
        if isinstance(error, ActionFailed) and str(action.owner) not in error.message:
            error.message = f"{action.progress} failed: {error.message}"
            error.notes = (*error.notes, f"needed by {action.owner}")
        return error
    if isinstance(error, OSError) and error.errno in _MACHINE:
        return store_fault(error, f"a file of {action.name}")
    internal = InternalError("B900", f"{action.name}: {type(error).__name__}: {error}")
    internal.__cause__ = error
    return internal
