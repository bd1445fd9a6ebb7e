"""Reading of a registry's storage tree: which images are in it, and whether one is complete for an architecture.

It is asked as a node would ask a registry that serves the tree: see `registry_tree.py` for the layout. Links are
compared by digest, so nothing is read but manifests (and, below a tag without an index, the image's config).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from buildsys.model.digest import digest_bytes, is_digest
from buildsys.model.tree import FILE
from buildsys.oci.registry_tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from buildsys.model.digest import Digest
    from buildsys.model.tree import Entry, Tree

MAX_MANIFEST = 4 << 20
"""Bytes of a manifest: what registries take at most (distribution, handlers/manifests.go)."""

_NESTED = 3
"""How many indexes may lead to an image."""


class NotStored(Exception):
    """There is no image of that name, tag or digest."""


class Incomplete(Exception):
    """An image is there, but not all that a node of the architecture will fetch; the text says what is wrong."""


class Present(NamedTuple):
    """An image that is complete: the path of the link that was found, and the digests of what it leads to."""

    link: str
    top: Digest
    manifest: Digest


class Storage:
    """The images below `folder` of a tree; `read` returns the bytes of a blob."""

    def __init__(self, tree: Tree, folder: str, read: Callable[[Digest], bytes]) -> None:
        self._home = f"{folder}/{ROOT}" if folder else ROOT
        self._read = read
        self._files: dict[str, Entry] = {}
        self._revisions: dict[str, dict[Digest, Digest]] = {}
        self._tags: dict[str, dict[str, Entry]] = {}
        self._checked: dict[tuple[str, Digest, str], Digest | str] = {}
        repositories = f"{self._home}/repositories/"
        inside = f"{folder}/" if folder else ""
        for entry in tree.entries:
            if entry.kind != FILE or not entry.path.startswith(inside):
                continue
            self._files[entry.path] = entry
            path, manifests, below = entry.path.partition("/_manifests/")
            if not manifests or not path.startswith(repositories):
                continue
            path = path[len(repositories) :]
            match below.split("/"):
                case ["revisions", "sha256", digest, "link"]:
                    self._revisions.setdefault(path, {})[link_digest(digest)] = digest
                case ["tags", tag, "current", "link"]:
                    self._tags.setdefault(path, {})[tag] = entry
                case _:
                    pass

    def names(self) -> list[str]:
        """Return every image that has a tag, as `path:tag`."""
        return [f"{path}:{tag}" for path, tags in self._tags.items() for tag in tags]

    def manifests(self) -> Iterator[Digest]:
        """Yield the digests of the manifests of all images."""
        for revisions in self._revisions.values():
            yield from revisions.values()

    def find(self, path: str, tag: str, digest: str, arch: str) -> Present:
        """Return the image that a node of `arch` gets for a name: by `digest` (`sha256:...`) if there is one.

        Raises `NotStored` and `Incomplete`.
        """
        home = f"{self._home}/repositories/{path}/_manifests"
        if digest:
            top = digest.removeprefix("sha256:")
            link = f"{home}/revisions/sha256/{top}/link"
            if not is_digest(top) or link not in self._files:
                raise NotStored
        else:
            entry = self._tags.get(path, {}).get(tag)
            if entry is None:
                raise NotStored
            link, found = entry.path, self._revisions.get(path, {}).get(entry.digest)
            if found is None:
                raise Incomplete(f"the tag {path}:{tag} leads to no manifest of this name")
            top = found
        return Present(link, top, self._complete(path, top, arch))

    def _complete(self, path: str, top: Digest, arch: str) -> Digest:
        """Return the manifest for `arch` below `top`, once for every image."""
        key = path, top, arch
        if key not in self._checked:
            try:
                self._checked[key] = self._manifest(path, top, arch, 0)
            except Incomplete as lacking:
                self._checked[key] = f"!{lacking}"
        found = self._checked[key]
        if found.startswith("!"):
            raise Incomplete(found[1:])
        return found

    def _manifest(self, path: str, digest: Digest, arch: str, depth: int) -> Digest:
        link = f"{self._home}/repositories/{path}/_manifests/revisions/sha256/{digest}/link"
        self._linked(link, digest, f"the manifest sha256:{digest[:12]}... of {path}")
        document = self._document(digest, MAX_MANIFEST)
        children = document.get("manifests")
        if isinstance(children, list):
            if depth == _NESTED:
                raise Incomplete(f"more than {_NESTED} indexes lead to an image of {path}")
            return self._child(path, children, arch, depth)
        parts = [document.get("config"), *_listed(document.get("layers"))]
        for number, part in enumerate(parts):
            blob, what = _digest_of(part), f"{'layer' if number else 'config'} of {path}"
            where = f"{self._home}/repositories/{path}/_layers/sha256/{blob}/link"
            self._linked(where, blob, f"the {what}, sha256:{blob[:12]}...,")
            size = part.get("size") if isinstance(part, dict) else None
            if self._files[self._data(blob)].size != size:
                raise Incomplete(f"the {what}, sha256:{blob[:12]}..., has not the size that its manifest states")
        if depth == 0:
            self._of_arch(path, _digest_of(parts[0]), arch)
        return digest

    def _child(self, path: str, children: list[object], arch: str, depth: int) -> Digest:
        """Return the manifest for `arch` out of an index, as containerd and docker choose it: the first that fits."""
        known = []
        for child in children:
            platform = child.get("platform") if isinstance(child, dict) else None
            if not isinstance(platform, dict):
                continue
            known.append(f"{platform.get('os')}/{platform.get('architecture')}")
            if known[-1] == f"linux/{arch}":
                return self._manifest(path, _digest_of(child), arch, depth + 1)
        raise Incomplete(
            f"its index has no image for linux/{arch}, but for {', '.join(dict.fromkeys(known)) or 'none'}"
        )

    def _of_arch(self, path: str, config: Digest, arch: str) -> None:
        """Check the architecture of an image that stands under no index: nothing else tells it."""
        built_for = self._document(config, MAX_MANIFEST).get("architecture")
        if built_for != arch:
            raise Incomplete(f"it is an image of {path} for {built_for}, without an index")

    def _linked(self, link: str, digest: Digest, what: str) -> None:
        """Check that a link is there and right, and so is the blob that it leads to."""
        entry, data = self._files.get(link), self._files.get(self._data(digest))
        if entry is None:
            raise Incomplete(f"{what} is not there: {link} is missing")
        if entry.digest != link_digest(digest):
            raise Incomplete(f"{what} cannot be found: {link} holds something else")
        if data is None:
            raise Incomplete(f"{what} is not there: {self._data(digest)} is missing")
        if data.digest != digest:
            raise Incomplete(f"{what} is not what it should be: {data.path} has the digest sha256:{data.digest}")

    def _data(self, digest: Digest) -> str:
        return f"{self._home}/blobs/sha256/{digest[:2]}/{digest}/data"

    def _document(self, digest: Digest, most: int) -> dict[str, object]:
        entry = self._files[self._data(digest)]
        if entry.size > most:
            raise Incomplete(f"{entry.path} has {entry.size} bytes, more than a registry serves as a manifest")
        try:
            found = json.loads(self._read(digest))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Incomplete(f"{entry.path} is no JSON document")
        return found


def link_digest(digest: Digest) -> Digest:
    """Return the digest of the link that leads to a blob."""
    return digest_bytes(f"sha256:{digest}".encode())


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _digest_of(part: object) -> Digest:
    """Return the digest in a descriptor; where there is none, one that no blob has."""
    digest = part.get("digest") if isinstance(part, dict) else None
    text = digest.removeprefix("sha256:") if isinstance(digest, str) else ""
    return text if is_digest(text) else "0" * 64
