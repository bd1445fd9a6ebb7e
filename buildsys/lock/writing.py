"""Writing the lock file: new pins take the place of older ones for the same thing, everything else stays as it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from buildsys.errors import EnvironmentFault
from buildsys.kubernetes import pins as pins_module

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildsys.kubernetes.pins import Pin, Pins

HEADER = (
    "# buildsys.lock: what external files and images must be, one pin a line, sorted; written by `buildsys lock`.\n"
)
"""What a new lock file begins with."""


def amended(before: Pins, header: str, new: Iterable[Pin]) -> str:
    """Return the text of the lock file with `new` pins in it.

    An image that was replaced keeps nothing of what it was; one whose index is the same keeps its other architectures.
    """
    found = {(pin.kind, pin.name, pin.version, pin.arch): pin for pin in before.all()}
    added = list(new)
    images = {pin[:3] for pin in added if pin.kind == "image"}
    same = {pin[:3] for pin in added if (old := found.get((*pin[:3], pins_module.INDEX))) and old[3:5] == pin[3:5]}
    for key in [key for key in found if key[:3] in images - same]:
        del found[key]
    found.update(((pin.kind, pin.name, pin.version, pin.arch), pin) for pin in added)
    return pins_module.render(found.values(), header or HEADER)


def rewrite(path: str, before: Pins, new: Iterable[Pin]) -> bool:
    """Put pins into the lock file at `path`, of which `before` was read; tell whether that changes it.

    Raises `EnvironmentFault` B504.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            old = stream.read()
    except FileNotFoundError:
        old = ""
    pins = list(new)
    text = amended(before, pins_module.header(old), pins)
    if not pins or text == old:
        return False
    _replace(path, text)
    return True


def _replace(path: str, text: str) -> None:
    part = f"{path}.{os.getpid()}"
    try:
        with open(part, "w", encoding="utf-8") as stream:
            stream.write(text)
        if os.path.exists(path):
            os.chmod(part, os.stat(path).st_mode & 0o777)
        os.replace(part, path)
    except OSError as error:
        if os.path.exists(part):
            os.unlink(part)
        message = f"cannot write {path}: {error.strerror}"
        raise EnvironmentFault("B504", message, hint="check the permissions of the file and its folder") from error
