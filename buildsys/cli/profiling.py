"""`--profile=FILE`: a request that is watched. What it did is written however it ends: whole, or not at all."""

from __future__ import annotations

import errno
import os
import platform
import tempfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import buildsys
from buildsys.cli.main import answered
from buildsys.errors import EnvironmentFault, InternalError, Interrupted, UsageError
from buildsys.report.profile import Profile, Span
from buildsys.snapshot import examine

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildsys.cli.request import Request
    from buildsys.snapshot import Snapshot

OPTION = "profile"


def run_profiled(
    request: Request,
    root: str | None,
    perform: Callable[[Request, Snapshot | None], int],
    began: float,
    entered: float,
) -> int:
    """Run a command and write its profile; return its exit code.

    `perform` runs it; `began` and `entered` are when the program did, and when it began to read the command line.
    Raises `UsageError` B019 when the file cannot be written.
    """
    path = request.options.text(OPTION)
    target = _target(root, path)
    now = time.perf_counter()
    spans = [Span("start Python", now - _age(), began), Span("import", began, entered), Span("options", entered, now)]
    request.events = profile = Profile(request.terminal.events, min(spans[0].begin, began), spans)
    try:
        code = _run(request, profile, perform)
    except BaseException as error:
        _write(request, profile, target, _exit_code(error))
        raise
    return _write(request, profile, target, code) or code


def _run(request: Request, profile: Profile, perform: Callable[[Request, Snapshot | None], int]) -> int:
    found = None
    if request.command == "build" and request.remembers:
        began = time.perf_counter()
        with profile.phase("check the snapshot"):
            found = examine(request.argv)
        if found is not None and answered(found, began):
            return 0
    return perform(request, found)


def _target(root: str | None, path: str) -> str:
    """Return the full path of the file: as in Bazel, relative to the workspace, so that it can stand in .buildsysrc."""
    target = os.path.realpath(os.path.join(root or "", path))
    try:
        if os.path.isdir(target):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not _is_special(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            tempfile.TemporaryFile(dir=os.path.dirname(target)).close()
    except OSError as error:
        reason = os.strerror(errno.ENOTDIR) if isinstance(error, FileExistsError) else error.strerror
        message = f"--profile={path}: the file cannot be written: {reason}"
        raise UsageError("B019", message, hint="write --profile=buildsys-out/profile.json.gz") from error
    return target


def _is_special(target: str) -> bool:
    """Tell whether something other than a file stands there, such as a pipe or /dev/null."""
    return os.path.exists(target) and not os.path.isfile(target)


def _write(request: Request, profile: Profile, target: str, code: int) -> int:
    """Write the file; return an exit code, which is 0 when it worked."""
    about = {
        "buildsys_version": buildsys.__version__,
        "command_line": request.text,
        "exit_code": code,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"system": platform.platform(), "cpus": len(os.sched_getaffinity(0)), "memory": _memory()},
        "python": platform.python_version(),
    }
    data = profile.trace(f"buildsys {request.command}", about)
    try:
        if request.options.text(OPTION).endswith(".gz"):
            import gzip

            data = gzip.compress(data, mtime=0)
        if _is_special(target):
            with open(target, "wb") as stream:
                stream.write(data)
        else:
            _replace(target, data)
    except OSError as error:
        from buildsys.store.fault import store_fault

        request.terminal.errors([store_fault(error, target, "--profile=FILE")])
        return EnvironmentFault.exit_code
    return 0


def _replace(target: str, data: bytes) -> None:
    part = f"{target}.{os.getpid()}.part"
    try:
        with open(part, "wb") as stream:
            stream.write(data)
        os.replace(part, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(part)
        raise


def _exit_code(error: BaseException) -> int:
    """Return the exit code that an exception will end the program with."""
    if isinstance(error, KeyboardInterrupt):
        return Interrupted.exit_code
    code = getattr(error, "exit_code", getattr(error, "code", None))
    if isinstance(code, int):
        return code
    return EnvironmentFault.exit_code if isinstance(error, OSError) else InternalError.exit_code


def _age() -> float:
    """Return for how many seconds this process has been there, to a hundredth; 0 where the system does not say."""
    try:
        with open("/proc/self/stat", encoding="utf-8", errors="replace") as stream:
            ticks = int(stream.read().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


def _memory() -> int:
    """Return the bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
