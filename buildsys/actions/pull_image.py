"""PullImage: one image of one architecture, by digest, as its part of the storage tree of the cluster's registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from buildsys.actions.pulling import Puller, Source
from buildsys.actions.select_images import NO_TAG
from buildsys.errors import Location
from buildsys.model.action import ActionIO, Artifact, BaseOperation, exempt
from buildsys.model.tree import Tree
from buildsys.oci.registry_tree import StoredImage, registry_tree


@dataclass(frozen=True, slots=True, kw_only=True)
class PullImage(BaseOperation):
    """The image with the manifests `children` (one for each architecture wanted), reached from `index` if it has one.

    `wanted` has a line for each tag under which it is to be stored; without lines nothing is fetched, and the tree is
    empty. A tag leads to the index, or to the first child where there is none. Fails as `pulling.Puller`.
    """

    MNEMONIC: ClassVar[str] = "PullImage"
    VERSION: ClassVar[int] = 1
    POOL: ClassVar[str] = "network"

    wanted: Artifact
    repository: str
    index: str
    children: tuple[str, ...]
    host: str = exempt("where an image comes from does not change its digest")
    image: str = exempt("the name of the image, for messages", default="")
    at: Location | None = exempt("where it is asked for, for messages", default=None)

    def execute(self, io: ActionIO) -> None:
        """Fetch what is not in the store, and write the tree."""
        tags = io.read(self.wanted).decode().split()
        stored = self._stored(io, tags) if tags else []
        io.write_tree(registry_tree(stored, io.put_blob) if stored else Tree.of([]))

    def _stored(self, io: ActionIO, tags: list[str]) -> list[StoredImage]:
        puller = Puller(io, Source(self.host, self.repository, self.image or self.repository, self.at))
        found = [puller.image(self.index or child, child) for child in self.children]
        chain = {one.digest: one for image in found for one in image.chain}
        blobs = {one.digest: one for image in found for one in image.manifest.blobs}
        return [
            StoredImage(
                self.repository,
                "" if tag == NO_TAG else tag,
                found[0].top,
                tuple(chain.values()),
                tuple(blobs.values()),
                self.image,
            )
            for tag in tags
        ]
