"""Members of an archive as files of their own, or all of it as a tree."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from buildsys.archive.fault import ArchiveFault
from buildsys.archive.links import LinkFault, resolve
from buildsys.archive.members import HARDLINK, read_members
from buildsys.archive.streams import copy
from buildsys.errors import ActionFailed
from buildsys.model.action import ActionIO, Artifact, BaseOperation
from buildsys.model.digest import CHUNK
from buildsys.model.tree import DIRECTORY, FILE, SYMLINK, Entry, PathFault, Tree

if TYPE_CHECKING:
    from buildsys.archive.members import Member

_CODES = {"hostile": "B701", "damaged": "B702", "bomb": "B704"}
_HINTS = {
    "hostile": "an archive that could write outside of its folder is refused as a whole; use another build of it",
    "damaged": "check where it comes from, and the digest it is pinned to",
    "bomb": "if the archive is what it should be, unpack it before the build and give buildsys the files",
}
_SHOWN = 5


class _Found(NamedTuple):
    kind: str
    target: str


@dataclass(frozen=True, slots=True)
class Extract(BaseOperation):
    """Take one file for each output out of `archive`.

    `members` has, for each output, the names the file may have in the archive, of which the first that is there counts:
    a plain name, or a pattern with one `*` (any characters but a slash) that must match one member. A link stands for
    the file it leads to. The executable bit comes with the file. `format` is one of `archive.members.FORMATS`.
    """

    MNEMONIC: ClassVar[str] = "Extract"
    VERSION: ClassVar[int] = 1

    archive: Artifact
    members: tuple[tuple[str, ...], ...]
    format: str = "auto"

    def execute(self, io: ActionIO) -> None:
        """Write output N from the member that `members[N]` names.

        Plain names are written while the archive is read for the first time; what a pattern or a link stands for is
        known only at its end and takes a second reading. Raises `ActionFailed` B701 (hostile member), B702 (damaged or
        no archive), B703 (no such member, or several), B704 (bomb).
        """
        plain: dict[str, list[int]] = {}
        for output, names in enumerate(self.members):
            if len(names) == 1 and "*" not in names[0]:
                plain.setdefault(_clean(names[0]), []).append(output)
        try:
            index = self._pass(io, plain)
            written = {output for name, outputs in plain.items() if _is_file(index, name) for output in outputs}
            rest: dict[str, list[int]] = {}
            for output, names in enumerate(self.members):
                if output not in written:
                    rest.setdefault(self._locate(names, index), []).append(output)
            if rest:
                self._pass(io, rest)
        except ArchiveFault as fault:
            raise _failure(self.archive, fault) from fault

    def _pass(self, io: ActionIO, wanted: dict[str, list[int]]) -> dict[str, _Found]:
        """Read the archive, write each member in `wanted` that is a file to its outputs, and return what there is."""
        index: dict[str, _Found] = {}
        with io.open(self.archive) as stream:
            for member in read_members(stream, self.format):
                index[member.name] = _Found(member.kind, member.target)
                if member.kind == FILE and member.name in wanted:
                    _write(io, member, wanted[member.name])
        return index

    def _locate(self, names: tuple[str, ...], index: dict[str, _Found]) -> str:
        """Return the name of the file that the first of `names` to match stands for."""
        links = {path: found.target for path, found in index.items() if found.kind == SYMLINK}
        for name in map(_clean, names):
            matches = [found for found in index if _matches(name, found)] if "*" in name else [name]
            files = [(found, real) for found in matches if (real := _follow(found, index, links))]
            if len(files) > 1:
                listed = ", ".join(f"'{found}'" for found, _ in files[:_SHOWN])
                raise ActionFailed(
                    "B703",
                    f"'{name}' matches {len(files)} members of '{self.archive.name}': {listed}",
                    hint="name the one that is meant",
                )
            if files:
                return files[0][1]
        raise self._missing(names, index)

    def _missing(self, names: tuple[str, ...], index: dict[str, _Found]) -> ActionFailed:
        wanted = " or ".join(f"'{name}'" for name in names)
        files = sorted(name for name, found in index.items() if found.kind != DIRECTORY)
        near = _nearest(_clean(names[0]), files)
        listed = ", ".join(f"'{name}'" for name in near)
        hint = f"nearest of its {len(files)} files: {listed}" if near else "it holds no files"
        if any(_clean(name) in index for name in names):
            hint = f"there is such a member, but it is no file and leads to none; {hint}"
        return ActionFailed("B703", f"'{self.archive.name}' has no file {wanted}", hint=hint)


@dataclass(frozen=True, slots=True)
class ExtractTree(BaseOperation):
    """Unpack all of `archive` below `strip_prefix` to one tree; permission bits are kept, set-id bits are not."""

    MNEMONIC: ClassVar[str] = "ExtractTree"
    VERSION: ClassVar[int] = 1

    archive: Artifact
    strip_prefix: str = ""
    format: str = "auto"

    def execute(self, io: ActionIO) -> None:
        """Write the tree as output 0. Raises `ActionFailed` as `Extract` does; B703 for an empty prefix."""
        prefix = _clean(self.strip_prefix)
        entries: dict[str, Entry] = {}
        tops: set[str] = set()
        try:
            with io.open(self.archive) as stream:
                for member in read_members(stream, self.format):
                    tops.add(member.name.partition("/")[0])
                    entries[member.name] = _entry(io, member, entries)
            tree = _tree(entries, prefix)
        except ArchiveFault as fault:
            raise _failure(self.archive, fault) from fault
        if prefix and not tree.entries:
            near = ", ".join(f"'{name}'" for name in _nearest(prefix, sorted(tops)))
            raise ActionFailed(
                "B703", f"'{self.archive.name}' has nothing below '{prefix}'", hint=f"at its top it has {near}"
            )
        io.write_tree(tree, 0)


def _entry(io: ActionIO, member: Member, entries: dict[str, Entry]) -> Entry:
    if member.kind == FILE:
        with io.create_blob() as blob:
            copy(member.reader, blob)
        return Entry(member.name, FILE, member.mode & 0o777, blob.digest, blob.size)
    if member.kind == HARDLINK:
        return entries[member.target]._replace(path=member.name)
    if member.kind == SYMLINK:
        return Entry(member.name, SYMLINK, target=member.target)
    return Entry(member.name, DIRECTORY, member.mode & 0o777 | 0o700)


def _tree(entries: dict[str, Entry], prefix: str) -> Tree:
    """Make the tree below `prefix`; no link in it may lead out of it, not even by way of other links."""
    start = len(prefix) + 1 if prefix else 0
    below = [
        entry._replace(path=entry.path[start:])
        for entry in entries.values()
        if not prefix or entry.path.startswith(prefix + "/")
    ]
    links = {entry.path: entry.target for entry in below if entry.kind == SYMLINK}
    for path in links:
        try:
            resolve(path, links)
        except LinkFault as fault:
            raise ArchiveFault("hostile", str(fault), path) from fault
    try:
        return Tree.of(below)
    except PathFault as fault:
        raise ArchiveFault("hostile", str(fault)) from fault


def _write(io: ActionIO, member: Member, outputs: list[int]) -> None:
    with ExitStack() as stack:
        executable = bool(member.mode & 0o111)
        sinks = [stack.enter_context(io.create(output, executable=executable)) for output in outputs]
        while data := member.reader.read(CHUNK):
            for sink in sinks:
                sink.write(data)


def _follow(name: str, index: dict[str, _Found], links: dict[str, str]) -> str:
    """Return the file that `name` is or leads to through links, or the empty string."""
    try:
        name = resolve(name, links)
    except LinkFault:
        return ""
    while (found := index.get(name)) and found.kind == HARDLINK:
        name = found.target
    return name if _is_file(index, name) else ""


def _is_file(index: dict[str, _Found], name: str) -> bool:
    found = index.get(name)
    return found is not None and found.kind == FILE


def _matches(pattern: str, name: str) -> bool:
    head, _, tail = pattern.partition("*")
    middle = name[len(head) : len(name) - len(tail)]
    long_enough = len(name) >= len(head) + len(tail)
    return long_enough and name.startswith(head) and name.endswith(tail) and "/" not in middle


def _clean(name: str) -> str:
    return "/".join(segment for segment in name.split("/") if segment not in {"", "."})


def _nearest(name: str, names: list[str]) -> list[str]:
    """Return the names most like `name`: those with its last segment first, then the closest by spelling."""
    from difflib import get_close_matches

    last = name.rpartition("/")[2].lower()
    same = [found for found in names if found.rpartition("/")[2].lower() == last]
    lowered = {found.lower(): found for found in names}
    close = [lowered[found] for found in get_close_matches(name.lower(), lowered, n=_SHOWN, cutoff=0.3)]
    return list(dict.fromkeys(same + close + names))[:_SHOWN]


def _failure(archive: Artifact, fault: ArchiveFault) -> ActionFailed:
    return ActionFailed(_CODES[fault.kind], f"cannot unpack '{archive.name}': {fault}", hint=_HINTS[fault.kind])
