"""The lock file of a workspace: read whole once for each of its contents, and after that only where a pin stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.kubernetes import pins

if TYPE_CHECKING:
    from buildsys.loading.files import FileReader


def read_pins(files: FileReader, path: str) -> pins.Pins:
    """Return the pins of a lock file; without one there are none. Raises `BuildErrors` as `pins.parse` does."""
    if not files.is_file(path):
        return pins.Pins(path, "")
    text = files.text(path)
    name, digest = f"lock {path}", files.digest(path)
    if files.parsed.find(name, digest) is True:
        return pins.Pins(path, text)
    found = pins.parse(text, path)
    files.parsed.keep(name, digest, True)
    return found
