"""Where symbolic links lead, walked as the kernel walks them (path_resolution(7)) but over names alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_LINKS = 40
"""Links followed before a path counts as a loop, as in Linux."""


class LinkFault(ValueError):
    """A path that leaves its root or goes in circles; the text says which."""


def resolve(path: str, links: Mapping[str, str]) -> str:
    """Return the path that `path` is once every link on the way, the last one too, is followed.

    `links` has the target of each symbolic link by path. Names that are no links are taken as they are, existing or
    not. The root is the empty path. Raises `LinkFault` when a step leaves the root, or after 40 links.
    """
    todo = path.split("/")[::-1]
    done: list[str] = []
    followed = 0
    while todo:
        segment = todo.pop()
        if segment in {"", "."}:
            continue
        if segment == "..":
            if not done:
                raise LinkFault(f"'{path}' leads out of its root")
            done.pop()
            continue
        done.append(segment)
        target = links.get("/".join(done))
        if target is None:
            continue
        followed += 1
        if followed > _MOST_LINKS:
            raise LinkFault(f"'{path}' is a loop of links")
        if target.startswith("/"):
            raise LinkFault(f"'{path}' leads out of its root")
        done.pop()
        todo += target.split("/")[::-1]
    return "/".join(done)
