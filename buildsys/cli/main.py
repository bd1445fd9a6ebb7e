"""The entry point: answers a null build from its snapshot, and imports the rest only when that fails."""

from __future__ import annotations

import os
import sys
import time

from buildsys import snapshot


def main() -> None:
    """Run the command line and exit with its code."""
    _open_streams()
    try:
        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # before the command line knows what to do about it
        sys.stderr.write("ERROR: interrupted [B801]\n")
        code = 8
    _leave(code)


def _leave(code: int) -> None:
    """End the process without taking apart what it has in memory: for a large graph that takes seconds."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # nobody reads any more; what else it may be was said when the answer was flushed
            continue
    os._exit(code)


def _open_streams() -> None:
    """Give the process the standard streams that it was started without, so that no other file takes their place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process


def run(argv: list[str]) -> int:
    """Run a command line; return the exit code."""
    began = time.perf_counter()
    found = snapshot.examine(argv) if "build" in argv and not any(map(_is_profile, argv)) else None
    if found is not None and answered(found, began):
        return 0
    from buildsys.cli.dispatch import dispatch

    return dispatch(argv, found, began)


def answered(found: snapshot.Snapshot, began: float) -> bool:
    """Answer a build that began at `began` from its snapshot; return false when something has changed."""
    if found.changed and not _reverted(found):
        return False
    sys.stderr.write(found.answer(f"{time.perf_counter() - began:.3f}", *snapshot.NOTHING_RAN))
    sys.stderr.flush()
    return True


def _reverted(found: snapshot.Snapshot) -> bool:
    """Tell whether all that was done was to take back the last edit, and put the outputs before it in place."""
    if found.past is None:
        return False
    from buildsys.reverting import revert

    return revert(found)


def _is_profile(word: str) -> bool:
    return word.startswith("--profile")
