"""Manifests and indexes as a registry serves them: what they point at, and which child is meant for an architecture.

Sources: OCI image spec 1.1 (manifest.md, image-index.md); docker's image manifest version 2, schema 2. The bytes
themselves are never written anew: their digest is the name of the image.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from buildsys.model.digest import is_digest
from buildsys.oci.image import INDEX, MANIFEST, Descriptor

if TYPE_CHECKING:
    from buildsys.model.digest import Digest

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = frozenset({INDEX, DOCKER_LIST})
MANIFESTS = frozenset({MANIFEST, DOCKER_MANIFEST})

MOST_BYTES = 4 << 20
"""What a registry takes as a manifest at most (OCI distribution spec, "Pushing manifests")."""

DEEPEST = 3
"""How far indexes may be nested."""

_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"
_FOREIGN = ("foreign", "nondistributable")


class ManifestFault(ValueError):
    """Bytes that are no manifest that can be used; the text says why."""


class Child(NamedTuple):
    """An entry of an index; `os` and `arch` may be empty, `variant` is that of the processor."""

    descriptor: Descriptor
    os: str = ""
    arch: str = ""
    variant: str = ""

    @property
    def is_image(self) -> bool:
        """False for what belongs to an image without being one, such as an attestation (`unknown/unknown`)."""
        return "unknown" not in {self.os, self.arch}

    def suits(self, arch: str) -> bool:
        """Tell whether this is a Linux image for `arch`; the plain variant and arm64's v8 are the same."""
        return (self.os, self.arch) == ("linux", arch) and self.variant in ("", "v8" if arch == "arm64" else "")


class Index(NamedTuple):
    """An image index, or docker's manifest list."""

    media_type: str
    children: tuple[Child, ...]


class Manifest(NamedTuple):
    """An image manifest."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The config and the layers, each once."""
        return tuple({blob.digest: blob for blob in (self.config, *self.layers)}.values())


def parse(data: bytes) -> Index | Manifest:
    """Parse a manifest or index. Raises `ManifestFault`, also for layers that no registry may distribute."""
    if len(data) > MOST_BYTES:
        raise ManifestFault(f"it has {len(data)} bytes; a manifest has {MOST_BYTES} at most")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ManifestFault("it is not JSON") from error
    if not isinstance(document, dict):
        raise ManifestFault("it is not a JSON object")
    stated = document.get("mediaType", "")
    if document.get("schemaVersion") == 1 or str(stated).startswith(_SCHEMA_1):
        raise ManifestFault("it is a schema 1 manifest, which has no digests of layers that could be trusted")
    if document.get("schemaVersion") != 2:
        raise ManifestFault("its schemaVersion is not 2")
    if not isinstance(stated, str) or (stated and stated not in INDEXES | MANIFESTS):
        raise ManifestFault(f"its media type is {str(stated)[:80]!r}, which is no image")
    has_children, has_layers = "manifests" in document, "layers" in document
    if has_children == has_layers or (stated and (stated in INDEXES) != has_children):
        raise ManifestFault("it is neither clearly an index nor clearly a manifest")
    if has_children:
        children = tuple(_child(item) for item in _list(document, "manifests"))
        return Index(stated or INDEX, children)
    layers = tuple(_descriptor(item, "a layer") for item in _list(document, "layers"))
    for layer in layers:
        if any(word in layer.media_type for word in _FOREIGN):
            raise ManifestFault(f"the layer sha256:{layer.digest} may not be distributed ({layer.media_type})")
    return Manifest(stated or MANIFEST, _descriptor(document.get("config"), "the config"), layers)


def candidates(index: Index, arch: str) -> tuple[Child, ...]:
    """Return the children of an index that may be, or hold, the Linux image for `arch`, the best one first.

    Those that say so come first, the plain variant before a named one; then nested indexes, which have to be looked at.
    """
    suiting = sorted((child for child in index.children if child.suits(arch)), key=lambda child: child.variant)
    nested = [child for child in index.children if child.descriptor.media_type in INDEXES and child not in suiting]
    return (*suiting, *nested)


def platforms(index: Index) -> list[str]:
    """Return the platforms of the images in an index, as messages name them."""
    found = {
        f"{child.os}/{child.arch}" + (f"/{child.variant}" if child.variant else "")
        for child in index.children
        if child.is_image and child.arch
    }
    return sorted(found)


def _list(document: dict[str, object], name: str) -> list[object]:
    found = document[name]
    if not isinstance(found, list):
        raise ManifestFault(f"its '{name}' is not a list")
    return found


def _child(item: object) -> Child:
    descriptor = _descriptor(item, "a child")
    platform = item.get("platform") if isinstance(item, dict) else None
    if platform is None:
        return Child(descriptor)
    if not isinstance(platform, dict):
        raise ManifestFault("a platform is not a JSON object")
    names = ["" if platform.get(name) is None else platform[name] for name in ("os", "architecture", "variant")]
    if not all(isinstance(name, str) for name in names):
        raise ManifestFault("a platform is not made of words")
    return Child(descriptor, *map(str, names))


def _descriptor(item: object, what: str) -> Descriptor:
    if not isinstance(item, dict):
        raise ManifestFault(f"{what} is not a JSON object")
    media_type, digest, size = item.get("mediaType", ""), item.get("digest"), item.get("size")
    if not isinstance(digest, str) or not isinstance(media_type, str):
        raise ManifestFault(f"{what} has no digest or media type")
    return Descriptor(media_type, _sha256(digest, what), _size(size, what))


def _sha256(digest: str, what: str) -> Digest:
    algorithm, _, digits = digest.partition(":")
    if algorithm != "sha256" or not is_digest(digits):
        raise ManifestFault(f"{what} has the digest {digest[:80]!r}, which is no SHA-256")
    return digits


def _size(size: object, what: str) -> int:
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ManifestFault(f"{what} has no size")
    return size
