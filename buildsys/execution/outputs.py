"""The output folder: files and trees where users look for them, and whether they are still as they were written.

A file is written to a temporary folder on the same file system and renamed, so that what is there is always whole.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from contextlib import contextmanager, nullcontext
from itertools import chain, count
from typing import TYPE_CHECKING

from buildsys.archive.streams import copy
from buildsys.execution import assembly
from buildsys.execution.folders import make_folder, open_folder, remove_file, remove_folder
from buildsys.execution.hashing import HashingWriter
from buildsys.execution.parts import Target, write_parts
from buildsys.execution.previous import Previous, fingerprint
from buildsys.execution.small_files import OTHER, SmallFiles
from buildsys.model.tree import DIRECTORY, FILE, SYMLINK, Entry, Tree
from buildsys.snapshot import look
from buildsys.store.cas import BlobMissing
from buildsys.store.fault import store_fault
from buildsys.store.rubbish import owner, remove_rubbish
from buildsys.store.workspace_state import FileState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from buildsys.execution.recipes import Recipes
    from buildsys.model.action import Segment, Value
    from buildsys.model.digest import Digest
    from buildsys.reverting import Swapped
    from buildsys.snapshot import Numbers, Seen
    from buildsys.store.cas import BlobStore
    from buildsys.store.workspace_state import WorkspaceState

ROOT_MODE = 0o755
"""The mode of a tree's own folder, which the tree does not state."""


