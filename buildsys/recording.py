"""Writing of snapshots: what a build looked at, so that the next one can tell in no time that nothing changed.

See `snapshot.py` for what a snapshot is and how it is read.
"""

from __future__ import annotations

import marshal
import os
import sys
from array import array
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING

from buildsys import snapshot
from buildsys.snapshot import PAGE, Seen, is_racy, look, racy_marked

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Folder:
    """Entries of one folder."""

    __slots__ = ("digests", "names", "numbers")

    def __init__(self) -> None:
        self.names: list[str] = []
        self.numbers = array("q")
        self.digests = bytearray()


def write(
    argv: list[str], base: str, inputs: Iterable[Seen], outputs: Iterable[Seen], began_ns: int, message: str
) -> bytes:
    """Record the answer to a request; return the checksum that names this snapshot, empty where none is written.

    `inputs` are what was seen before each was read; `outputs` what was seen while the build still had its lock: what
    another build has put in their place since is not what this one made. `message` has `snapshot.PLACES` in it. None
    is written where an input without a digest changed too shortly before `began_ns`.
    """
    here = os.getcwd()
    folders: dict[str, _Folder] = {}
    for entry in chain(inputs, _between(base, here)):
        if not entry[6] and is_racy(entry, began_ns):
            return b""
        _add(folders, racy_marked(entry, began_ns))
    for entry in outputs:
        _add(folders, entry)
    target = snapshot.file_of(base, argv, here)
    groups = [(folder, "\0".join(found.names), len(found.names)) for folder, found in folders.items()]
    head = marshal.dumps((snapshot.FORMAT, snapshot.request_of(argv, here), groups, message))
    head += bytes(-len(head) % 8)
    numbers = b"".join([found.numbers.tobytes() for found in folders.values()])
    lengths = array("q", (len(head), len(numbers))).tobytes()
    check = snapshot.checksum(lengths + head + numbers)
    digests = _paged(b"".join([found.digests for found in folders.values()]))
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _sweep(os.path.dirname(target))
    except OSError:
        return b""
    if not snapshot.replace(target, [check, lengths, head, numbers, *digests]):
        return b""
    with suppress(OSError):  # those of another snapshot are not looked at, but damaged ones would be in the way
        os.unlink(f"{target}.edits")
    return check


def _sweep(folder: str) -> None:
    """Remove what killed processes were writing: the names end with their ids. Raises `OSError`."""
    for name in os.listdir(folder):
        process = name.rpartition(".")[2]
        if process.isdigit() and "." in name and not os.path.exists(f"/proc/{process}"):
            os.unlink(os.path.join(folder, name))


def _add(folders: dict[str, _Folder], entry: Seen) -> None:
    head, slash, name = entry[0].rpartition("/")
    folder = folders.get(head + slash)
    if folder is None:
        folder = folders[head + slash] = _Folder()
    folder.names.append(name)
    folder.numbers.extend(entry[1:6])
    folder.digests += bytes.fromhex(entry[6]) if entry[6] else bytes(32)


def _paged(digests: bytes) -> Iterable[bytes]:
    """Yield the digests page by page, each after its checksum."""
    for start in range(0, len(digests), 32 * PAGE):
        page = digests[start : start + 32 * PAGE]
        yield snapshot.checksum(page).ljust(32, b"\0")
        yield page


def program() -> list[Seen]:
    """Return what `stat` says of the program's own files and of where its libraries are installed.

    Another program is another answer, and so is another version of a library that shapes bytes.
    """
    top = os.path.dirname(os.path.abspath(__file__))
    libraries = [look(path) for path in sys.path if os.path.basename(path) in {"site-packages", "dist-packages"}]
    return libraries + [
        look(os.path.join(folder, name))
        for folder, _, names in os.walk(top)
        if not folder.endswith("__pycache__")
        for name in sorted(names)
        if not name.endswith(".pyc")
    ]


def _between(base: str, here: str) -> list[Seen]:
    """Look at the workspace files that could make a folder between here and the root a workspace of its own."""
    seen: list[Seen] = []
    root = os.path.dirname(base)
    folder = here
    while folder not in (root, os.path.dirname(folder)):
        seen.append(look(os.path.join(folder, "BUILD.yaml")))
        folder = os.path.dirname(folder)
    return seen
