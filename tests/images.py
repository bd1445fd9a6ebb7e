"""Small images for two architectures, in the forms that are met: made from nothing, the same bytes each time."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Piece(NamedTuple):
    """A blob or manifest."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        """`sha256:<hex>`."""
        return "sha256:" + hashlib.sha256(self.data).hexdigest()

    def described(self, **more: Any) -> dict[str, Any]:
        """Return its descriptor."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data), **more}


class Sample(NamedTuple):
    """An image: `manifests` in the order in which they can be pushed, the last one is what a tag names."""

    repository: str
    tag: str
    manifests: tuple[Piece, ...]
    blobs: tuple[Piece, ...]

    @property
    def top(self) -> Piece:
        """What the tag names."""
        return self.manifests[-1]


def oci_image(repository: str = "library/hello", tag: str = "1.0", *, size: int = 0, nested: bool = False) -> Sample:
    """Return an OCI index of two architectures and an attestation; `size` random bytes are in a layer of each."""
    blobs: list[Piece] = []
    manifests = [_image(blobs, f"{repository} on {arch}", arch, size) for arch in ("amd64", "arm64")]
    statement = Piece("application/vnd.in-toto+json", b'{"_type":"https://in-toto.io/Statement/v0.1","subject":[]}')
    config = Piece(OCI_CONFIG, _json({"architecture": "unknown", "os": "unknown", "rootfs": {"diff_ids": []}}))
    blobs += [statement, config]
    manifests.append(_manifest(OCI_MANIFEST, config, [statement]))
    children = [
        piece.described(platform={"architecture": arch, "os": "linux" if arch != "unknown" else arch})
        for piece, arch in zip(manifests, ("amd64", "arm64", "unknown"), strict=True)
    ]
    manifests.append(_index(OCI_INDEX, children))
    if nested:
        manifests.append(_index(OCI_INDEX, [manifests[-1].described()]))
    return Sample(repository, tag, tuple(manifests), tuple(blobs))


def docker_image(repository: str = "pause", tag: str = "3.6") -> Sample:
    """Return a Docker manifest list of two architectures."""
    blobs: list[Piece] = []
    manifests = [_image(blobs, f"{repository} on {arch}", arch, 0, docker=True) for arch in ("amd64", "arm64")]
    children = [
        piece.described(platform={"architecture": arch, "os": "linux"})
        for piece, arch in zip(manifests, ("amd64", "arm64"), strict=True)
    ]
    return Sample(repository, tag, (*manifests, _index(DOCKER_LIST, children)), tuple(blobs))


def write_layout(folder: Path, samples: Iterable[Sample]) -> None:
    """Write an OCI layout of OCI images, each under `repository:tag` (image spec, "Image Layout")."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    tops = []
    for sample in samples:
        for piece in (*sample.manifests, *sample.blobs):
            (blobs / piece.digest.removeprefix("sha256:")).write_bytes(piece.data)
        name = f"{sample.repository}:{sample.tag}"
        tops.append(sample.top.described(annotations={"org.opencontainers.image.ref.name": name}))
    (folder / "index.json").write_bytes(_json({"schemaVersion": 2, "manifests": tops}))


def random_bytes(size: int, seed: str = "") -> bytes:
    """Return bytes that cannot be compressed, the same each time."""
    return hashlib.shake_128(seed.encode()).digest(size)


def _image(blobs: list[Piece], text: str, arch: str, size: int, *, docker: bool = False) -> Piece:
    tars = [_tar("etc/os-release", b"ID=test\n"), _tar("hello", f"#!/bin/sh\necho {text}\n".encode())]
    if size:
        tars.append(_tar("large", random_bytes(size, text)))
    layers = [Piece(DOCKER_LAYER if docker else OCI_LAYER, gzip.compress(tar, 1, mtime=0)) for tar in tars]
    content = {
        "architecture": arch,
        "os": "linux",
        "config": {"Entrypoint": ["/hello"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in tars]},
    }
    config = Piece(DOCKER_CONFIG if docker else OCI_CONFIG, _json(content))
    blobs += [*layers, config]
    return _manifest(DOCKER_MANIFEST if docker else OCI_MANIFEST, config, layers)


def _manifest(media_type: str, config: Piece, layers: list[Piece]) -> Piece:
    content = {"config": config.described(), "layers": [layer.described() for layer in layers]}
    return Piece(media_type, _json({"schemaVersion": 2, "mediaType": media_type, **content}))


def _index(media_type: str, children: list[dict[str, Any]]) -> Piece:
    return Piece(media_type, _json({"schemaVersion": 2, "mediaType": media_type, "manifests": children}))


def _tar(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(data), 0o755
        archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def _json(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
