"""Versions of the libraries and programs that shape bytes: what an operation lists in `tools` is looked up here."""

from __future__ import annotations

import zlib
from functools import cache
from importlib import metadata

from buildsys.errors import InternalError

_DISTRIBUTIONS = {"jinja2": "Jinja2", "pyyaml": "PyYAML"}


@cache
def tool_version(name: str) -> str:
    """Return the version of a tool as it stands in keys. Raises `InternalError` for an unknown tool."""
    if name == "zlib":
        return zlib.ZLIB_RUNTIME_VERSION
    if name == "zstd":
        from buildsys.adapters import zstd

        return zstd.library_version()
    if name in _DISTRIBUTIONS:
        return metadata.version(_DISTRIBUTIONS[name])
    raise InternalError("B902", f"no version is known for the tool '{name}'")