class Outputs:
    """Files below one folder; `written` collects the paths of the outputs asked for, but for those that are `small`.

    `work` counts the bytes of each kind of work that assembling took (see `assembly.Made`).
    """

    def __init__(self, base: str, blobs: BlobStore, state: WorkspaceState) -> None:
        self.folder = os.path.join(base, "bin")
        self._tmp = os.path.join(base, "tmp")
        self._serial = count()
        remove_rubbish(base)
        self.written: list[str] = []
        self.work: Counter[str] = Counter()
        self._blobs = blobs
        self._state = state
        self._previous = Previous(base, state)
        self.small = SmallFiles(self.folder, self._tmp, state)

    def seen(self) -> Iterator[Seen]:
        """Return what `stat` says of the outputs asked for; of small files what it said when they were put there."""
        return chain(self.small.seen(), [look(path) for path in self.written])

    def is_current(self, path: str, value: Value) -> bool:
        """Tell whether the file at `path` (relative) is the one that was written for `value`."""
        return not value.tree and self._holds(path, value.digest, _mode(value.executable))

    def is_kept(self, path: str, value: Value) -> bool:
        """Tell whether the file that stood at `path` before was written for `value`, so that `restore` has it."""
        kept = self._previous.find(path)
        return not value.tree and kept is not None and kept.digest == value.digest

    def kept(self, path: str) -> tuple[str, FileState] | None:
        """Return where the file that stood at `path` before is kept, and its state."""
        found = self._previous.find(path)
        return (self._previous.file(path), found) if found else None

    def learn(self, facts: Iterable[Swapped]) -> None:
        """Take in which outputs and earlier ones have changed places since the workspace's memory was open."""
        for fact in facts:
            self._state.remember_file(self._key(fact.path), _state(fact.output, fact.digest))
            self._previous.learn(fact.path, _state(fact.kept, fact.kept_digest))

    def restore(self, path: str, value: Value) -> bool:
        """Put the file that stood at `path` before back, if it was written for `value`; tell whether it was."""
        if not self.is_kept(path, value):
            return False
        with self._replacing(path) as part:
            if not self._previous.take(path, part):
                return False
            self._place(part, path, value.digest, _mode(value.executable), keep=True)
        return True

    def holds(self, path: str, value: Value) -> bool:
        """Tell whether `write` would leave everything as it is. Raises `BlobMissing` for a tree that is lost."""
        if not value.tree:
            return self.is_current(path, value)
        tree = Tree.from_bytes(self._blobs.read(value.digest))
        root = os.path.join(self.folder, path)
        there = {
            os.path.relpath(os.path.join(folder, name), root)
            for folder, folders, files in os.walk(root)
            for name in (*folders, *files)
        }
        entries = [Entry(".", DIRECTORY, ROOT_MODE), *tree.entries]
        known = self._known(path, tree)
        return len(there) == len(tree.entries) and all(self._is(path, entry, known) for entry in entries)

    def write(self, path: str, value: Value) -> None:
        """Make `path` hold a value: a file, or a tree with exactly its entries. Raises `BlobMissing`."""
        if value.tree:
            self._write_tree(path, Tree.from_bytes(self._blobs.read(value.digest)))
        else:
            self._write_file(path, value.digest, _mode(value.executable))

    @contextmanager
    def create(self, path: str, check: Callable[[], None], *, executable: bool = False) -> Iterator[HashingWriter]:
        """Write a file directly; it takes its place once the context ends without an exception."""
        with self._replacing(path) as part:
            self._previous.drop(path)
            with open(part, "wb", buffering=0) as stream, HashingWriter(stream, check) as writer:
                yield writer
            self._place(part, path, writer.digest, _mode(executable), keep=True)

    def assemble(
        self,
        path: str,
        segments: tuple[Sequence[Segment], Iterable[Segment] | None],
        check: Callable[[], None],
        recipes: Recipes,
        expected: Digest = "",
        *,
        executable: bool = False,
    ) -> assembly.Made:
        """Write a file that is a sequence of segments; what it has in common with earlier ones costs little.

        The first of `segments` are known, the second, if any, are asked for one by one when it is time to write them.
        `expected` is the digest that it had when it was last made of these inputs, if it ever was. Raises as
        `assembly.assemble`.
        """
        kept, current = self._previous.find(path), self._state.file(self._key(path))
        digests = dict.fromkeys([expected, *(state.digest for state in (kept, current) if state)])
        known = {digest: recipe for digest in digests if digest and (recipe := recipes.find(digest))}
        standing = known.get(kept.digest) if kept else None
        how = assembly.start(
            segments[0],
            known.items(),
            standing if kept and standing and standing.size == kept.size else None,
            whole=segments[1] is None,
        )
        with self._replacing(path) as part:
            if how.standing and not self._previous.take(path, part, alone=True):
                how = how._replace(standing=0)
            self._previous.drop(path)
            with open(part, "r+b" if how.standing else "xb", buffering=0) as stream:
                if how.standing:  # cutting an empty file would have ext4 allocate its blocks at once when it is closed
                    stream.truncate(how.kept)
                    stream.seek(how.kept)
                made = assembly.assemble(stream, segments, how, self._blobs, check)
            self._place(part, path, made.digest, _mode(executable), keep=True)
        if made.digest not in known and made.size >= assembly.SPACING:
            recipes.keep(made.digest, made.recipe)
        self.work.update(made.work)
        return made

    def accept(self, path: str) -> None:
        """Count a file that is current among the outputs."""
        self.written.append(os.path.join(self.folder, path))

    def _write_file(self, path: str, digest: Digest, mode: int, known: Mapping[str, FileState] | None = None) -> None:
        if self._holds(path, digest, mode, known):
            self.accept(path)
            return
        for _, data in self._blobs.small([digest]):
            self.small.write(path, data, digest, mode)
            self.accept(path)
            return
        with self._blobs.open(digest) as source, self._replacing(path) as part:
            with open(part, "wb") as stream:  # buffered: it writes again what the system took only a part of
                if self._blobs.path(digest) is None and (parts := self._blobs.parts(digest)):
                    write_parts(self._blobs, digest, parts, Target(stream, stream.fileno(), lambda: None))
                else:
                    copy(source, stream)
            self._place(part, path, digest, mode)
        self.accept(path)

    def _write_tree(self, path: str, tree: Tree) -> None:
        root = os.path.join(self.folder, path)
        files = [entry for entry in tree.entries if entry.kind == FILE]
        known = self._known(path, tree)
        wanted = [e.digest for e in files if not self._holds(f"{path}/{e.path}", e.digest, e.mode, known)]
        if missing := self._blobs.missing(wanted):
            raise BlobMissing(*missing)
        try:
            make_folder(root, self.folder)
            self._remove_strangers(root, tree)
            for entry in tree.entries:
                self._write_entry(f"{path}/{entry.path}", entry, known)
            for entry in reversed(tree.entries):
                if entry.kind == DIRECTORY:
                    self._close_folder(os.path.join(root, entry.path), entry.mode)
            self._close_folder(root, ROOT_MODE)
        except OSError as error:
            raise store_fault(error, root, OTHER) from error

    def _known(self, path: str, tree: Tree) -> dict[str, FileState]:
        """Return what is remembered of the files of a tree at `path`."""
        return self.small.known([f"{path}/{entry.path}" for entry in tree.entries if entry.kind == FILE])

    def _write_entry(self, path: str, entry: Entry, known: Mapping[str, FileState]) -> None:
        target = os.path.join(self.folder, path)
        if entry.kind == DIRECTORY:
            os.makedirs(target, exist_ok=True)
        elif entry.kind == FILE:
            self._write_file(path, entry.digest, entry.mode, known)
        elif not (os.path.islink(target) and os.readlink(target) == entry.target):
            remove_file(target)
            os.symlink(entry.target, target)

    def _is(self, root: str, entry: Entry, known: Mapping[str, FileState]) -> bool:
        """Tell whether an entry of a tree stands below `root` as it should."""
        path = f"{root}/{entry.path}"
        target = os.path.join(self.folder, path)
        if entry.kind == FILE:
            return self._holds(path, entry.digest, entry.mode, known)
        try:
            found = os.lstat(target)
        except OSError:
            return False
        if entry.kind == SYMLINK:
            return stat.S_ISLNK(found.st_mode) and os.readlink(target) == entry.target
        return stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == entry.mode

    def _close_folder(self, folder: str, mode: int) -> None:
        """Give a folder its mode, now that nothing more is written into it."""
        if stat.S_IMODE(os.lstat(folder).st_mode) != mode:
            os.chmod(folder, mode)
        self.written.append(folder)

    def _remove_strangers(self, root: str, tree: Tree) -> None:
        """Remove what is below `root` and not in the tree, or is there as something else; let folders be written."""
        kinds = {entry.path: entry.kind for entry in tree.entries}
        pending = [""]
        while pending:
            prefix = pending.pop()
            open_folder(os.path.join(root, prefix))
            with os.scandir(os.path.join(root, prefix)) as found:
                items = list(found)
            for item in items:
                inside = prefix + item.name
                if item.is_dir(follow_symlinks=False):
                    if kinds.get(inside) == DIRECTORY:
                        pending.append(inside + "/")
                    else:
                        remove_folder(item.path)
                elif kinds.get(inside) != (SYMLINK if item.is_symlink() else FILE):
                    remove_file(item.path)

    def _holds(
        self, path: str, digest: Digest, mode: int | None = None, remembered: Mapping[str, FileState] | None = None
    ) -> bool:
        """Tell whether the file at `path` is one that was written with this content and, where it is given, mode."""
        known = self._state.file(self._key(path)) if remembered is None else remembered.get(path)
        if known is None or known.digest != digest:
            return False
        try:
            found = os.lstat(os.path.join(self.folder, path))
        except OSError:
            return False
        return (
            stat.S_ISREG(found.st_mode)
            and mode in {None, stat.S_IMODE(found.st_mode)}
            and fingerprint(found) == (known.size, known.mtime_ns, known.ctime_ns, known.inode)
        )

    @contextmanager
    def _replacing(self, path: str) -> Iterator[str]:
        """Give the path of a temporary file that is to take the place of the one at `path`; no part of it is left."""
        target, part = os.path.join(self.folder, path), ""
        try:
            make_folder(os.path.dirname(target), self.folder)
            os.makedirs(self._tmp, exist_ok=True)
            part = self._temporary()
            yield part
        except OSError as error:
            remove_file(part)
            raise store_fault(error, target, OTHER) from error
        except BaseException:
            remove_file(part)
            raise

    def _temporary(self) -> str:
        return os.path.join(self._tmp, f"{owner()}{next(self._serial)}")

    def _place(self, part: str, path: str, digest: Digest, mode: int, *, keep: bool = False) -> None:
        """Put a file at its path; with `keep`, what stands there is kept if it is as it was written."""
        target = os.path.join(self.folder, path)
        os.chmod(part, mode)
        if os.path.isdir(target) and not os.path.islink(target):
            remove_folder(target)
        old = self._state.file(self._key(path)) if keep else None
        is_worth = old is not None and old.digest != digest and self._holds(path, old.digest)
        with self._previous.keeping(path, target, old, self._temporary()) if old and is_worth else nullcontext():
            os.replace(part, target)
        state = FileState(*fingerprint(os.stat(target)), 0, digest)
        self._state.remember_file(self._key(path), state)

    def _key(self, path: str) -> str:
        return f"out:{path}"


def _mode(executable: bool) -> int:
    return 0o755 if executable else 0o644


def _state(numbers: Numbers, digest: Digest) -> FileState:
    size, mtime_ns, ctime_ns, inode, _ = numbers
    return FileState(size, mtime_ns, ctime_ns, inode, 0, digest)
