"""What keeps the store and the output folder from being written, as faults of this machine."""

from __future__ import annotations

import errno

from buildsys.errors import EnvironmentFault


def store_fault(error: OSError, path: str, other: str = "--disk_cache=DIR") -> EnvironmentFault:
    """Say what kept a folder from being read or written; `other` is the option that puts it elsewhere."""
    where = error.filename or path
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return disk_full(where, other)
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        message = f"{where} is not writable: {error.strerror}"
        return EnvironmentFault("B502", message, hint=f"change its permissions, or give another folder: {other}")
    if error.errno in {errno.ENOTDIR, errno.EEXIST}:
        message = f"{where} cannot be made: a file stands where a folder is needed"
        return EnvironmentFault("B504", message, hint=f"move the file out of the way, or give another folder: {other}")
    return EnvironmentFault("B504", f"{where}: {error.strerror}", hint="look at the disk and the folder's permissions")


def disk_full(where: object, other: str) -> EnvironmentFault:
    """Return the fault of a full disk."""
    return EnvironmentFault(
        "B501",
        f"no space left on the disk that holds {where}",
        hint=f"free some space, or give another folder: {other}; nothing half-written was kept",
    )
