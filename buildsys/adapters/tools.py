"""Versions of the libraries and programs that shape bytes: what an operation lists in `tools` is looked up here."""

from __future__ import annotations

import os
import re
import sys
import zlib
from functools import cache

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
        return _named_version(_DISTRIBUTIONS[name]) or _described_version(_DISTRIBUTIONS[name])
    raise InternalError("B902", f"no version is known for the tool '{name}'")


def _named_version(distribution: str) -> str:
    """Return the version that the folder of an installed distribution is named by; empty when there is none.

    The first folder on the path counts, as for imports. `importlib.metadata` says the same, but takes 20 ms to import.
    Source: PyPA specification "Recording installed projects", "The .dist-info directory".
    """
    pattern = re.compile(re.escape(distribution) + r"-([^-]+)\.dist-info", re.IGNORECASE)
    for folder in sys.path:
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        found = {match[1] for name in names if (match := pattern.fullmatch(name))}
        if found:
            return found.pop() if len(found) == 1 else ""
    return ""


def _described_version(distribution: str) -> str:
    from importlib import metadata

    return metadata.version(distribution)
