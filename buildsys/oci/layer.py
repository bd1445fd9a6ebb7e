"""A layer as its image knows it, and as one action tells it another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from buildsys.oci.image import LAYER_GZIP, LAYER_ZSTD, Descriptor, canonical_json

if TYPE_CHECKING:
    from buildsys.model.digest import Digest

GZIP, ZSTD, CHUNKED = "gzip", "zstd", "zstd:chunked"

FORMATS = (GZIP, ZSTD, CHUNKED)
"""How a layer can be compressed."""


class Layer(NamedTuple):
    """A compressed layer: what points at it, and the digest of its uncompressed tar ("diff ID" in the image spec).

    One of no `entries` is left out of images.
    """

    descriptor: Descriptor
    diff_id: Digest
    entries: int

    def to_bytes(self) -> bytes:
        """Return what is stored."""
        return canonical_json(
            {"descriptor": self.descriptor.to_json(), "diff_id": self.diff_id, "entries": self.entries}
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Layer:
        """Return the layer that was stored as `data`."""
        found = json.loads(data)
        return cls(Descriptor.from_json(found["descriptor"]), found["diff_id"], found["entries"])


def compression(layer_format: str) -> str:
    """Return the compression (`archive.compressors`) of a layer of one of `FORMATS`."""
    return ZSTD if layer_format == CHUNKED else layer_format


def media_type(layer_format: str) -> str:
    """Return the media type of a layer of one of `FORMATS`."""
    return LAYER_GZIP if layer_format == GZIP else LAYER_ZSTD
