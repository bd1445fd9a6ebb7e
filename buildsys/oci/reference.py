"""Image references, `[host/]path[:tag][@digest]`: the grammar of the distribution project's reference package.

Sources: github.com/distribution/reference (grammar, normalisation); OCI distribution spec, "Pulling manifests".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-f]{32,}")
_HEX_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}
_BARE_ID = re.compile(r"[0-9a-f]{64}")
_MOST = 255

DOCKER_HUB = "docker.io"


class ReferenceFault(ValueError):
    """A text that is no image reference; the text says why."""


class Reference(NamedTuple):
    """A normalised reference: `host` and `path` are never empty; `tag` or `digest` may be, but not both.

    With both, the digest says which image is meant and the tag what to store it as.
    """

    host: str
    path: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse and normalise a reference. Raises `ReferenceFault`.

        The first segment is a host if it has a dot, a colon or a capital or is `localhost`; else the host is Docker
        Hub's, where one-segment paths are below `library/`. Without tag and digest the tag is `latest`.
        """
        if _BARE_ID.fullmatch(text):
            raise ReferenceFault(f"'{text}' is an image id, not a name")
        rest, at, digest = text.partition("@")
        if at:
            _check_digest(text, digest)
        host, path = _split_host(rest)
        path, colon, tag = path.partition(":")
        if colon and not _TAG.fullmatch(tag):
            raise ReferenceFault(f"'{text}' has the malformed tag '{tag}'")
        if host == "index." + DOCKER_HUB:
            host = DOCKER_HUB
        if host == DOCKER_HUB and "/" not in path:
            path = "library/" + path
        if not _HOST.fullmatch(host):
            raise ReferenceFault(f"'{text}' has the malformed host '{host}'")
        if not _PATH.fullmatch(path):
            why = (
                "has capitals, which repository names cannot have" if _PATH.fullmatch(path.lower()) else "is malformed"
            )
            raise ReferenceFault(f"'{text}': the repository name '{path.removeprefix('library/')}' {why}")
        if len(host) + 1 + len(path) > _MOST:
            raise ReferenceFault(f"'{text}': the name is longer than {_MOST} characters")
        return cls(host, path, tag if colon or at else "latest", digest)

    @property
    def name(self) -> str:
        """Host and path."""
        return f"{self.host}/{self.path}"

    @property
    def familiar(self) -> str:
        """The short form that docker shows and stores: without Docker Hub's host and `library/`."""
        name = self.name.removeprefix(f"{DOCKER_HUB}/")
        if self.host == DOCKER_HUB:
            name = name.removeprefix("library/")
        return name + self._suffix

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.name + self._suffix


def image_lines(data: bytes) -> Iterator[tuple[int, str, str]]:
    """Yield each line of a list of images that names one: its number, the line, and what it names.

    Blank lines, comments and quotes are allowed.
    """
    for number, line in enumerate(data.decode("utf-8-sig", "replace").split("\n"), 1):
        text = re.split(r"\s#", line, maxsplit=1)[0].strip().strip("\"'")
        if text and not text.startswith("#"):
            yield number, line.rstrip(), text


def _split_host(text: str) -> tuple[str, str]:
    head, slash, tail = text.partition("/")
    if slash and (any(char in head for char in ".:") or head == "localhost" or head.lower() != head):
        return head, tail
    return DOCKER_HUB, text


def _check_digest(text: str, digest: str) -> None:
    algorithm, _, digits = digest.partition(":")
    if not _DIGEST.fullmatch(digest):
        raise ReferenceFault(f"'{text}' has the malformed digest '{digest}'")
    if _HEX_DIGITS.get(algorithm) != len(digits):
        known = ", ".join(f"{name} with {count}" for name, count in _HEX_DIGITS.items())
        raise ReferenceFault(f"'{text}' has a digest that is none of {known} hexadecimal digits")
