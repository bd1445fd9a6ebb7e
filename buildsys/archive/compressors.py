"""The compressions a tarball can have, by name, behind one shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buildsys.adapters import zstd
from buildsys.archive import gzip, stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildsys.archive.streams import Readable
    from buildsys.model.action import Writer

NAMES = ("none", "gzip", "zstd", "gzip-single", "zstd-single")
"""`gzip` and `zstd` are cut into members or frames; the `-single` forms are one, for readers that stop after one."""

DEFAULT_LEVELS = {"none": 0, "gzip": 6, "zstd": 3}


class Compressor(NamedTuple):
    """One way to compress: `id` names all that shapes bytes; `store` wraps what is not worth compressing.

    `stored_id` names all that shapes the bytes of `store`.
    """

    id: str
    stored_id: str
    level: int
    single: bool
    compress_stream: Callable[[Readable, Writer, int, int], None]
    store: Callable[[Readable, Writer, int], None]

    def compress(self, src: Readable, dst: Writer, size: int) -> None:
        """Write `src`, which holds `size` bytes, as one member or frame."""
        self.compress_stream(src, dst, size, self.level)


def tools(name: str) -> tuple[str, ...]:
    """Return the names of the libraries whose version shapes the bytes of compression `name`."""
    return {"gzip": ("zlib",), "zstd": ("zstd",)}.get(family(name), ())


def family(name: str) -> str:
    """Return `none`, `gzip` or `zstd`."""
    return name.removesuffix("-single")


def compressor(name: str, level: int) -> Compressor | None:
    """Return compression `name` at `level` (0: the default level); None for `none`.

    Raises `ValueError` for an unknown name or a level that the compression does not have.
    """
    if name not in NAMES:
        raise ValueError(f"unknown compression '{name}'; known: {', '.join(NAMES)}")
    kind = family(name)
    level = level or DEFAULT_LEVELS[kind]
    if kind == "none":
        if level:
            raise ValueError("compression 'none' has no level")
        return None
    module = gzip if kind == "gzip" else zstd
    if level not in module.LEVELS:
        raise ValueError(f"{kind} has levels {module.LEVELS[0]} to {module.LEVELS[-1]}, not {level}")
    form = stored.STORED_GZIP if kind == "gzip" else stored.STORED_ZSTD
    return Compressor(
        module.compressor_id(level), form, level, name != kind, module.compress_stream, stored.FORMS[form]
    )
