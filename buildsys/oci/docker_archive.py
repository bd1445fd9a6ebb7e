"""The docker-archive form of an image: what `docker load` reads (docker's image spec v1.2, "Combined Image JSON")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.model.tree import FILE, Entry, Tree
from buildsys.oci.image import Json, canonical_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from buildsys.model.digest import Digest
    from buildsys.oci.image import Descriptor

_MODE = 0o644


def docker_archive(
    config: Descriptor, layers: Sequence[Descriptor], tags: Sequence[str], put_blob: Callable[[bytes], Digest]
) -> Tree:
    """Return the files of a docker-archive of one image; its tarball is to be uncompressed.

    `layers` are uncompressed, lowest first, in the order of the config's diff_ids. `put_blob` takes in manifest.json.
    The `repositories` file and the folders of docker < 1.10 are left out.
    """
    names: list[Json] = [f"{layer.digest}.tar" for layer in layers]
    manifest = canonical_json([{"Config": f"{config.digest}.json", "RepoTags": list(tags), "Layers": names}])
    return Tree.of(
        [
            Entry(f"{config.digest}.json", FILE, _MODE, config.digest, config.size),
            Entry("manifest.json", FILE, _MODE, put_blob(manifest), len(manifest)),
            *(Entry(f"{layer.digest}.tar", FILE, _MODE, layer.digest, layer.size) for layer in layers),
        ]
    )
