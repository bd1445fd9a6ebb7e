"""The text of an explanation: which actions ran in a build, and for each what was not as it was before."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, NamedTuple, Protocol

from buildsys.errors import InternalError
from buildsys.model.tree import Tree
from buildsys.report.explain import INPUT, PARAMETER, Change, compare
from buildsys.store.cas import BlobMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from buildsys.model.digest import Digest
    from buildsys.store.workspace_state import RanAction

LARGEST = 256 * 1024
"""Bytes of a file beyond which no difference of contents is shown."""
LINES = 40
"""Lines of a difference that are shown of one change."""
_TREE, _EXECUTABLE = "tree:", "+x"


class Contents(Protocol):
    """Where the contents of files and trees are."""

    def size(self, digest: Digest) -> int: ...
    def read(self, digest: Digest) -> bytes: ...


class Lookup(NamedTuple):
    """What the store still knows: descriptors by key, contents by digest."""

    descriptor: Callable[[Digest], str | None]
    contents: Contents

    def content(self, digest: Digest) -> bytes | None:
        """Return the content with a digest; None when it is too large to be shown, or lost."""
        try:
            return self.contents.read(digest) if self.contents.size(digest) <= LARGEST else None
        except BlobMissing:
            return None


def explained(
    build: tuple[str, str, list[RanAction]] | None, owners: Collection[str] | None, lookup: Lookup
) -> list[str]:
    """Return lines that say why each action of a build ran; with `owners`, only those of these targets."""
    if build is None:
        return ["Nothing was built in this workspace yet."]
    request, outcome, ran = build
    chosen = [entry for entry in ran if owners is None or entry.owner in owners]
    counts = f"{len(ran)} action{'' if len(ran) == 1 else 's'} ran, {json.loads(outcome)['hits']} had a result already."
    lines = [f"The last build was: buildsys {request}", counts]
    if not ran:
        return [*lines, "Nothing ran: nothing that its outputs depend on had changed."]
    if not chosen:
        return [*lines, "None of them is needed by the targets asked about."]
    shown: set[tuple[Digest, Digest]] = set()
    for entry in chosen:
        lines += ["", *_entry(entry, lookup, shown)]
    return lines


def _entry(entry: RanAction, lookup: Lookup, shown: set[tuple[Digest, Digest]]) -> list[str]:
    if entry.reason == "new":
        return [f"{entry.name}: new", "  it was never needed here before"]
    if entry.reason == "lost":
        return [f"{entry.name}: lost", f"  its key is still sha256:{_short(entry.key)}, but its result was lost"]
    before, after = lookup.descriptor(entry.before), lookup.descriptor(entry.key)
    lines = [f"{entry.name}: changed"]
    if before is None or after is None:
        which = "the last time" if before is None else "this time"
        return [*lines, f"  what it was {which} is not in the store any more"]
    for change in compare(before, after, entry.before_inputs, entry.inputs):
        found = _input(change, lookup, shown) if change.what == INPUT else _other(change)
        lines += [f"  {line}" for line in found]
    return lines


def _other(change: Change) -> list[str]:
    """Return lines about a change of anything but an input."""
    title = f"{change.what} {change.name}".rstrip()
    before, after = change.before, change.after
    if change.what == PARAMETER and before is not None and after is not None:
        old, new = _parts(before), _parts(after)
        if len(old) > 1 or len(new) > 1:
            return [f"{title}:", *_diff(old, new)]
    return [f"{title}: {_value(before)} -> {_value(after)}"]


def _parts(value: str) -> list[str]:
    """Return the lines of a text, or the items of a list."""
    if value.startswith("["):
        try:
            items = json.loads(value)
        except ValueError:
            return value.splitlines()
        return [item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in items]
    return value.splitlines()


def _input(change: Change, lookup: Lookup, shown: set[tuple[Digest, Digest]]) -> list[str]:
    """Return lines about a change of an input; how its content has changed is told once in an explanation."""
    before, after = change.before, change.after
    line = f"input {change.name}: {_token(before)} -> {_token(after)}"
    if before is None or after is None:
        return [line]
    pair = _digest(before), _digest(after)
    if pair[0] == pair[1]:
        return [line, "  the content is the same"]
    if pair in shown:
        return [line]
    old, new = lookup.content(pair[0]), lookup.content(pair[1])
    if old is None or new is None:
        return [line]
    shown.add(pair)
    trees = before.startswith(_TREE), after.startswith(_TREE)
    if all(trees):
        return [line, *_tree_diff(old, new)]
    texts = _as_text(old), _as_text(new)
    if any(trees) or texts[0] is None or texts[1] is None:
        return [line]
    return [line, *_diff(texts[0].splitlines(), texts[1].splitlines())]


def _diff(before: list[str], after: list[str]) -> list[str]:
    """Return a unified difference, cut short where it is long."""
    lines = list(difflib.unified_diff(before, after, "before", "after", lineterm="", n=2))
    return _capped(lines or ["(they differ in line ends only)"])


def _tree_diff(before: bytes, after: bytes) -> list[str]:
    """Return which paths of a tree were added, removed or changed."""
    try:
        old = {entry.path: entry for entry in Tree.from_bytes(before).entries}
        new = {entry.path: entry for entry in Tree.from_bytes(after).entries}
    except InternalError:
        return []
    lines = []
    for path in sorted({*old, *new}):
        if path not in old:
            lines.append(f"+ {path}")
        elif path not in new:
            lines.append(f"- {path}")
        elif old[path] != new[path]:
            lines.append(f"~ {path}")
    return _capped(lines)


def _capped(lines: list[str]) -> list[str]:
    shown = [f"  {line}".rstrip() for line in lines[:LINES]]
    if len(lines) > LINES:
        shown.append(f"  ({len(lines) - LINES} more lines)")
    return shown


def _as_text(content: bytes) -> str | None:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _value(value: str | None) -> str:
    if value is None:
        return "(none)"
    return f"'{value}'" if len(value) <= 200 else f"'{value[:200]}...' ({len(value)} characters)"


def _token(token: str | None) -> str:
    if token is None:
        return "(none)"
    prefix = "tree " if token.startswith(_TREE) else ""
    suffix = " executable" if token.endswith(_EXECUTABLE) else ""
    return f"{prefix}sha256:{_short(_digest(token))}{suffix}"


def _digest(token: str) -> Digest:
    return token.removeprefix(_TREE).removesuffix(_EXECUTABLE)


def _short(digest: Digest) -> str:
    return digest[:12]
