"""buildsys.lock: the pins of external files and images, one a line, read fast and refused when they cannot be true.

    file NAME VERSION ARCH sha256:HEX SOURCE
    image NAME TAG ARCH sha256:HEX SOURCE

ARCH may be `any`; of an image there is a line for each architecture, and one for its `index`, if it has one. NAME has
the registry; TAG is `sha256:HEX` for an image that is asked for by digest. SOURCE is the comma-joined codes of who
states the value; `#` starts a comment line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from buildsys.adapters.versions import Version, try_version
from buildsys.errors import BuildError, BuildErrors, Location, UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from buildsys.model.digest import Digest

_PIN = re.compile(r"^((?:file|image) \S+ \S+ \S+) sha256:([0-9a-f]{64}) ([A-Za-z0-9_,.-]+)$", re.MULTILINE)
_IMAGE = re.compile(r"^image (\S+) (\S+) (\S+) sha256:([0-9a-f]{64}) ", re.MULTILINE)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_IMAGE_NAME = re.compile(
    r"(?!.{256})(?!docker\.io/[^/]*$|index\.docker\.io/)(?=[^/]*[.:A-Z]|localhost/)"
    rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
    r"(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)+"
)
"""Names as `oci.reference` normalises them: the registry is said."""
_IMAGE_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|sha256:[0-9a-f]{64}")
_IGNORED = re.compile(r"^(?:#.*|[ \t]*)\n", re.MULTILINE)

# What a server said instead of the file, hashed: all of these stood in pin files of other projects.
NOT_FILES: Mapping[str, str] = {
    "0019dfc4b32d63c1392aa264aed2253c1e0c2fb09216f8e2cc269bbfb8bb49b5": "the page 'Not Found' (9 bytes)",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": "an empty file",
}


class Pin(NamedTuple):
    """What one external file or image must be; `sources` are the codes of who states it."""

    kind: str
    name: str
    version: str
    arch: str
    sha256: str
    sources: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind} {self.name} {self.version} {self.arch} sha256:{self.sha256} {','.join(self.sources)}"


INDEX = "index"
"""What stands in place of an architecture for the index of an image."""


class LockedImage(NamedTuple):
    """An image by its name and its tag or `sha256:` digest.

    `top` is the digest of its index ("" if it has none), `children` are those of the manifests, by architecture.
    """

    name: str
    version: str
    top: Digest
    children: Mapping[str, Digest]


class Pins:
    """The pins of one lock file, whose `text` is as `parse` wants it. One pin is found without reading the others."""

    __slots__ = ("_images", "_made", "_text", "path")

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self._text = f"\n{text}"
        self._made: dict[str, tuple[str, str]] | None = None
        self._images: tuple[LockedImage, ...] | None = None

    def __len__(self) -> int:
        return len(self._pins)

    @property
    def _pins(self) -> dict[str, tuple[str, str]]:
        if self._made is None:
            self._made = {key: (value, source) for key, value, source in _PIN.findall(self._text)}
        return self._made

    def find(self, name: str, version: str, arch: str, kind: str = "file") -> Pin | None:
        """Return the pin for `arch`, else the one for any architecture, else None."""
        for candidate in (arch, "any"):
            key = f"{kind} {name} {version} {candidate}"
            start = self._text.rfind(f"\n{key} sha256:") if "\n" not in key else -1
            if start >= 0:
                end = self._text.find("\n", start + 1)
                line = self._text[start + len(key) + len("\n sha256:") : end if end >= 0 else None]
                value, _, sources = line.partition(" ")
                return _pin(key, (value, sources))
        return None

    def versions(self, name: str, kind: str = "file") -> tuple[str, ...]:
        """Return the pinned versions of `name`, oldest first; what is no version stands before them."""
        prefix = f"{kind} {name} "
        return tuple(sorted({key.split(" ")[2] for key in self._pins if key.startswith(prefix)}, key=_age))

    def names(self, kind: str = "file") -> tuple[str, ...]:
        """Return the names that are pinned, sorted."""
        return tuple(sorted({key.split(" ")[1] for key in self._pins if key.startswith(f"{kind} ")}))

    def images(self) -> tuple[LockedImage, ...]:
        """Return the locked images, by name and version. Raises `BuildErrors` of `UserError` B620 for other names."""
        if self._images is None:
            found: dict[tuple[str, str], dict[str, Digest]] = {}
            errors: list[BuildError] = []
            for line in _IMAGE.finditer(self._text):
                name, version, arch, digest = line.groups()
                if not _IMAGE_NAME.fullmatch(name) or not _IMAGE_VERSION.fullmatch(version):
                    errors.append(self._no_image(line))
                found.setdefault((name, version), {})[arch] = digest
            if errors:
                raise BuildErrors(errors)
            self._images = tuple(
                LockedImage(name, version, lines.get(INDEX, ""), {a: d for a, d in lines.items() if a != INDEX})
                for (name, version), lines in sorted(found.items())
            )
        return self._images

    def _no_image(self, line: re.Match[str]) -> UserError:
        text = self._text[line.start() : self._text.find("\n", line.end())]
        at = Location(self.path, self._text.count("\n", 0, line.start()), 1, len(text))
        hint = "write the name with its registry, as docker.io/library/nginx, and a tag or sha256:64-HEX-DIGITS"
        return UserError("B620", f"no image has this name or tag: {line[1]} {line[2]}"[:200], at=at, hint=hint)

    def all(self) -> list[Pin]:
        """Return every pin, in the order of the file format."""
        return sorted((_pin(key, value) for key, value in self._pins.items()), key=str)


def parse(text: str, path: str) -> Pins:
    """Return the pins in `text`; `path` is where errors say they stand.

    Raises BuildErrors of UserError: B620 a line that is no pin, B621 two values for one pin, B622 the hash of an
    error page or of nothing, B623 one hash for two artifacts.
    Source: each of these was met in a lock file of another project (reference data of 2026-11).
    """
    found = _PIN.findall(text)
    keys = {key for key, _, _ in found}
    values = {value for _, value, _ in found}
    understood = len(found) + len(_IGNORED.findall(text)) == text.count("\n")
    if not understood or not len(values) == len(found) == len(keys) or not values.isdisjoint(NOT_FILES):
        _examine(text, path)
    return Pins(path, text)


def render(pins: Iterable[Pin], header: str = "") -> str:
    """Return the text of a lock file: the comment lines of `header`, then one line a pin, sorted by character code."""
    return header + "".join(f"{line}\n" for line in sorted(map(str, pins)))


def header(text: str) -> str:
    """Return the comment lines that a lock file opens with."""
    lines = []
    for line in text.splitlines(keepends=True):
        if not line.startswith("#"):
            break
        lines.append(line)
    return "".join(lines)


def _pin(key: str, value: tuple[str, str]) -> Pin:
    kind, name, version, arch = key.split(" ")
    return Pin(kind, name, version, arch, sha256=value[0], sources=tuple(value[1].split(",")))


def _age(version: str) -> tuple[bool, Version | str]:
    parsed = try_version(version)
    return (True, parsed) if parsed else (False, version)


def _examine(text: str, path: str) -> None:
    """Go through `text` line by line and raise everything that is wrong with it."""
    errors: list[UserError] = []
    lines: dict[str, tuple[str, int]] = {}
    owners: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        at = Location(path, number, 1, len(line))
        match = _PIN.fullmatch(line)
        if match is None:
            errors.append(UserError("B620", f"this is not a pin: {line[:120]}", at=at, hint=_SYNTAX))
            continue
        key, value, _ = match.groups()
        kind, name, *_ = key.split(" ")
        errors += _contradiction(key, value, lines.setdefault(key, (value, number)), at)
        if kind == "file":
            errors += _untrue(name, value, owners.setdefault(value, (name, number)), at)
    if errors:
        raise BuildErrors(errors)


def _contradiction(key: str, value: str, first: tuple[str, int], at: Location) -> list[UserError]:
    if first[0] == value:
        return []
    message = f"{key} has another value on line {first[1]}"
    return [UserError("B621", message, at=at, hint="keep the line that is right, or lock this file again")]


def _untrue(name: str, value: str, owner: tuple[str, int], at: Location) -> list[UserError]:
    errors = []
    if value in NOT_FILES:
        hint = "download the file again and pin what arrives"
        errors.append(UserError("B622", f"this is the hash of {NOT_FILES[value]}, not of {name}", at=at, hint=hint))
    elif owner[0] != name:
        hint = "one of the two was recorded wrongly: download both and pin what arrives"
        errors.append(UserError("B623", f"line {owner[1]} gives this hash to {owner[0]}", at=at, hint=hint))
    return errors


_SYNTAX = (
    "write: file NAME VERSION ARCH sha256:64-HEX-DIGITS SOURCE, or image NAME TAG ARCH sha256:64-HEX-DIGITS SOURCE"
)
