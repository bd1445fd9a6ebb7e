"""Every error a user can see: a code, a place, a reason and a next step.

BuildError                 exit 1
├── UserError              exit 1   the workspace or the request is wrong
│   ├── UsageError         exit 2   the command line is wrong
│   ├── QueryError         exit 7   a query or a configured query failed
│   ├── ActionFailed       exit 1   an action ran and failed
│   └── DependencyError    exit 48  a pin is missing or does not match
├── EnvironmentFault       exit 36  this machine is at fault
│   └── NetworkFault       exit 32  a download host or the network is at fault
├── Interrupted            exit 8   the user asked to stop
└── InternalError          exit 37  buildsys is at fault; please report

Errors of one phase are collected and raised together as `BuildErrors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Location(NamedTuple):
    """Where something was written: line and column count from 1; `width` columns are marked."""

    path: str
    line: int
    column: int = 1
    width: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


class BuildError(Exception):
    """Base of everything reported to the user without a traceback.

    `code` is stable and has a section in docs/errors.md; `hint` is the next step; `notes` are further lines; `cases`
    are the configurations that it is about where a request has several; `origin` says what raised it, so that errors at
    one place have an order.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        code: str,
        message: str,
        *,
        at: Location | None = None,
        hint: str = "",
        notes: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.at = at
        self.hint = hint
        self.notes = tuple(notes)
        self.cases: tuple[str, ...] = ()
        self.origin = ""


class UserError(BuildError):
    """The workspace or the request is wrong."""


class UsageError(UserError):
    """The command line is wrong."""

    exit_code = 2


class QueryError(UserError):
    """A query names something that does not exist, or cannot be answered."""

    exit_code = 7


class ActionFailed(UserError):
    """An action ran and failed."""


class DependencyError(UserError):
    """An external file is not pinned, or what arrived is not what was pinned."""

    exit_code = 48


class EnvironmentFault(BuildError):
    """This machine is at fault: disk full, permission denied, missing program."""

    exit_code = 36


class NetworkFault(EnvironmentFault):
    """A download host or the network is at fault; trying again may help."""

    exit_code = 32


class Interrupted(BuildError):
    """The user asked to stop (SIGINT, SIGTERM)."""

    exit_code = 8


class InternalError(BuildError):
    """A broken invariant inside buildsys."""

    exit_code = 37


class BuildErrors(Exception):
    """All errors of one phase, in a stable order, without duplicates."""

    def __init__(self, errors: Iterable[BuildError]) -> None:
        unique: dict[tuple[object, ...], BuildError] = {}
        for error in errors:
            first = unique.setdefault((error.code, error.at, error.message), error)
            first.cases = tuple(dict.fromkeys((*first.cases, *error.cases)))
        self.errors = tuple(sorted(unique.values(), key=_place))
        super().__init__(f"{len(self.errors)} errors")

    @property
    def exit_code(self) -> int:
        """The code of the gravest error: 1 when they differ, else the one they share."""
        codes = {error.exit_code for error in self.errors}
        return codes.pop() if len(codes) == 1 else 1


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest of `known`, or the empty string."""
    from difflib import get_close_matches

    found = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean '{found[0]}'?" if found else ""


def _place(error: BuildError) -> tuple[str, int, int, str]:
    return (error.at.path, error.at.line, error.at.column, error.origin) if error.at else ("", 0, 0, error.origin)
