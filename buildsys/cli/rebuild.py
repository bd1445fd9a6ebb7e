"""build, when the snapshot tells that nothing but the content of source files changed: see `incremental.py`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from buildsys import incremental
from buildsys.cli.measured import measured
from buildsys.cli.terminal import failing

if TYPE_CHECKING:
    from buildsys.cli.request import Request
    from buildsys.snapshot import Snapshot


def rebuild(request: Request, found: Snapshot) -> int | None:
    """Build what has changed and say so; None where the whole build has to be done."""
    began = time.perf_counter()
    place = request.place()
    with failing(request.terminal), request.alone(place):
        outcome = incremental.rebuild(place, found, request.execution(), request.events, request.text)
    if outcome is None:
        return None
    sys.stderr.write(found.answer(*measured(outcome, began)))
    sys.stderr.flush()
    return 0
