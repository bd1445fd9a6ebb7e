"""Our own faults: the traceback goes to a file, and the user is asked to report it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from buildsys.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildsys.errors import BuildError


def internal(error: BaseException) -> InternalError:
    """Return the report of an exception that nobody expected."""
    return InternalError("B900", f"buildsys has failed on its own account: {error!r}", hint=_hint(error))


def recorded(errors: Iterable[BuildError]) -> list[BuildError]:
    """Return the errors, those that are our own fault with a hint that says where the traceback is."""
    found = list(errors)
    for error in found:
        if isinstance(error, InternalError) and not error.hint:
            error.hint = _hint(error)
    return found


def _hint(error: BaseException) -> str:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="buildsys-", suffix=".log", delete=False) as stream:
        stream.write(f"command line: {sys.argv}\n")
        traceback.print_exception(error, file=stream)
    return f"this is a defect; please report it, with {stream.name}"
