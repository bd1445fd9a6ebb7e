"""Folders of outputs: made and removed whatever stood there before, and whatever the modes of folders in them are."""

from __future__ import annotations

import os
import stat


def make_folder(folder: str, top: str) -> None:
    """Make a folder below `top` and those above it, in place of files and links that an earlier build had there."""
    above = folder
    while above.startswith(top + os.sep):
        try:
            if not stat.S_ISDIR(os.lstat(above).st_mode):
                os.unlink(above)
        except (FileNotFoundError, NotADirectoryError):
            pass
        above = os.path.dirname(above)
    os.makedirs(folder, exist_ok=True)


def open_folder(folder: str) -> None:
    """Let the owner of a folder list it and write into it."""
    mode = stat.S_IMODE(os.lstat(folder).st_mode)
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(folder, mode | stat.S_IRWXU)


def remove_folder(folder: str) -> None:
    """Remove a folder with all that is in it, whatever the modes of the folders in it are."""
    open_folder(folder)
    for inside, folders, _ in os.walk(folder):
        for name in folders:
            if not os.path.islink(os.path.join(inside, name)):
                open_folder(os.path.join(inside, name))
    import shutil  # with three libraries of compression

    shutil.rmtree(folder)


def remove_file(path: str) -> None:
    """Remove a file that may be gone already."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
