"""Labels: the absolute name of a target or source file, ``//package:name``.

Syntax follows Bazel's "Labels" page: target names may hold slashes and most punctuation, package names are
slash-separated segments; neither may leave its place through empty, ``.`` or ``..`` segments.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Self

from buildsys.errors import Location, UserError

_PACKAGE = re.compile(r"[A-Za-z0-9 !\"#$%&'()*+,\-.;<>?@\[\]^_{|}~/]*")
_NAME = re.compile(r"[A-Za-z0-9!%\-@^_\"#$&'()*+,;<=>?\[\]{|}~/.]+")


class Label(NamedTuple):
    """An absolute target name. Two labels are equal iff they name one target."""

    package: str
    name: str

    @classmethod
    def parse(cls, text: str, package: str = "", *, at: Location | None = None) -> Self:
        """Parse ``//pkg:name``, ``//pkg`` (= ``//pkg:pkg``), ``:name`` or ``name`` seen from `package`.

        Raises `UserError` B101 when `text` is no label.
        """
        head, colon, name = text.partition(":")
        if head.startswith("//"):
            found = cls(head[2:], name if colon else head.rpartition("/")[2])
        elif colon:
            found = cls(package, name)
            if head:
                raise _malformed(text, "a label with a package starts with `//`", at)
        else:
            found = cls(package, head)
        reason = package_fault(found.package) or name_fault(found.name)
        if text.startswith("@"):
            reason = "there are no external repositories here"
        if reason:
            raise _malformed(text, reason, at)
        return found

    def __str__(self) -> str:
        return f"//{self.package}:{self.name}"


def package_fault(package: str) -> str:
    """Say what is wrong with a package name, or return the empty string."""
    if not _PACKAGE.fullmatch(package):
        return f"the package name '{package}' has a character that is not allowed"
    return _segments_fault("package name", package) if package else ""


def name_fault(name: str) -> str:
    """Say what is wrong with a target name, or return the empty string."""
    if not name:
        return "the target name is empty"
    if not _NAME.fullmatch(name):
        return f"the target name '{name}' has a character that is not allowed"
    return _segments_fault("target name", name)


def _segments_fault(what: str, text: str) -> str:
    if text.startswith("/") or text.endswith("/"):
        return f"the {what} '{text}' starts or ends with a slash"
    for segment in text.split("/"):
        if segment in {"", ".", ".."}:
            return f"the {what} '{text}' has a segment '{segment}'"
    return ""


def _malformed(text: str, reason: str, at: Location | None) -> UserError:
    return UserError(
        "B101",
        f"invalid label '{text}': {reason}",
        at=at,
        hint="labels look like `//package:name`, or `:name` within a package",
    )
