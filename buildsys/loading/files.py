"""Reading of the workspace's files: all that loading looks at goes through here and is recorded for the snapshot."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from buildsys.errors import EnvironmentFault, Location, UserError
from buildsys.loading.parsed import NothingParsed
from buildsys.model.digest import digest_bytes
from buildsys.model.document import node_of
from buildsys.snapshot import listed, look, scan

if TYPE_CHECKING:
    from buildsys.loading.parsed import Parsed
    from buildsys.model.digest import Digest
    from buildsys.model.document import Node, Written
    from buildsys.snapshot import Seen


class FileReader:
    """Reads documents and lists folders below the workspace's root; remembers which."""

    def __init__(self, root: str, parsed: Parsed | None = None) -> None:
        self.root = root
        self.parsed = NothingParsed() if parsed is None else parsed
        self.seen: dict[str, Seen] = {}
        """What `stat` said of every file and folder before it was read or listed, by its path relative to the root."""
        self._folders: dict[str, tuple[dict[str, None], dict[str, None]]] = {}

    def document(self, path: str) -> Node | None:
        """Read and parse the YAML file at `path`, relative to the root."""
        text = self.text(path)

        def parse() -> Written | None:
            from buildsys.adapters import yaml

            return yaml.parse(text, path)

        written = self.parsed.of(f"document {path}", self.digest(path), parse)
        return None if written is None else node_of(written, path)

    def digest(self, path: str) -> Digest:
        """Return the digest of a file that was read."""
        return self.seen[path][6]

    def text(self, path: str) -> str:
        """Read a UTF-8 file."""
        self._look(path)
        try:
            with open(os.path.join(self.root, path), "rb") as stream:
                data = stream.read()
        except OSError as error:
            message = f"cannot read {path}: {error.strerror}"
            raise EnvironmentFault("B504", message, hint="check the file's permissions") from error
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise _encoding_fault(data, path, error) from error
        self.seen[path] = (*self.seen[path][:6], digest_bytes(data))
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def listing(self, folder: str) -> tuple[dict[str, None], dict[str, None]]:
        """Return the names of the files and of the sub-folders in `folder`; links count as what they lead to.

        A link back to a folder that it is in would have no end, one to nothing leads nowhere: both count as neither.
        """
        known = self._folders.get(folder)
        if known is not None:
            return known
        self._look(folder)
        files: dict[str, None] = {}
        folders: dict[str, None] = {}
        full = os.path.join(self.root, folder)
        try:
            found = scan(full)
            self.seen[folder] = (*self.seen[folder][:6], digest_bytes(listed(found)))
            for name, kind, target in found:
                if kind == "f":
                    files[name] = None
                elif not kind:
                    self._look(f"{folder}/{name}")  # a link to nothing may come to lead somewhere
                elif not (target and self._leads_back(folder, os.path.join(full, name))):
                    folders[name] = None
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            message = f"cannot list the folder {folder}: {error.strerror}"
            raise EnvironmentFault("B504", message, hint="check the folder's permissions") from error
        self._folders[folder] = files, folders
        return files, folders

    def forget_listings(self) -> None:
        """Let go of what folders hold: they are listed again should somebody ask. What was seen is kept."""
        self._folders.clear()

    def _leads_back(self, folder: str, link: str) -> bool:
        """Tell whether a link in `folder` points to one of the folders that it was reached through."""
        target = os.path.realpath(link)
        above = os.path.normpath(folder) if folder else "."
        while True:
            if os.path.realpath(os.path.join(self.root, above)) == target:
                return True
            if above == ".":
                return False
            above = os.path.dirname(above) or "."

    def _look(self, path: str) -> None:
        if path not in self.seen:
            self.seen[path] = look(os.path.join(self.root, path))

    def is_file(self, path: str) -> bool:
        """Tell whether there is a file at `path`."""
        folder, _, name = path.rpartition("/")
        return name in self.listing(folder)[0]

    def dangling(self, path: str) -> str:
        """Return what the link at `path` points to when there is nothing; otherwise the empty string."""
        full = os.path.join(self.root, path)
        return os.readlink(full) if os.path.islink(full) and not os.path.exists(full) else ""

    def is_folder(self, path: str) -> bool:
        """Tell whether there is a folder at `path`."""
        folder, _, name = path.rpartition("/")
        return name in self.listing(folder)[1]


def _encoding_fault(data: bytes, path: str, error: UnicodeDecodeError) -> UserError:
    """Say which byte of a file is no UTF-8."""
    before = data[: error.start]
    column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
    at = Location(path, before.count(b"\n") + 1, column)
    message = f"this is not UTF-8 text: {error.reason} 0x{data[error.start]:02x}"
    return UserError("B113", message, at=at, hint="save the file as UTF-8")
