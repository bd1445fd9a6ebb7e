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
    for entry in chosen:
        lines += ["", *_entry(entry, lookup)]
    return lines


def _entry(entry: RanAction, lookup: Lookup) -> list[str]:
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
        lines += [f"  {line}" for line in _change(change, lookup)]
    return lines


def _change(change: Change, lookup: Lookup) -> list[str]:
    title = f"{change.what} {change.name}".rstrip()
    if change.what == INPUT:
        return _input(change, title, lookup)
    before, after = change.before, change.after
    if change.what == PARAMETER and before is not None and after is not None and ("\n" in before or "\n" in after):
        return [f"{title}:", *_diff(before, after)]
    return [f"{title}: {_value(before)} -> {_value(after)}"]


def _input(change: Change, title: str, lookup: Lookup) -> list[str]:
    before, after = change.before, change.after
    if before is None or after is None:
        return [f"{title}: {_token(before)} -> {_token(after)}"]
    line = f"{title}: {_token(before)} -> {_token(after)}"
    if _digest(before) == _digest(after):
        return [f"{line} (the same content; executable or not has changed)"]
    old, new = lookup.content(_digest(before)), lookup.content(_digest(after))
    if old is None or new is None:
        return [line]
    if before.startswith(_TREE) and after.startswith(_TREE):
        return [line, *_tree_diff(old, new)]
    texts = _as_text(old), _as_text(new)
    if texts[0] is None or texts[1] is None or before.startswith(_TREE) or after.startswith(_TREE):
        return [line]
    return [line, *_diff(texts[0], texts[1])]


def _diff(before: str, after: str) -> list[str]:
    """Return a unified difference, cut short where it is long."""
    lines = list(
        difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=2)
    ) or ["(they differ in line ends only)"]
    return _capped(lines)


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
