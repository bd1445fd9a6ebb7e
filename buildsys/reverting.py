"""Going back to what was before the last edit: the earlier outputs are still there, and a rename puts them in place.

When the files that changed have the content again that they had before the last build, and nothing else has changed,
then its outputs are the earlier ones, which are kept (`execution.previous`). They and those that stand now change
places, and no more is loaded than for a null build. What `stat` says of both afterwards is left in a file for the next
build that opens the workspace's memory.
"""

from __future__ import annotations

import fcntl
import marshal
import os
from typing import TYPE_CHECKING, NamedTuple

from buildsys import snapshot

if TYPE_CHECKING:
    from buildsys.snapshot import Kept, Numbers, Seen, Snapshot

LOCK = "lock"
SWAPPED = "swapped"
OUTPUTS = "bin"


class Swapped(NamedTuple):
    """What changed places: the output at `path`, relative to the outputs, and the earlier one."""

    path: str
    output: Numbers
    digest: str
    kept: Numbers
    kept_digest: str


def revert(found: Snapshot) -> bool:
    """Put the outputs of the state before the last edit in place; False, and nothing changed, where that is not it."""
    if found.past is None:
        return False
    sources, outputs, values = found.past
    if sources != {number: entry[6] for number, entry in found.changed.items()}:
        return False
    base = os.path.dirname(os.path.dirname(found.file))
    try:
        descriptor = os.open(os.path.join(base, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not all(_are_as_they_were(found, base, kept) for kept in outputs):
            return False
        swapped = [_swap(base, kept) for kept in outputs]
    except OSError:
        return False
    finally:
        os.close(descriptor)
    entries: dict[int, Seen] = found.moved | found.changed
    for fact in swapped:
        target = os.path.join(base, OUTPUTS, fact.path)
        entries.update(dict.fromkeys(found.places(target), (target, *fact.output, "")))
    back = (
        {number: found.digest(number) for number in sources},
        [
            (path, file, there, digest, fact.kept)
            for (path, file, digest, there, _), fact in zip(outputs, swapped, strict=True)
        ],
        {number: found.values[number] for number in values},
    )
    snapshot.save_edits(found, entries, values, back)
    return True


def taken(base: str) -> list[Swapped]:
    """Return what has changed places since the workspace's memory was last open; it is told once."""
    path = os.path.join(base, SWAPPED)
    try:
        found = _read(path)
        os.unlink(path)
    except FileNotFoundError:
        return []
    return [Swapped(*fact) for fact in found.values()]


def _read(path: str) -> dict[str, tuple[str, Numbers, str, Numbers, str]]:
    with open(path, "rb") as stream:
        check, data = stream.read(8), stream.read()
    if check != snapshot.checksum(data):
        return {}  # the outputs will be looked at anew
    found: dict[str, tuple[str, Numbers, str, Numbers, str]] = marshal.loads(data)  # noqa: S302 - our own
    return found


def _are_as_they_were(found: Snapshot, base: str, kept: Kept) -> bool:
    """Tell whether an output and the earlier one are what they were, and neither has a second name."""
    path, file, _, _, numbers = kept
    target = os.path.join(base, OUTPUTS, path)
    places = found.places(target)
    now, then = os.lstat(target), os.lstat(file)
    return (
        bool(places)
        and all(list(snapshot.numbers_of(now)) == found.numbers_at(place) for place in places)
        and snapshot.numbers_of(then) == numbers
        and now.st_nlink == then.st_nlink == 1
    )


def _swap(base: str, kept: Kept) -> Swapped:
    """Let an output and the earlier one change places; a whole file is at its path at any time. Raises `OSError`."""
    path, file, digest, kept_digest, _ = kept
    target = os.path.join(base, OUTPUTS, path)
    held = f"{file}.swap"
    if os.path.lexists(held):
        os.unlink(held)  # a swap was killed half-way; we have the lock
    os.link(target, held, follow_symlinks=False)
    try:
        os.replace(file, target)
    except OSError:
        os.unlink(held)
        raise
    os.replace(held, file)
    fact = Swapped(
        path, snapshot.numbers_of(os.lstat(target)), kept_digest, snapshot.numbers_of(os.lstat(file)), digest
    )
    _tell(os.path.join(base, SWAPPED), fact)
    return fact


def _tell(path: str, fact: Swapped) -> None:
    """Leave word of a swap to whoever opens the workspace's memory next."""
    try:
        facts = _read(path)
    except FileNotFoundError:
        facts = {}
    facts[fact.path] = (*fact,)
    data = marshal.dumps(facts)
    snapshot.replace(path, [snapshot.checksum(data), data])
