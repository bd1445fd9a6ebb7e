"""The null build: prove with `stat` alone that nothing changed, and answer without loading anything.

Imports only `binascii`, `marshal`, `os`, `sys` and `time`. A snapshot may say "stale" wrongly, never "current" wrongly:
it holds the request (arguments, working directory, environment), and for every file and folder that the build looked at
(the workspace's, the rc files, the program's own) and every output it made, what `stat` said *before* it was read.
Whatever differs or is missing is stale. Only where the digest of a file is known, too, its content is asked before: a
file that was touched, or restored, has not changed. A file that changed so shortly before the build that its times may
not tell (git's "racy" rule) is always asked; without a digest it keeps the snapshot from being written (see
`recording.py`).

Where nothing but the content of such files differs, the snapshot tells which: the build can go on from its plan.

On disk, one file a request: a checksum; the lengths of the next two parts; the request with the names, folder by
folder; five numbers an entry; then the digests, with a checksum of their own, read only when a file differs. Beside it
stand the edits: entries that have changed since, so that a small change writes little.
"""

from __future__ import annotations

import marshal
import os
import sys
import time
from binascii import crc32

from buildsys.boot import boot

FORMAT = 4
FOLDER = "snapshots"
OUTPUT_BASE = "buildsys-out"
OUTPUT_LINK = "buildsys-bin"
PARSED = "packages"
"""The folder below the output base for what was parsed (`loading.parsed`)."""
ENVIRONMENT = ("BUILDSYS_CACHE", "BUILDSYSRC", "HOME", "NO_COLOR")

FINE_NS = 50_000_000
"""How long before being looked at a file must have changed last, on a file system with fine times."""
COARSE_NS = 2_100_000_000
"""The same where times count whole milliseconds or seconds."""

SAME = -2
"""In place of a size: that the file is still the same file is enough, whatever is in it."""

UNSURE = -3
"""In place of a size: the times of this file may not tell whether it has changed; its digest does."""

TWO_PROCESSES = 4_000
"""From this many entries on, half of them are looked at by a second process."""

KIND, FOLDER_KIND = 0o170000, 0o040000
"""Of a mode: the bits that tell the kind, and those of a folder."""

WIDTH = 5
"""Numbers an entry: size, mtime_ns, ctime_ns, inode, mode."""

Seen = tuple[str, int, int, int, int, int, str]
"""Path, size, mtime_ns, ctime_ns, inode, mode, and the SHA-256 of the content where it is known.

The content of a folder is what `listed` returns.

A path that must not exist has -1 for all numbers.
"""

Numbers = tuple[int, int, int, int, int]
Group = tuple[str, str, int]
"""A folder (empty, or with its slash), the names in it joined by NUL, and how many."""

Values = dict[int, tuple[str, int, int]]
"""Values of artifacts by their number in the plan: digest, size, flags."""

Kept = tuple[str, str, str, str, Numbers]
"""An earlier output: its path relative to the outputs, the path it is at now, the digest of what is there instead, its
own, and what `stat` says of it."""
Past = tuple[dict[int, str], list[Kept], Values]
"""Of an earlier state: the digests of the entries that differ, the outputs that differ, and the values."""

Answer = tuple[str, str, str, str]
"""Elapsed seconds, the critical path in seconds, the line about processes, and that about actions."""
NOTHING_RAN = ("0.00", "0 processes.", "0 total actions")
PLACES = ("\0elapsed", "\0critical", "\0processes", "\0actions")
"""What stands in a message for the parts of an `Answer`."""


