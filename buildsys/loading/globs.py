"""Globs: which files of a package match `etc/**`; sub-packages are other packages and are never entered.

`*` and `?` match within one path segment, `**` as a whole segment matches any number of segments (Bazel's glob()).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from buildsys.loading.files import FileReader

OWN_FOLDERS = "buildsys-"
"""How the names of the folders begin that builds make at the root: what is in them is no source."""


def matches(files: FileReader, folder: str, include: Iterable[str], exclude: Iterable[str], build: str) -> list[str]:
    """Return the files below `folder` that match, relative to it, in path order; `build` names package files."""
    wanted = [_pattern(text) for text in include]
    unwanted = [_pattern(text) for text in exclude]
    return sorted(
        path
        for path in _walk(files, folder, "", build)
        if any(p.fullmatch(path) for p in wanted) and not any(p.fullmatch(path) for p in unwanted)
    )


def _walk(files: FileReader, folder: str, inside: str, build: str) -> Iterator[str]:
    here = f"{folder}/{inside}".rstrip("/") if inside else folder
    names, folders = files.listing(here)
    if inside and build in names:
        return
    prefix = f"{inside}/" if inside else ""
    for name in names:
        if name != build:
            yield prefix + name
    for name in folders:
        if here in {"", "."} and name.startswith(OWN_FOLDERS):
            continue
        yield from _walk(files, folder, prefix + name, build)


def _pattern(text: str) -> re.Pattern[str]:
    parts = []
    segments = text.split("/")
    for number, segment in enumerate(segments):
        last = number == len(segments) - 1
        if segment == "**":
            parts.append(".*" if last else "(?:[^/]+/)*")
        else:
            body = "".join({"*": "[^/]*", "?": "[^/]"}.get(c, re.escape(c)) for c in segment)
            parts.append(body if last else body + "/")
    return re.compile("".join(parts), re.DOTALL)
