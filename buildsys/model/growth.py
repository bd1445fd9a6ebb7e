"""How large graphs grow: millions of values that live until the end, and no cycles among them."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def growing() -> Iterator[None]:
    """Keep the garbage collector away while a graph grows: it would walk all of it again and again, and find nothing.

    What has been made stays out of later collections too.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
