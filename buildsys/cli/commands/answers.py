"""info, clean, version, shutdown: what this workspace and this program are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import buildsys
from buildsys import session
from buildsys.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from buildsys.cli.request import Request
    from buildsys.loading.place import Place

INFO_KEYS = {
    "buildsys-bin": "the folder where outputs are",
    "disk_cache": "the local store",
    "execution_root": "the folder that printed paths are relative to",
    "output_base": "the folder with all that this workspace's builds leave: outputs, snapshots, their journal",
    "output_path": "the folder where outputs are",
    "release": "the version of buildsys",
    "repository_cache": "the folder where downloads are kept: the local store",
    "workspace": "the root of the workspace",
}
_SHAPING = ("jinja2", "pyyaml", "zlib", "zstd")


def info(request: Request) -> int:
    """Print what is known of the workspace: one value bare, several as `key: value`."""
    keys = request.patterns or list(INFO_KEYS)
    for key in keys:
        if key not in INFO_KEYS:
            hint = did_you_mean(key, INFO_KEYS) or f"the keys are {', '.join(INFO_KEYS)}"
            raise UsageError("B037", f"unknown key: '{key}'", hint=hint)
    found = _facts(request.place())
    if len(keys) == 1 and request.patterns:
        request.terminal.answer(found[keys[0]])
        return 0
    for key in keys:
        request.terminal.answer(f"{key}: {found[key]}")
    return 0


def _facts(place: Place) -> dict[str, str]:
    outputs = os.path.join(place.output_base, "bin")
    return {
        "buildsys-bin": outputs,
        "disk_cache": place.store,
        "execution_root": place.root,
        "output_base": place.output_base,
        "output_path": outputs,
        "release": f"release {buildsys.__version__}",
        "repository_cache": place.store,
        "workspace": place.root,
    }


def clean(request: Request) -> int:
    """Remove the outputs of this workspace; never the store."""
    if request.patterns:
        raise UsageError(
            "B038",
            f"clean takes no targets, but was given '{request.patterns[0]}'",
            hint="outputs need no cleaning to be rebuilt; `buildsys clean` removes those of all targets",
        )
    place = request.place()
    with request.alone(place):
        removed = session.clean(place, expunge=request.options.flag("expunge"))
    for path in removed:
        request.terminal.message("INFO", f"Removed {os.path.relpath(path, place.root)}")
    if not removed:
        request.terminal.message("INFO", "There was nothing to remove.")
    request.terminal.message("INFO", f"The store {place.store} was left as it is.")
    return 0


def version(request: Request) -> int:
    """Print the version of buildsys and of the libraries that shape what it makes."""
    import platform

    from buildsys.adapters.tools import tool_version

    request.terminal.answer(f"Build label: {buildsys.__version__}")
    for name in _SHAPING:
        request.terminal.answer(f"{name}: {tool_version(name)}")
    request.terminal.answer(f"python: {platform.python_version()}")
    return 0


def shutdown(request: Request) -> int:
    """Do nothing: there is no server."""
    return 0
