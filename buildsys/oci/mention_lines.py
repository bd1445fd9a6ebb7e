"""Image references in texts that are read line by line: lists, TOML, Go templates, flags, and whatever has no form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from buildsys.oci.mention import UNKNOWN, Mention, is_explicit, is_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_VALUE = r"""["']?([^\s"',;]+)"""
_KEY = re.compile(rf"""\s*(?:-\s+|\{{\s*)?["']?([\w.-]*image)["']?\s*[:=]\s*{_VALUE}""", re.IGNORECASE)
_FLAG = re.compile(rf"(?<![\w-])--(?:[\w-]{{0,80}}?image|prometheus-config-reloader)(?:=|\s+){_VALUE}", re.IGNORECASE)
_TABLE = re.compile(r"\s*\[+([^\[\]]+)\]+\s*(?:#.*)?$")
_SETTING = re.compile(r"""\s*["']?([\w.-]+)["']?\s*=\s*(["'])(.*?)\2""")
_INLINE = re.compile(r"""([\w.-]+)\s*=\s*(["'])(.*?)\2""")

_ACTION = re.compile(
    r"\{\{-?\s*(?:/\*.{0,9999}?\*/|(?:\"(?:[^\"\\]|\\.){0,999}\"|`[^`]{0,999}`|[^`\"]){0,999}?)\s*-?\}\}", re.DOTALL
)
_DEFAULTS = (
    re.compile(r"\{\{-?\s*or\s+[\w.$]+\s+\"([^\"\\]*)\"\s*-?\}\}"),
    re.compile(r"\{\{-?\s*default\s+\"([^\"\\]*)\"\s+[\w.$]+\s*-?\}\}"),
    re.compile(r"\{\{-?\s*[\w.$]+\s*\|\s*default\s+\"([^\"\\]*)\"\s*-?\}\}"),
    re.compile(r"\{\{-?\s*\"([^\"\\]*)\"\s*-?\}\}"),
)
_CONTROL = re.compile(r"\{\{-?\s*(?:/\*|(?:if|else|end|range|with|define|block|break|continue)\b|\$\w+\s*:?=)")


def rendered(text: str) -> str:
    """Return a Go template (text/template) as it is when nothing is set, as far as that can be told without running it.

    What `or` and `default` fall back to takes their place; of conditions all branches stay; other values are UNKNOWN.
    Lines stay where they are.
    """
    pieces, position = [], 0
    while (begin := text.find("{{", position)) >= 0 and text.find("}}", begin) >= 0:
        action = _ACTION.match(text, begin)
        end = action.end() if action else begin + 2
        pieces += [text[position:begin], _rendered(action) if action else UNKNOWN]
        position = end
    return "".join([*pieces, text[position:]])


def _rendered(action: re.Match[str]) -> str:
    written = action[0]
    for form in _DEFAULTS:
        if found := form.fullmatch(written):
            return found[1]
    lines = "\n" * written.count("\n")
    return lines if _CONTROL.match(written) else UNKNOWN + lines


def listed(lines: Iterable[str]) -> Iterator[Mention]:
    """Yield the references of an image list: one a line; comments and quotes are allowed."""
    for number, line in enumerate(lines, 1):
        image = line.partition(" #")[0].strip().strip("\"'")
        if image and not image.startswith("#") and is_reference(image):
            yield Mention(image, number)


def toml(lines: Iterable[str]) -> Iterator[Mention]:
    """Yield the references in TOML: containerd's pause image (config 2: `sandbox_image`, 3: `pinned_images`), others.

    Source: containerd docs/cri/config.md.
    """
    table = ""
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("#"):
            continue
        if found := _TABLE.match(line):
            table = found[1]
        elif setting := _SETTING.match(line):
            pinned = table.endswith("pinned_images") or "pinned_images" in setting[1]
            if pinned or setting[1].lower().endswith("image"):
                yield from _setting(setting, number, certain=pinned or setting[1] == "sandbox_image")
        elif "pinned_images" in line:
            for setting in _INLINE.finditer(line):
                yield from _setting(setting, number, certain=True)


def _setting(setting: re.Match[str], number: int, *, certain: bool) -> Iterator[Mention]:
    if is_reference(setting[3]) if certain else is_explicit(setting[3]):
        yield Mention(setting[3], number, setting.start(3) + 1)


def flags(text: str, line: int = 1, column: int = 1) -> Iterator[Mention]:
    """Yield the references that a line gives to flags such as `--pod-infra-container-image=`."""
    if "--" in text:
        for found in _FLAG.finditer(text):
            if is_explicit(found[1]):
                yield Mention(found[1], line, column + found.start(1))


def loose(lines: Iterable[str]) -> Iterator[Mention]:
    """Yield the references in lines of no known form: `image: X`, `some_image = X` and flags; comments are left out."""
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith(("#", "//", ";")):
            continue
        if found := _KEY.match(line):
            only = found[1].lower() == "image" and "=" not in line[: found.start(2)]
            if is_reference(found[2]) if only else is_explicit(found[2]):
                yield Mention(found[2], number, found.start(2) + 1)
        yield from flags(line, number)
