"""A registry with images to pull: docker-registry on loopback, filled with what compresses like real layers."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import socket
import subprocess
import tarfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Self

from benchmarks.mirror import Material
from buildsys.adapters.registry import RegistryClient
from buildsys.model.access import Access
from buildsys.oci import image

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from buildsys.oci.image import Descriptor

ARCH, OTHER = "amd64", "arm64"
PER_BASE = 5
"""So many images have their lowest layer in common, which is a third of each."""


class Image(NamedTuple):
    """An image at the registry: its name and tag, the digests of its index and manifest, and of all its blobs."""

    name: str
    tag: str
    top: str
    manifest: str
    blobs: frozenset[str]
    size: int


class Registry:
    """docker-registry over a folder; as a context, it ends with it."""

    programs = ("docker-registry",)

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.host = f"127.0.0.1:{free.getsockname()[1]}"
        config = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
            "http": {"addr": self.host},
        }
        self._config = folder / "config.yml"
        self._config.write_text(json.dumps(config))
        self._client = RegistryClient(Access(insecure=frozenset([self.host])))

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            ["docker-registry", "serve", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(500):
            with suppress(OSError), socket.create_connection(("127.0.0.1", int(self.host.partition(":")[2])), 1):
                return self
            time.sleep(0.02)
        raise RuntimeError("docker-registry does not answer")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        self._process.terminate()
        self._process.wait(20)

    def push(self, name: str, tag: str, layers: list[bytes]) -> Image:
        """Push an image whose layers are `layers` for one architecture and a small one for the other."""
        children, blobs, size = [], set(), 0
        for arch, chosen in ((ARCH, layers), (OTHER, [_layer(b"little\n")])):
            described = [self._blob(name, layer, image.LAYER_GZIP) for layer in chosen]
            diff_ids = [hashlib.sha256(gzip.decompress(layer)).hexdigest() for layer in chosen]
            config = self._blob(name, image.config_json(arch, diff_ids, epoch=0), image.CONFIG)
            data = image.manifest_json(config, described)
            self._client.put_manifest(self.host, name, image_digest(data), data, image.MANIFEST)
            children.append(image.describe(data, image.MANIFEST, arch))
            if arch == ARCH:
                blobs = {one.digest for one in (config, *described)}
                size = sum(one.size for one in described)
        index = image.index_json(children)
        self._client.put_manifest(self.host, name, tag, index, image.INDEX)
        digests = image_digest(index), f"sha256:{children[0].digest}"
        return Image(f"{self.host}/{name}", tag, *digests, frozenset(blobs), size)

    def _blob(self, name: str, data: bytes, kind: str) -> Descriptor:
        found = image.describe(data, kind)
        digest = f"sha256:{found.digest}"
        if not self._client.has_blob(self.host, name, digest):
            self._client.upload_blob(self.host, name, digest, len(data), lambda at: io.BytesIO(data[at:]))
        return found


def fill(registry: Registry, count: int, total_bytes: int, versions: int) -> list[list[Image]]:
    """Push `count` images of `total_bytes` in all; return those of each version, of which the first image differs."""
    material = Material(total_bytes * 4)
    third = total_bytes // count // 3
    bases = [_layer(material.cut(third * 8)) for _ in range(-(-count // PER_BASE))]
    images = []
    for number in range(count):
        own = [_layer(material.cut(third * 3)) for _ in range(2)]
        images.append(registry.push(f"team/image-{number:02}", "v0", [bases[number // PER_BASE], *own]))
    found = [images]
    for version in range(1, versions):
        own = [_layer(material.cut(third * 3)) for _ in range(2)]
        found.append([registry.push("team/image-00", f"v{version}", [bases[0], *own]), *images[1:]])
    return found


def image_digest(data: bytes) -> str:
    """Return a digest as registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _layer(data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("usr/bin/program")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return gzip.compress(out.getvalue(), 1, mtime=0)
