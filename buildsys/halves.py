"""Two halves of a piece of work, one of them in a second process: looking at many files takes half the time."""

from __future__ import annotations

import marshal
import os
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def both(first: Callable[[], list[T]], second: Callable[[], list[T]]) -> list[T]:
    """Return the results of both, in this order; `second` runs in a child, and marshal can hold what it returns.

    Raises `EOFError` or `ValueError` when the child did not come to an end.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reading)
            with open(writing, "wb") as stream:
                stream.write(marshal.dumps(second()))
        finally:
            os._exit(0)  # whatever it could not say, its parent will find too short
    os.close(writing)
    try:
        with open(reading, "rb") as stream:
            return first() + list(marshal.load(stream))  # noqa: S302 - of our own child
    finally:
        os.waitpid(child, 0)
