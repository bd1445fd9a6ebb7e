"""The null build: prove with `stat` alone that nothing changed, and answer without loading anything.

Imports only `marshal`, `os`, `sys` and `time`. A snapshot may say "stale" wrongly, never "current" wrongly: it holds
the request (arguments, working directory, environment), and for every file and folder that the build looked at (the
workspace's, the rc files, the program's own) and every output it made, what `stat` said *before* it was read. Whatever
differs or is missing is stale. Only where the digest of a file is known, too, its content is asked before: a file that
was touched, or restored, has not changed. A file that changed so shortly before the build that its times may not tell
(git's "racy" rule) is always asked; without a digest it keeps the snapshot from being written.
"""

from __future__ import annotations

import marshal
import os
import sys
import time

FORMAT = 3
FOLDER = "snapshots"
OUTPUT_BASE = "buildsys-out"
OUTPUT_LINK = "buildsys-bin"
ENVIRONMENT = ("BUILDSYS_CACHE", "BUILDSYSRC", "HOME", "NO_COLOR")

FINE_NS = 50_000_000
"""How long before being looked at a file must have changed last, on a file system with fine times."""
COARSE_NS = 2_100_000_000
"""The same where times count whole milliseconds or seconds."""

SAME = -2
"""In place of a size: that the file is still the same file is enough, whatever is in it."""

UNSURE = -3
"""In place of a size: the times of this file may not tell whether it has changed; its digest does."""

Seen = tuple[str, int, int, int, int, int, str]
"""Path, size, mtime_ns, ctime_ns, inode, mode, and the SHA-256 of the content where it is known.

A path that must not exist has -1 for all numbers.
"""


def current(argv: list[str]) -> str | None:
    """Return the recorded answer to this request if nothing has changed since, else None."""
    try:
        here = os.getcwd()
        base = _base(argv, here)
        with open(_file(base, argv, here), "rb") as stream:
            check, data = stream.read(8), stream.read()
        if check != _check(data):
            return None
        version, request, seen, message = marshal.loads(data)  # noqa: S302 - written by this program
        if version != FORMAT or request != _request(argv, here):
            return None
    except (OSError, ValueError, EOFError, TypeError):
        return None
    began_ns = now_ns()
    stat = os.stat
    asked: dict[int, Seen] = {}
    for number, (path, size, mtime, ctime, inode, mode, digest) in enumerate(seen):
        try:
            found = stat(path)
        except OSError:
            if size == -1:
                continue
            return None
        if (
            found.st_mtime_ns != mtime
            or found.st_ctime_ns != ctime
            or found.st_size != size
            or found.st_ino != inode
            or found.st_mode != mode
        ) and not (size == SAME and found.st_ino == inode):
            if not digest or found.st_mode != mode:
                return None
            asked[number] = (*_numbers(path, found), digest)
    if asked:
        if not all(map(_holds, asked.values())):
            return None
        _save(argv, base, [asked.get(number, entry) for number, entry in enumerate(seen)], began_ns, str(message))
    return str(message)


def look(path: str) -> Seen:
    """Return what `stat` says of a path now."""
    try:
        found = os.stat(path)
    except OSError:
        return (path, -1, -1, -1, -1, -1, "")
    return (*_numbers(path, found), "")


def look_identity(path: str) -> Seen:
    """Return what tells whether a path is still the same file, though its content may change."""
    found = look(path)
    return (path, SAME, 0, 0, found[4], 0, "") if found[1] != -1 else found


def write(argv: list[str], base: str, inputs: list[Seen], outputs: list[Seen], began_ns: int, message: str) -> bool:
    """Record the answer to a request.

    `inputs` are what was seen before each was read; `outputs` what was seen while the build still had its lock: what
    another build has put in their place since is not what this one made. Returns false (and records nothing) where an
    input without a digest changed too shortly before `began_ns`.
    """
    between = _between(base, os.getcwd())
    if any(_is_racy(entry, began_ns) and not entry[6] for entry in (*inputs, *between)):
        return False
    kept = len(inputs) + len(between)
    return _save(argv, base, [*inputs, *between, *outputs], began_ns, message, kept)


def _save(argv: list[str], base: str, seen: list[Seen], began_ns: int, message: str, inputs: int | None = None) -> bool:
    """Write a snapshot; of the first `inputs` entries those that are racy are marked so that their content is asked."""
    here = os.getcwd()
    seen = [
        (entry[0], UNSURE, *entry[2:]) if entry[6] and _is_racy(entry, began_ns) else entry for entry in seen[:inputs]
    ] + (seen[inputs:] if inputs is not None else [])
    target = _file(base, argv, here)
    part = f"{target}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        data = marshal.dumps((FORMAT, _request(argv, here), seen, message))
        with open(part, "wb") as stream:
            stream.write(_check(data) + data)
        os.replace(part, target)
    except OSError:
        return False  # the next build will have to look for itself
    return True


def _is_racy(entry: Seen, began_ns: int) -> bool:
    """Tell whether a file changed too shortly before it was looked at for its times to tell of a change after it."""
    margin = COARSE_NS if entry[3] % 1_000_000 == 0 else FINE_NS
    return entry[1] >= 0 and entry[3] + margin > began_ns


def _numbers(path: str, found: os.stat_result) -> tuple[str, int, int, int, int, int]:
    return (path, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_mode)


def _holds(entry: Seen) -> bool:
    """Tell whether a file has the content it is said to have."""
    import hashlib

    try:
        with open(entry[0], "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == entry[6]
    except OSError:
        return False


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


def now_ns() -> int:
    """Return the time that `write` compares with: to be taken before the first input is looked at."""
    return time.time_ns()


def _request(argv: list[str], here: str) -> tuple[tuple[str, ...], str, tuple[str, ...], str, str, str, bool]:
    environment = tuple(os.environ.get(name, "") for name in ENVIRONMENT)
    return (tuple(argv), here, environment, sys.version, sys.prefix, __file__, sys.stderr.isatty())


def _check(data: bytes) -> bytes:
    """Return a checksum that differs for every flipped bit: the number that `data` is, modulo a prime."""
    return hash(int.from_bytes(data, "little")).to_bytes(8, "little", signed=True)


def _base(argv: list[str], here: str) -> str:
    """Return the output base that a request means: as it says, else of the nearest folder that has one."""
    for number, word in enumerate(argv):
        if word.startswith("--output_base="):
            return os.path.abspath(word.partition("=")[2])
        if word == "--output_base" and number + 1 < len(argv):
            return os.path.abspath(argv[number + 1])
        if not word.startswith("-"):
            break
    folder = here
    while not os.path.isdir(os.path.join(folder, OUTPUT_BASE, FOLDER)):
        parent = os.path.dirname(folder)
        if parent == folder:
            break
        folder = parent
    return os.path.join(folder, OUTPUT_BASE)


def _between(base: str, here: str) -> list[Seen]:
    """Look at the workspace files that could make a folder between here and the root a workspace of its own."""
    seen: list[Seen] = []
    root = os.path.dirname(base)
    folder = here
    while folder not in (root, os.path.dirname(folder)):
        seen.append(look(os.path.join(folder, "BUILD.yaml")))
        folder = os.path.dirname(folder)
    return seen


def _file(base: str, argv: list[str], here: str) -> str:
    """Return the path of the snapshot of a request; requests that share one by accident are told apart inside."""
    value = 0xCBF29CE484222325  # FNV-1a: hashlib takes longer to import than all of this takes
    for byte in "\0".join([here, *argv]).encode("utf-8", "surrogateescape"):
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return os.path.join(base, FOLDER, f"{value:016x}")
