"""An image, or an index of several, as it is in the store: its parts, in the order in which they can be pushed."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from buildsys.errors import EnvironmentFault
from buildsys.model.tree import Tree
from buildsys.oci import manifest as manifests
from buildsys.oci.layout import top_of
from buildsys.oci.manifest import Index, Manifest
from buildsys.store.cas import BlobMissing

if TYPE_CHECKING:
    from buildsys.model.digest import Digest
    from buildsys.oci.image import Descriptor
    from buildsys.store.cas import BlobStore


class Image(NamedTuple):
    """What the one name in a layout stands for. Reading raises `EnvironmentFault` B458 for what is lost."""

    manifests: tuple[Descriptor, ...]
    """Manifests and indexes, each behind those that it names: the last one is what a tag stands for."""
    blobs: tuple[Descriptor, ...]
    """Configs and layers, each once."""
    store: BlobStore

    @property
    def top(self) -> Descriptor:
        """What a tag stands for."""
        return self.manifests[-1]

    def read(self, blob: Descriptor) -> bytes:
        """Return a manifest or config."""
        return _read(self.store, blob.digest)

    def open(self, blob: Descriptor, offset: int = 0) -> BinaryIO:
        """Open a blob to be read from an offset on."""
        return _open(self.store, blob.digest, offset)

    def children(self) -> list[tuple[str, Manifest]]:
        """Return the images, each with the architecture that its index says; an image that is in none has none."""
        top = manifests.parse(self.read(self.top))
        if isinstance(top, Manifest):
            return [("", top)]
        images = [child for child in top.children if child.is_image]
        parsed = [(child.arch, manifests.parse(self.read(child.descriptor))) for child in images]
        return [(arch, one) for arch, one in parsed if isinstance(one, Manifest)]


def read_image(layout: Digest, store: BlobStore) -> Image:
    """Return the image in a layout, whose tree has the digest `layout`."""
    tree = Tree.from_bytes(_read(store, layout))
    found: dict[Digest, Descriptor] = {}
    blobs: dict[Digest, Descriptor] = {}

    def follow(manifest: Descriptor) -> None:
        parsed = manifests.parse(_read(store, manifest.digest))
        if isinstance(parsed, Index):
            for child in parsed.children:
                follow(child.descriptor)
        else:
            blobs.update((blob.digest, blob) for blob in parsed.blobs)
        found.setdefault(manifest.digest, manifest)

    follow(top_of(tree, lambda digest: _read(store, digest)))
    return Image(tuple(found.values()), tuple(blobs.values()), store)


def _read(store: BlobStore, digest: Digest) -> bytes:
    with _open(store, digest) as stream:
        return stream.read()


def _open(store: BlobStore, digest: Digest, offset: int = 0) -> BinaryIO:
    try:
        stream = store.open(digest)
        stream.seek(offset)
    except BlobMissing as missing:
        raise lost(missing.digest) from missing
    return stream


def lost(digest: Digest) -> EnvironmentFault:
    """Return the fault of a store that has lost a blob since it was found there."""
    hint = "something removes files from the store while it is in use; run it again: what is lost is made again"
    return EnvironmentFault("B458", f"sha256:{digest} is not in the store any more", hint=hint)
