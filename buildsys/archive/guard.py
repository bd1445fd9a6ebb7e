"""What a member of an archive may be called and may link to."""

from __future__ import annotations

from buildsys.archive.fault import ArchiveFault
from buildsys.model.tree import DIRECTORY, SYMLINK, link_fault, path_fault


def normalise(name: str) -> str:
    """Return a member's name without `.` segments and empty ones; empty for the root itself.

    Raises `ArchiveFault` (hostile) for absolute names, `..` segments and control characters that no tree can hold.
    """
    if name.startswith("/"):
        raise ArchiveFault("hostile", "its name is absolute", name)
    clean = "/".join(segment for segment in name.split("/") if segment not in {"", "."})
    if clean and (reason := path_fault(clean)):
        raise ArchiveFault("hostile", f"its name is refused: {reason}", ascii(name)[1:-1])
    return clean


class Guard:
    """The names of an archive so far; says no to what cannot be unpacked to one tree below one root."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}

    def admit(self, name: str, kind: str, target: str) -> None:
        """Take in a member of normalised `name`. Raises `ArchiveFault` (hostile)."""
        if not name:
            raise ArchiveFault("hostile", "it takes the place of the root")
        have = self._kinds.get(name)
        if have is not None and not (have == kind == DIRECTORY):
            raise ArchiveFault("hostile", "it stands twice", name)
        if kind == SYMLINK:
            if "\0" in target or "\n" in target:
                raise ArchiveFault("hostile", "its link target has a control character", name)
            if reason := link_fault(name, target):
                raise ArchiveFault("hostile", reason, name)
        elif kind not in {"f", DIRECTORY} and self._kinds.get(target) not in {"f", kind}:
            raise ArchiveFault("hostile", f"it is a hard link to '{target}', which is no file before it", name)
        self._kinds[name] = kind
        parent = name.rpartition("/")[0]
        while parent:
            have = self._kinds.setdefault(parent, DIRECTORY)
            if have != DIRECTORY:
                raise ArchiveFault("hostile", f"it is below '{parent}', which is no directory", name)
            parent = parent.rpartition("/")[0]
