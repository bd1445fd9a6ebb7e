"""Trees: a directory as a value, path by path; merging trees copies no file.

A tree's canonical form is one line of JSON an entry, in path order, so that its digest is its identity. Paths are
relative, use `/`, and have no empty, `.` or `..` segment: a tree cannot name anything outside its root.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring as quoted
from typing import TYPE_CHECKING, NamedTuple, Self

from buildsys.errors import InternalError
from buildsys.model.digest import Digest, digest_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FILE, DIRECTORY, SYMLINK = "f", "d", "l"


class Entry(NamedTuple):
    """One path of a tree. `digest` and `size` belong to files, `target` to symbolic links; `mode` is 0 for links."""

    path: str
    kind: str
    mode: int = 0
    digest: Digest = ""
    size: int = 0
    target: str = ""


LONGEST = 4096
"""Characters of a path or link target: no Linux makes longer ones, and a megabyte of slashes is an attack."""


class PathFault(ValueError):
    """A path that a tree cannot hold; the text says why."""


def path_fault(path: str) -> str:
    """Say why `path` cannot be the path of a tree entry, or return the empty string."""
    if not path:
        return "the path is empty"
    if len(path) > LONGEST:
        return f"'{path[:40]}...' has more than {LONGEST} characters"
    if path.startswith("/"):
        return f"'{path}' is absolute"
    if "\0" in path or "\n" in path:
        return f"{path!r} has a control character"
    if path[0] != "." and "/." not in path and "//" not in path and path[-1] != "/":
        return ""
    for segment in path.split("/"):
        if segment == "..":
            return f"'{path}' leaves its root"
        if segment in {"", "."}:
            return f"'{path}' has an empty or '.' segment"
    return ""


def link_fault(path: str, target: str) -> str:
    """Say why a symbolic link at `path` to `target` leaves its root, or return the empty string."""
    if not target:
        return "the link target is empty"
    if len(target) > LONGEST:
        return f"'{path}' links to more than {LONGEST} characters"
    if target.startswith("/"):
        return f"'{path}' links to the absolute path '{target}'"
    depth = path.count("/")
    for segment in target.split("/"):
        if segment == "..":
            depth -= 1
            if depth < 0:
                return f"'{path}' links out of its root, to '{target}'"
        elif segment not in {"", "."}:
            depth += 1
    return ""


_HOPS = 40
"""How many links Linux follows before it gives up (ELOOP)."""


def chain_fault(links: Mapping[str, str]) -> str:
    """Say which of `links` (path to target) leads out of the root by way of the others, or return the empty string.

    `z -> p/l/..` looks as if it stayed inside, and does not where `p/l -> ..`.
    """
    if not any(".." in target for target in links.values()):
        return ""
    for path in links:
        position, pending, hops = path.split("/")[:-1], links[path].split("/")[::-1], 0
        while pending and hops <= _HOPS:
            segment = pending.pop()
            if segment == ".." and not position:
                return f"'{path}' links out of its root by way of other links, to '{links[path]}'"
            if segment == "..":
                position.pop()
            elif segment not in {"", "."}:
                position.append(segment)
                if (target := links.get("/".join(position))) is not None:
                    hops += 1
                    position.pop()
                    pending += target.split("/")[::-1]
    return ""


class Tree:
    """An immutable directory: entries in path order, every parent directory present."""

    __slots__ = ("_data", "_digest", "entries")

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        self._data: bytes | None = None
        self._digest: Digest | None = None

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Self:
        """Make a tree of `entries`, adding missing parent directories (mode 0755).

        Raises `PathFault` when a path leaves the root, stands twice with different contents, or is below a file.
        """
        found: dict[str, Entry] = {}
        for entry in entries:
            reason = path_fault(entry.path) or (link_fault(entry.path, entry.target) if entry.kind == SYMLINK else "")
            if reason:
                raise PathFault(reason)
            if found.setdefault(entry.path, entry) != entry:
                raise PathFault(f"'{entry.path}' stands twice")
        if reason := chain_fault({path: entry.target for path, entry in found.items() if entry.kind == SYMLINK}):
            raise PathFault(reason)
        for path in list(found):
            parent = path.rpartition("/")[0]
            while parent and parent not in found:
                found[parent] = Entry(parent, DIRECTORY, 0o755)
                parent = parent.rpartition("/")[0]
            if parent and found[parent].kind != DIRECTORY:
                raise PathFault(f"'{path}' is below '{parent}', which is no directory")
        return cls(tuple(found[path] for path in sorted(found)))

    def to_bytes(self) -> bytes:
        """Return the canonical form, which `json` would take six times as long for."""
        if self._data is None:
            lines = [
                f'[{quoted(path)},"{kind}",{mode},"{digest}",{size},{quoted(target)}]\n'
                for path, kind, mode, digest, size, target in self.entries
            ]
            self._data = "".join(lines).encode()
        return self._data

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the canonical form back."""
        loads = json.loads
        try:
            return cls(tuple(Entry(*loads(line)) for line in data.decode().split("\n")[:-1]))
        except (ValueError, TypeError) as error:
            raise InternalError("B901", f"a stored tree cannot be read: {error}") from error

    @property
    def digest(self) -> Digest:
        """The digest of the canonical form: the identity of the tree."""
        if self._digest is None:
            self._digest = digest_bytes(self.to_bytes())
        return self._digest

    def blobs(self) -> Iterator[Entry]:
        """Yield the file entries, each digest once."""
        seen: set[Digest] = set()
        for entry in self.entries:
            if entry.kind == FILE and entry.digest not in seen:
                seen.add(entry.digest)
                yield entry

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and self.entries == other.entries

    def __hash__(self) -> int:
        return hash(self.entries)
