"""Image JSON in canonical form: configs, manifests and indexes (OCI image spec 1.0)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

from buildsys.model.digest import digest_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from buildsys.model.digest import Digest

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | bool | None"

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = LAYER + "+gzip"
LAYER_ZSTD = LAYER + "+zstd"


class Descriptor(NamedTuple):
    """What points at a blob (image spec, "OCI Content Descriptors"); `arch` makes it a child of an index for Linux."""

    media_type: str
    digest: Digest
    size: int
    arch: str = ""
    annotations: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> Json:
        """Return the descriptor as JSON."""
        found: dict[str, Json] = {"mediaType": self.media_type, "digest": f"sha256:{self.digest}", "size": self.size}
        if self.arch:
            found["platform"] = {"architecture": self.arch, "os": "linux"}
        if self.annotations:
            found["annotations"] = dict(self.annotations)
        return found

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Return the descriptor that `to_json` has written."""
        annotations = tuple(sorted(found.get("annotations", {}).items()))
        arch = found.get("platform", {}).get("architecture", "")
        return cls(found["mediaType"], found["digest"].removeprefix("sha256:"), found["size"], arch, annotations)


def describe(data: bytes, media_type: str, arch: str = "") -> Descriptor:
    """Return the descriptor of a blob at hand."""
    return Descriptor(media_type, digest_bytes(data), len(data), arch)


def canonical_json(value: Json) -> bytes:
    """Return JSON with sorted keys and no spaces: one spelling for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def timestamp(epoch: int) -> str:
    """Return `epoch` seconds in the form of RFC 3339, UTC."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def config_json(
    arch: str,
    diff_ids: Iterable[Digest],
    *,
    epoch: int,
    entrypoint: tuple[str, ...] = (),
    labels: Mapping[str, str] | None = None,
    created_by: str | Sequence[str] = "buildsys",
) -> bytes:
    """Return the config of a Linux image (image spec, "OCI Image Configuration").

    `diff_ids` are the digests of the uncompressed layers, lowest first; all times are `epoch`. `created_by` says what
    made the layers, or each of them.
    """
    created = timestamp(epoch)
    run: dict[str, Json] = {}
    if entrypoint:
        run["Entrypoint"] = list(entrypoint)
    if labels:
        run["Labels"] = dict(labels)
    layers: list[Json] = [f"sha256:{digest}" for digest in diff_ids]
    makers = [created_by] * len(layers) if isinstance(created_by, str) else created_by
    history: list[Json] = [{"created": created, "created_by": by} for by in makers]
    return canonical_json(
        {
            "architecture": arch,
            "config": run,
            "created": created,
            "history": history,
            "os": "linux",
            "rootfs": {"diff_ids": layers, "type": "layers"},
        }
    )


def manifest_json(
    config: Descriptor, layers: Iterable[Descriptor], annotations: Mapping[str, str] | None = None
) -> bytes:
    """Return an image manifest (image spec, "OCI Image Manifest")."""
    found: dict[str, Json] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.to_json(),
        "layers": [layer.to_json() for layer in layers],
    }
    if annotations:
        found["annotations"] = dict(annotations)
    return canonical_json(found)


def index_json(manifests: Iterable[Descriptor], annotations: Mapping[str, str] | None = None) -> bytes:
    """Return an image index (image spec, "OCI Image Index")."""
    found: dict[str, Json] = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [manifest.to_json() for manifest in manifests],
    }
    if annotations:
        found["annotations"] = dict(annotations)
    return canonical_json(found)
