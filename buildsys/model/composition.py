"""Compositions: a blob told as stretches of other blobs, so that its bytes are not kept a second time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from buildsys.model.digest import Digest


class Part(NamedTuple):
    """A stretch of `size` bytes of a composed blob: the blob `blob` as it is.

    Or, where `form` is given, the `length` bytes of that blob from `start` on and `zeros` zero bytes behind them, in
    that form (see `archive.stored`).
    """

    blob: Digest
    size: int
    form: str = ""
    start: int = 0
    length: int = 0
    zeros: int = 0
