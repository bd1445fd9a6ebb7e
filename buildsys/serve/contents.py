"""What a registry serves: repositories with tags, manifests and blobs, gathered from trees of a build.

Taken are storage trees of registries (below any folder of a tree, such as a rootfs's `registry/`) and OCI image
layouts. Trees may share repositories; a tag that two of them lead to different images is an error.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from buildsys.errors import UserError
from buildsys.model.digest import is_digest
from buildsys.model.provider import TreeInfo
from buildsys.model.tree import FILE, Tree
from buildsys.oci import manifest as manifests
from buildsys.oci.manifest import Index, ManifestFault
from buildsys.oci.registry_tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from buildsys.model.action import Artifact, Value
    from buildsys.model.digest import Digest
    from buildsys.model.provider import ConfiguredTarget

REF_NAME = "org.opencontainers.image.ref.name"
"""The annotation that names an entry of a layout's index.json (image spec, "Pre-Defined Annotation Keys")."""

UNTAGGED = "latest"


class Repository(NamedTuple):
    """One repository: digests by tag, and the digests of its manifests and of all of its blobs."""

    tags: dict[str, Digest]
    manifests: set[Digest]
    blobs: set[Digest]


class Contents:
    """All repositories; `read` gives the bytes of a blob that is known to be small."""

    def __init__(self, read: Callable[[Digest], bytes]) -> None:
        self._read = read
        self.repositories: dict[str, Repository] = {}
        self._origins: dict[tuple[str, str], str] = {}

    def take(self, target: ConfiguredTarget, origin: str, values: Mapping[Artifact, Value]) -> None:
        """Add what a target holds, of which `values` tells what was made. Raises `UserError` B438 for none."""
        info = target.get(TreeInfo)
        tree = Tree.from_bytes(self._read(values[info.tree].digest)) if info else Tree.of([])
        if not self.add(tree, f"{target.label.package}/{target.label.name}", origin):
            hint = "name a container_images, a rootfs with a registry in it, or an oci_index"
            raise UserError("B438", f"{origin} holds no images", at=target.at, hint=hint)

    def add(self, tree: Tree, name: str, origin: str) -> bool:
        """Add what a tree holds; tell whether there was anything.

        `name` is the repository of images in a layout; `origin` says in messages where the tree comes from. Raises
        `UserError` B437 where a tag is taken by another image.
        """
        found = False
        for repository, tag, digest in self._stored(tree):
            found = True
            if tag:
                self._tag(repository, tag, digest, origin)
        if any(entry.path == "oci-layout" for entry in tree.entries):
            found = self._add_layout(tree, name, origin)
        return found

    def _repository(self, name: str) -> Repository:
        return self.repositories.setdefault(name, Repository({}, set(), set()))

    def _stored(self, tree: Tree) -> Iterator[tuple[str, str, Digest]]:
        """Take in the links of storage trees; yield each repository with its tags."""
        mark = f"{ROOT}/repositories/"
        for entry in tree.entries:
            before, there, path = entry.path.partition(mark)
            if not there or entry.kind != FILE or (before and not before.endswith("/")):
                continue
            name, kind, rest = _split(path)
            match kind, rest.split("/"):
                case "_layers", ["sha256", digest, "link"] if is_digest(digest):
                    self._repository(name).blobs.add(digest)
                    yield name, "", digest
                case "_manifests", ["revisions", "sha256", digest, "link"] if is_digest(digest):
                    self._repository(name).manifests.add(digest)
                    yield name, "", digest
                case "_manifests", ["tags", tag, "current", "link"]:
                    yield name, tag, self._read(entry.digest).decode().strip().removeprefix("sha256:")
                case _:
                    pass

    def _add_layout(self, tree: Tree, name: str, origin: str) -> bool:
        entries = {entry.path: entry for entry in tree.entries if entry.kind == FILE}
        if "index.json" not in entries:
            return False
        for child in json.loads(self._read(entries["index.json"].digest))["manifests"]:
            digest = str(child["digest"]).removeprefix("sha256:")
            tag = str((child.get("annotations") or {}).get(REF_NAME) or UNTAGGED).rpartition(":")[2]
            self._follow(name, digest)
            self._tag(name, tag, digest, origin)
        return True

    def _follow(self, name: str, digest: Digest) -> None:
        repository = self._repository(name)
        repository.manifests.add(digest)
        try:
            parsed = manifests.parse(self._read(digest))
        except ManifestFault:
            return
        if isinstance(parsed, Index):
            for child in parsed.children:
                self._follow(name, child.descriptor.digest)
        else:
            repository.blobs.update(blob.digest for blob in parsed.blobs)

    def _tag(self, name: str, tag: str, digest: Digest, origin: str) -> None:
        known = self._repository(name).tags.setdefault(tag, digest)
        first = self._origins.setdefault((name, tag), origin)
        if known != digest:
            raise UserError(
                "B437",
                f"{name}:{tag} is one image in {first} and another in {origin}",
                hint="serve one of them alone; trees of several architectures unite in the layout `sparse`",
            )


def _split(path: str) -> tuple[str, str, str]:
    """Split a path below `repositories/` into the repository, `_layers` or `_manifests`, and the rest."""
    for kind in ("_manifests", "_layers"):
        name, there, rest = path.partition(f"/{kind}/")
        if there:
            return name, kind, rest
    return path, "", ""
