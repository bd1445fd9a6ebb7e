"""ArchiveImage: an image out of its registry as the files of a docker-archive, its layers uncompressed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from buildsys.actions.pulling import Puller, Source
from buildsys.archive.detect import compression_of, open_compressed
from buildsys.archive.fault import ArchiveFault
from buildsys.archive.limits import Limits, Meter
from buildsys.archive.streams import read_full
from buildsys.errors import DependencyError, Location
from buildsys.model.action import ActionIO, Artifact, BaseOperation, Value, exempt
from buildsys.model.digest import CHUNK
from buildsys.oci.docker_archive import docker_archive
from buildsys.oci.image import LAYER, Descriptor
from buildsys.oci.manifest import MOST_BYTES
from buildsys.oci.reference import Reference

if TYPE_CHECKING:
    from buildsys.model.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveImage(BaseOperation):
    """The tree of a docker-archive of the image with the manifest `digest`, whose tag there is that of `reference`.

    `wanted` is made when the image is locked. Fails as `pulling.Puller`, and with B449 for a layer that is not what the
    image's config says.
    """

    MNEMONIC: ClassVar[str] = "ArchiveImage"
    VERSION: ClassVar[int] = 1
    POOL: ClassVar[str] = "network"

    wanted: Artifact
    reference: str
    digest: str
    at: Location | None = exempt("where it is asked for, for messages", default=None)

    def execute(self, io: ActionIO) -> None:
        """Fetch what is not in the store, uncompress the layers, and write the tree."""
        reference = Reference.parse(self.reference)
        pulled = Puller(io, Source(reference.host, reference.path, self.reference, self.at)).image(
            self.digest, self.digest
        )
        config = pulled.manifest.config
        if config.size > MOST_BYTES:
            raise self._damaged(f"its config has {config.size} bytes; {MOST_BYTES} is the most that is read of one")
        with io.open_blob(config.digest) as stream:
            diff_ids = _diff_ids(stream.read())
        layers = pulled.manifest.layers
        if len(diff_ids) != len(layers):
            raise self._damaged(f"its config names {len(diff_ids)} layers, its manifest {len(layers)}")
        waits = [
            io.begin(f"layer {diff_id} of {layer.digest}", partial(self._uncompress, io, layer, diff_id))
            for layer, diff_id in zip(layers, diff_ids, strict=True)
        ]
        plain = [Descriptor(LAYER, value.digest, value.size) for value in (wait() for wait in waits)]
        tagged = reference._replace(digest="")
        io.write_tree(docker_archive(config, plain, [tagged.familiar] if tagged.tag else [], io.put_blob))

    def _uncompress(self, io: ActionIO, layer: Descriptor, diff_id: Digest) -> Value:
        """Return a layer as a plain tar, which must have the digest that the config names."""
        with io.open_blob(layer.digest) as stream:
            compression = compression_of(read_full(stream, 16))
        try:
            with io.open_blob(layer.digest) as stream, io.create_blob() as out:
                meter = Meter(Limits(), layer.size)
                content = open_compressed(stream, compression) if compression else stream
                while chunk := content.read(CHUNK):
                    meter.add(len(chunk))
                    out.write(chunk)
                if out.hexdigest() != diff_id:
                    raise self._damaged(
                        f"the layer sha256:{layer.digest} holds sha256:{out.hexdigest()}, its config says"
                        f" sha256:{diff_id}"
                    )
        except ArchiveFault as fault:
            raise self._damaged(f"the layer sha256:{layer.digest}: {fault}") from fault
        return Value(out.digest, out.size)

    def _damaged(self, why: str) -> DependencyError:
        hint = "the image is broken where it was built: lock another version of it"
        return DependencyError("B449", f"{self.reference}: {why}", at=self.at, hint=hint)


def _diff_ids(config: bytes) -> list[Digest]:
    """Return the digests of the uncompressed layers (image spec, "OCI Image Configuration"); none of odd ones."""
    try:
        found = json.loads(config)["rootfs"]["diff_ids"]
    except (ValueError, TypeError, KeyError):
        return []
    return [str(digest).removeprefix("sha256:") for digest in found] if isinstance(found, list) else []
