"""A registry that has some images and nothing else, for what is asked of it and in which order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.images import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Piece, Sample
from tests.scripted_http import Reply, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any


def having(samples: Iterable[Sample]) -> Callable[[Request], Reply]:
    """Return what answers as a registry with `samples` does; the iterable is read at each request."""

    def answer(request: Request) -> Reply:
        for sample in samples:
            prefix = f"/v2/{sample.repository}/"
            kind, _, ref = request.path.removeprefix(prefix).partition("/")
            if not request.path.startswith(prefix):
                continue
            for piece in sample.manifests if kind == "manifests" else sample.blobs:
                if ref == piece.digest or (kind == "manifests" and piece is sample.top and ref == sample.tag):
                    return Reply(
                        200, piece.data, {"Content-Type": piece.media_type, "Docker-Content-Digest": piece.digest}
                    )
        return Reply(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')

    return answer


def sample_of(repository: str, tag: str, children: Mapping[str, Piece], *blobs: Piece, **more: Any) -> Sample:
    """Return an image whose index has `children` by `os/arch` or `os/arch/variant`; `more` goes into the index."""
    entries = []
    for name, piece in children.items():
        os_name, arch, *variant = name.split("/")
        platform = {"os": os_name, "architecture": arch, **({"variant": variant[0]} if variant else {})}
        entries.append(piece.described(platform=platform) if os_name else piece.described())
    content = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries, **more}
    return Sample(repository, tag, (*children.values(), Piece(OCI_INDEX, json.dumps(content).encode())), blobs)


def manifest_of(arch: str, text: str = "", os_name: str = "linux") -> tuple[Piece, tuple[Piece, ...]]:
    """Return a manifest with one layer, and its blobs."""
    config = Piece(OCI_CONFIG, json.dumps({"architecture": arch, "os": os_name, "comment": text}).encode())
    layer = Piece(OCI_LAYER, f"layer {text}".encode())
    content = {"schemaVersion": 2, "config": config.described(), "layers": [layer.described()]}
    return Piece(OCI_MANIFEST, json.dumps(content).encode()), (config, layer)