class Snapshot:
    """A snapshot that was read, and what an examination found: `changed` files, and those `moved` but the same."""

    __slots__ = (
        "began_ns",
        "changed",
        "check",
        "digests_at",
        "edited",
        "file",
        "groups",
        "message",
        "moved",
        "numbers",
        "past",
        "values",
    )

    def __init__(self, file: str, check: bytes, groups: list[Group], numbers: memoryview, message: str) -> None:
        self.file = file
        self.check = check
        self.groups = groups
        self.numbers = numbers
        self.message = message
        self.digests_at = 0
        self.edited: dict[int, tuple[Numbers, str]] = {}
        """Entries that are other than the file says, with their digests."""
        self.values: Values = {}
        """What the plan of this request (`execution.plan`) needs to know of them."""
        self.past: Past | None = None
        """How to go back to what was before the last edit (see `reverting.py`)."""
        self.changed: dict[int, Seen] = {}
        self.moved: dict[int, Seen] = {}
        self.began_ns = 0

    def path(self, number: int) -> str:
        """Return the path of an entry."""
        for folder, names, count in self.groups:
            if number < count:
                return folder + names.split("\0")[number]
            number -= count
        raise IndexError(number)

    def places(self, path: str) -> list[int]:
        """Return the numbers of the entries of a path."""
        head, slash, tail = path.rpartition("/")
        start, found = 0, []
        for folder, names, count in self.groups:
            if folder == head + slash:
                found += [start + at for at, name in enumerate(names.split("\0")) if name == tail]
            start += count
        return found

    def digest(self, number: int) -> str:
        """Return the digest of an entry, empty where there is none. Raises `ValueError` for a damaged file."""
        if number in self.edited:
            return self.edited[number][1]
        with open(self.file, "rb") as stream:
            stream.seek(self.digests_at + 32 * (number // PAGE) * (PAGE + 1))
            check, page = stream.read(32), stream.read(32 * PAGE)
        if check[:8] != checksum(page):
            raise ValueError("damaged")
        found = page[32 * (number % PAGE) :][:32]
        return found.hex() if any(found) else ""

    def numbers_at(self, number: int) -> list[int]:
        """Return the numbers of an entry."""
        return self.numbers[number * WIDTH : (number + 1) * WIDTH].tolist()

    def answer(self, elapsed: str, critical: str, processes: str, actions: str) -> str:
        """Return what the build says."""
        text = self.message
        for place, part in zip(PLACES, (elapsed, critical, processes, actions), strict=True):
            text = text.replace(place, part)
        return text


PAGE = 1024
"""Digests that are checked together."""


def examine(argv: list[str]) -> Snapshot | None:
    """Return the snapshot of this request unless more has changed since than the content of known files."""
    try:
        found = _read(argv)
        if found is None:
            return None
        found.began_ns = now_ns()
        for number, now in _differing(found.groups, found.numbers):
            digest = found.digest(number)
            if not now or not digest or now[4] != found.numbers[number * WIDTH + 4]:
                return None
            path = found.path(number)
            entry = (path, *now, digest)
            content = _content(path)
            if content == digest:
                found.moved[number] = entry
            elif now[4] & KIND == FOLDER_KIND:
                return None
            else:
                found.changed[number] = (path, *now, content)
    except (OSError, ValueError, EOFError, TypeError, IndexError):
        return None
    if found.moved and not found.changed:
        save_edits(found, found.moved, {}, found.past)
    return found


def _read(argv: list[str]) -> Snapshot | None:
    here = os.getcwd()
    file = file_of(base_of(argv, here), argv, here)
    with open(file, "rb") as stream:
        check = stream.read(8)
        lengths = memoryview(stream.read(16)).cast("q")
        if not 0 <= sum(lengths) <= os.fstat(stream.fileno()).st_size:
            return None
        data = stream.read(lengths[0] + lengths[1])
    if check != checksum(lengths.tobytes() + data):
        return None
    version, request, groups, message = marshal.loads(data)  # noqa: S302 - written by this program
    if version != FORMAT or request != request_of(argv, here):
        return None
    numbers = memoryview(data)[lengths[0] :].cast("q")
    found = Snapshot(file, check, groups, numbers, message)
    found.digests_at = 24 + len(data)
    _read_edits(found)
    return found


def _read_edits(found: Snapshot) -> None:
    """Take in what has changed since the snapshot was written. Raises `ValueError` for a damaged file."""
    try:
        with open(f"{found.file}.edits", "rb") as stream:
            check, data = stream.read(8), stream.read()
    except FileNotFoundError:
        return
    if check != checksum(data):
        raise ValueError("damaged")
    base, entries, values, past = marshal.loads(data)  # noqa: S302 - written by this program
    if base != found.check:
        return
    found.edited, found.values, found.past = entries, values, past
    numbers = memoryview(bytearray(found.numbers)).cast("q")
    for number, (changed, _) in entries.items():
        for at, value in enumerate(changed):
            numbers[number * WIDTH + at] = value
    found.numbers = numbers


def save_edits(found: Snapshot, entries: dict[int, Seen], values: Values, past: Past | None) -> None:
    """Record entries that are other than the snapshot says, in addition to those recorded before."""
    edited = {n: (racy_marked(entry, found.began_ns)[1:6], entry[6]) for n, entry in entries.items()}
    data = marshal.dumps((found.check, found.edited | edited, found.values | values, past))
    replace(f"{found.file}.edits", [checksum(data), data])


def _differing(groups: list[Group], numbers: memoryview) -> list[tuple[int, Numbers | None]]:
    """Return the entries that `stat` says other things of now, and what it says."""
    half = len(numbers) // WIDTH // 2
    if 2 * half < TWO_PROCESSES or len(os.sched_getaffinity(0)) < 2:
        return _looked(groups, numbers, 0)
    from buildsys.halves import both

    cut = start = 0
    while cut < len(groups) - 1 and start < half:
        start += groups[cut][2]
        cut += 1
    return both(lambda: _looked(groups[:cut], numbers, 0), lambda: _looked(groups[cut:], numbers, start))


def _looked(groups: list[Group], numbers: memoryview, number: int) -> list[tuple[int, Numbers | None]]:
    """Look at the entries of some groups, the first of which is entry `number`."""
    stat = os.stat
    found: list[tuple[int, Numbers | None]] = []
    at = number * WIDTH
    for folder, names, count in groups:
        if not count:
            continue
        for name in names.split("\0"):
            try:
                now = stat(folder + name)
            except OSError:
                if numbers[at] != -1:
                    found.append((at // WIDTH, None))
            else:
                if (
                    now.st_mtime_ns != numbers[at + 1]
                    or now.st_ctime_ns != numbers[at + 2]
                    or now.st_size != numbers[at]
                    or now.st_ino != numbers[at + 3]
                    or now.st_mode != numbers[at + 4]
                ) and not (numbers[at] == SAME and now.st_ino == numbers[at + 3]):
                    found.append((at // WIDTH, numbers_of(now)))
            at += WIDTH
    return found


def look(path: str) -> Seen:
    """Return what `stat` says of a path now."""
    try:
        found = os.stat(path)
    except OSError:
        return (path, -1, -1, -1, -1, -1, "")
    return (path, *numbers_of(found), "")


def look_identity(path: str) -> Seen:
    """Return what tells whether a path is still the same file, though its content may change."""
    found = look(path)
    return (path, SAME, 0, 0, found[4], 0, "") if found[1] != -1 else found


def numbers_of(found: os.stat_result) -> Numbers:
    """Return what an entry holds of a file."""
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_mode)


def is_racy(entry: Seen, began_ns: int) -> bool:
    """Tell whether a file changed too shortly before it was looked at for its times to tell of a change after it."""
    margin = COARSE_NS if entry[3] % 1_000_000 == 0 else FINE_NS
    return entry[1] >= 0 and entry[3] + margin > began_ns


def racy_marked(entry: Seen, began_ns: int) -> Seen:
    """Return an entry as it is recorded: one that is racy so that its content is asked."""
    return (entry[0], UNSURE, *entry[2:]) if entry[6] and is_racy(entry, began_ns) else entry


def _content(path: str) -> str:
    """Return the digest of a file or folder. Raises `OSError`."""
    import hashlib

    if os.path.isdir(path):
        return hashlib.sha256(listed(scan(path))).hexdigest()
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def scan(folder: str) -> list[tuple[str, str, str]]:
    """Return the names in a folder, in their order, each with its kind and with what it leads to if it is a link.

    The kind is `d` for a folder, `f` for a file (both also at the end of a link), else empty. Raises `OSError`.
    """
    with os.scandir(folder) as entries:
        return sorted((entry.name, _kind(entry), _target(entry)) for entry in entries)


def listed(found: list[tuple[str, str, str]]) -> bytes:
    """Return what `scan` found as bytes: the content of a folder, whose digest an entry has."""
    return "".join(["\0".join((*item, "\0")) for item in found]).encode("utf-8", "surrogateescape")


def _kind(entry: os.DirEntry[str]) -> str:
    try:
        return "d" if entry.is_dir() else "f" if entry.is_file() else ""
    except OSError:  # a link that cannot be followed, such as one to itself
        return ""


def _target(entry: os.DirEntry[str]) -> str:
    return os.readlink(entry.path) if entry.is_symlink() else ""


def now_ns() -> int:
    """Return the time to compare with: to be taken before the first input is looked at."""
    return time.time_ns()


def replace(target: str, parts: list[bytes]) -> bool:
    """Put a file in place as a whole; False where that is not possible: the next build will have to look for itself."""
    part = f"{target}.{os.getpid()}"
    try:
        with open(part, "wb") as stream:
            stream.writelines(parts)
        os.replace(part, target)
    except OSError:
        if os.path.lexists(part):
            os.unlink(part)  # it takes room on a disk that may have none
        return False
    return True


def request_of(argv: list[str], here: str) -> tuple[tuple[str, ...], str, tuple[str, ...], str, str, str, bool, str]:
    """Return all that makes a request another one; after a loss of power `stat` does not tell what was lost."""
    environment = tuple(os.environ.get(name, "") for name in ENVIRONMENT)
    return (tuple(argv), here, environment, sys.version, sys.prefix, __file__, sys.stderr.isatty(), boot())


def checksum(data: bytes) -> bytes:
    """Return a checksum that differs for every flipped bit."""
    return crc32(data).to_bytes(8, "little")


def base_of(argv: list[str], here: str) -> str:
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


def file_of(base: str, argv: list[str], here: str) -> str:
    """Return the path of the snapshot of a request; requests that share one by accident are told apart inside."""
    value = 0xCBF29CE484222325  # FNV-1a: hashlib takes longer to import than all of this takes
    for byte in "\0".join([here, *argv]).encode("utf-8", "surrogateescape"):
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return os.path.join(base, FOLDER, f"{value:016x}")
