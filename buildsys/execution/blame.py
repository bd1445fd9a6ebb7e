"""Blame: whatever an operation raised, as an error that says which target it is about."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from buildsys.errors import (
    ActionFailed,
    BuildError,
    BuildErrors,
    DependencyError,
    EnvironmentFault,
    InternalError,
    Interrupted,
    NetworkFault,
    UserError,
)
from buildsys.execution.stop import Stopped
from buildsys.store.fault import store_fault

if TYPE_CHECKING:
    from buildsys.model.action import Action

_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}
"""What the system says when the machine is at fault, and not whoever asked."""


def as_build_error(action: Action, error: BaseException) -> BuildError | BuildErrors:
    """Turn whatever an operation raised into an error that says which target it is about."""
    from buildsys.sdk import foreign

    operation = type(action.operation)
    if foreign.is_foreign(operation) and not isinstance(error, BuildErrors | UserError | EnvironmentFault | Stopped):
        return ActionFailed(
            "B408",
            f"{action.progress} failed: {foreign.described(error)}",
            at=foreign.place(error, operation, "execute"),
            hint=foreign.HINT,
            notes=(f"needed by {action.owner}",),
        )
    if isinstance(error, BuildErrors):
        return error
    if isinstance(error, Stopped):
        return Interrupted("B801", "build interrupted")
    if isinstance(error, BuildError):
        if isinstance(error, ActionFailed) and str(action.owner) not in error.message:
            error.message = f"{action.progress} failed: {error.message}"
        if isinstance(error, ActionFailed | DependencyError | NetworkFault):
            error.notes = (*error.notes, f"needed by {action.owner}")
        if isinstance(error, UserError) and error.at is None:
            error.at = action.at
        return error
    if isinstance(error, OSError) and error.errno in _MACHINE:
        return store_fault(error, f"a file of {action.name}")
    internal = InternalError("B900", f"{action.name}: {type(error).__name__}: {error}")
    internal.__cause__ = error
    return internal


def not_deterministic(action: Action) -> InternalError:
    """Say that an action which ran again for a lost output made another one."""
    message = f"{action.name}: run again for a lost output, it made another one: it is not deterministic"
    return InternalError(
        "B905", message, hint="run the same command again: what depends on it is then made of the new one"
    )


def of_action(action: Action, error: BuildError | BuildErrors) -> tuple[BuildError, ...]:
    """Return errors, each with its action, and the configuration of that where the request has several."""
    errors = error.errors if isinstance(error, BuildErrors) else (error,)
    for each in errors:
        each.cases = (action.choice,) if action.choice else ()
        each.origin = action.outputs[0].path
    return errors
