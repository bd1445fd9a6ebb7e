"""Code of the workspace: its rules and operations, and whose fault it is when they raise."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from buildsys.errors import BuildError, Location
from buildsys.model.provider import Provider

if TYPE_CHECKING:
    from types import TracebackType

PREFIX = "buildsys_workspace_rules."
"""What the names of the workspace's modules begin with; their code knows its file relative to the workspace."""

HINT = "mend the module"


def is_foreign(kind: type) -> bool:
    """Tell whether a class is defined by the workspace."""
    return kind.__module__.startswith(PREFIX)


def place(error: BaseException, kind: type, method: str) -> Location:
    """Return the last line of the workspace's modules that took part in an error, else where `method` is defined."""
    found = None
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).startswith(PREFIX):
            found = _location(trace)
        trace = trace.tb_next
    return found or defined(kind, method)


def _location(trace: TracebackType) -> Location:
    """Return the place of the expression that a frame was at."""
    code = trace.tb_frame.f_code
    line, end, first, last = next(islice(code.co_positions(), trace.tb_lasti // 2, None), (None, None, None, None))
    if line is None or first is None or last is None:
        return Location(code.co_filename, trace.tb_lineno)
    return Location(code.co_filename, line, first + 1, last - first if end == line else 1)


def defined(kind: type, method: str) -> Location:
    """Return where a method of a class of the workspace is defined."""
    code = getattr(getattr(kind, method, None), "__code__", None)
    return Location(code.co_filename, code.co_firstlineno) if code else Location("", 0)


def described(error: BaseException) -> str:
    """Return what a foreign exception says."""
    if isinstance(error, BuildError):
        return error.message
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def check_providers(found: object) -> None:
    """Raise `TypeError` for what is no result of `analyse`: annotations do not keep anybody from returning it."""
    if not isinstance(found, tuple) or not all(isinstance(item, Provider) for item in found):
        raise TypeError(f"`analyse` must return a tuple of providers, not {found!r}")
