"""Images in a store, as builds leave them there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.oci.image import Descriptor
from buildsys.oci.layout import layout_tree
from buildsys.push.image import Image, read_image

if TYPE_CHECKING:
    from buildsys.store.local import LocalStore
    from tests.images import Piece, Sample


def stored(store: LocalStore, sample: Sample) -> Image:
    """Put an image into a store, with its layout."""
    pieces = [*sample.blobs, *sample.manifests]
    for piece in pieces:
        store.blobs.put(piece.data)
    tree = layout_tree(_described(sample.top), sample.tag, map(_described, pieces), store.blobs.put)
    return read_image(store.blobs.put(tree.to_bytes()), store.blobs)


def _described(piece: Piece) -> Descriptor:
    return Descriptor(piece.media_type, piece.digest.removeprefix("sha256:"), len(piece.data))
