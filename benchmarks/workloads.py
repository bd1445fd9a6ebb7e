"""What is built: a rootfs out of blobs and templates, or a graph of many small files; and what must come out."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from benchmarks.mirror import Blob

RELEASE = "1.23.17"
"""The value of the one variable of every template."""

TEMPLATES = 24
"""Rendered files of a rootfs, beside its blobs."""

PER_PACKAGE = 100
"""Nodes of a graph that stand in one folder."""


class Source(NamedTuple):
    """A file that the user writes: its path, and its text with `@NAME@` for a variable."""

    path: str
    text: str


class Rootfs:
    """One tarball: blobs from a server, and rendered files. A version has some blobs of its own."""

    def __init__(self, url: str, versions: tuple[tuple[Blob, ...], ...]) -> None:
        self.url = url
        self.versions = versions

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """The blobs of the first version."""
        return self.versions[0]

    def rendered(self) -> list[str]:
        """Return the paths in the tree of the rendered files."""
        return [f"etc/file-{number:02}" for number in range(TEMPLATES)]

    def template(self, number: int, edit: str = "") -> Source:
        """Return a template: a unit file's worth of lines and one variable; `edit` is a line more."""
        lines = "".join(f"setting-{number}-{line} = value {line * 7919 % 1000}\n" for line in range(40))
        return Source(f"context/rootfs/etc/file-{number:02}.in", f"version = @version@\n{lines}{edit}")

    def expected(self, version: int, edit: str) -> dict[str, str]:
        """Return what each path of the tree must be: the digest of its content, and `+x` for a program."""
        found = {blob.place: blob.sha256 + "+x" * blob.executable for blob in self.versions[version]}
        for number, path in enumerate(self.rendered()):
            text = self.template(number, edit if number == 0 else "").text.replace("@version@", RELEASE)
            found[path] = hashlib.sha256(text.encode()).hexdigest()
        return found


class Graph:
    """Many nodes, each rendered from a template of one variable and two other files, in folders of a hundred."""

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes

    def packages(self) -> list[tuple[str, list[str]]]:
        """Return the folders, and the names of the nodes in each."""
        names = [f"n{number:02}" for number in range(PER_PACKAGE)]
        whole, rest = divmod(self.nodes, PER_PACKAGE)
        counts = [PER_PACKAGE] * whole + [rest] * bool(rest)
        return [(f"p{number:04}", names[:count]) for number, count in enumerate(counts)]

    def paths(self) -> list[str]:
        """Return the path of every node."""
        return [f"{package}/{name}" for package, names in self.packages() for name in names]

    def sources(self, path: str, edit: str = "") -> tuple[Source, Source, Source]:
        """Return the template of a node and its two other files, `a` and `b`; `edit` is a line more of the first."""
        template = f"# {path}\nversion = @version@\n@a@\n@b@\nend = {path}\n"
        return (
            Source(f"context/{path}.in", template),
            Source(f"context/{path}.a", f"first = {path}\n{edit}"),
            Source(f"context/{path}.b", f"second = {path}\nmore = {len(path)}\n"),
        )

    def expected(self, path: str, edit: str = "") -> str:
        """Return what a node must be."""
        template, first, second = (source.text for source in self.sources(path, edit))
        return template.replace("@version@", RELEASE).replace("@a@\n", first).replace("@b@\n", second)
