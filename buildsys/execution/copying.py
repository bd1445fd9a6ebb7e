"""Copying between files within the kernel, by reading and writing where the kernel cannot."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Way = Callable[[int, int, int, int], int]

STEP = 32 << 20
"""The most bytes copied between two looks whether to give up."""

_PIECE = 1 << 20

_UNABLE = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}
"""What a kernel, a file system or a sandbox answers to a call that it does not have, or not between these files."""


def copy_range(source: int, target: int, size: int, check: Callable[[], None]) -> int:
    """Copy the first `size` bytes of the file `source` to where `target` stands; return how many there were.

    Both are file descriptors. `check` may raise to give up. Where the file system can, the copies share their blocks.
    """
    done = 0
    for way in _ways():
        while done < size:
            check()
            try:
                step = way(source, target, done, min(STEP, size - done))
            except OSError as error:
                if way is _read or error.errno not in _UNABLE:
                    raise
                break
            if not step:
                break  # the end; or one of the kernels that cannot, and say nothing
            done += step
    return done


def _ways() -> list[Way]:
    ways: list[Way] = []
    if hasattr(os, "copy_file_range"):
        ways.append(_clone)
    if hasattr(os, "sendfile"):
        ways.append(_send)
    return [*ways, _read]


def _clone(source: int, target: int, begin: int, size: int) -> int:
    return os.copy_file_range(source, target, size, offset_src=begin)


def _send(source: int, target: int, begin: int, size: int) -> int:
    return os.sendfile(target, source, begin, size)


def _read(source: int, target: int, begin: int, size: int) -> int:
    return os.write(target, os.pread(source, min(size, _PIECE), begin))
