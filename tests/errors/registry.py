"""An image registry that misbehaves in the way that the first part of a repository's name says.

good              an index of two architectures under every tag but `gone`, and all that belongs to it
status-CODE       that status code for everything: 401 asks for a login, 429 to come back in an hour
html              a page that asks to sign in, for everything
amd64-only        the index has one architecture; `no-index`: the tag leads to the manifest of amd64
schema-1, huge, text     what the tag leads to is of Docker's first schema, has 5 MiB, is no JSON
foreign           a layer may not be distributed
false-size        the index says another size of its manifests than they have
swapped           a manifest comes as another one
other-layer       the layer comes with other bytes, `short-layer`, `long-layer` with fewer and more
cut-layer         the layer breaks off in the middle; `breaks-KEY`: once, then it can be resumed
lost-layer        there is no layer
read-only         nothing can be pushed; `no-project`: nothing is there that could be pushed to
stores-other      all is taken, and a manifest is said to be another one
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

MODES = ("good", "amd64-only", "no-index", "schema-1", "huge", "text", "foreign", "false-size")
"""Those whose images have digests of their own."""

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"

PAGE = b"<!DOCTYPE html><html><title>Sign in</title></html>\n"
LAYER_DATA = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(6250))  # 200 kB


class Piece(NamedTuple):
    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(self.data).hexdigest()

    def described(self, **more: Any) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data), **more}


class Image(NamedTuple):
    """What a tag leads to, the manifests by architecture, the blobs."""

    top: Piece
    children: dict[str, Piece]
    blobs: tuple[Piece, ...]


class Answer(NamedTuple):
    """What to send: `length` bytes are announced, of which those of `body` come."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}
    length: int | None = None


@cache
def image(mode: str) -> Image:
    """Return the image that is there in a mode; the same bytes each time."""
    layer = Piece(FOREIGN if mode == "foreign" else LAYER, LAYER_DATA)
    arches = ("amd64",) if mode in {"amd64-only", "no-index"} else ("amd64", "arm64")
    configs = {arch: Piece(CONFIG, _json({"architecture": arch, "os": "linux", "config": {}})) for arch in arches}
    children = {
        arch: Piece(MANIFEST, _json(_named(MANIFEST, config=config.described(), layers=[layer.described()])))
        for arch, config in configs.items()
    }
    platforms = [
        child.described(platform={"architecture": arch, "os": "linux"}, **({"size": 7} if mode == "false-size" else {}))
        for arch, child in children.items()
    ]
    top = {
        "no-index": children["amd64"],
        "schema-1": Piece(SCHEMA_1, _json({"schemaVersion": 1, "fsLayers": []})),
        "huge": Piece(INDEX, _json(_named(INDEX, manifests=platforms)) + b" " * (5 << 20)),
        "text": Piece(INDEX, b"Not Found"),
    }.get(mode, Piece(INDEX, _json(_named(INDEX, manifests=platforms))))
    return Image(top, children, (layer, *configs.values()))


def words() -> dict[str, str]:
    """Return what stands for digests in cases: `@TOP(MODE)@`, `@AMD64(MODE)@`, `@ARM64(MODE)@`."""
    found = {}
    for mode in MODES:
        made = image(mode)
        for name, piece in {"TOP": made.top, **{arch.upper(): child for arch, child in made.children.items()}}.items():
            found[f"@{name}({mode})@"] = piece.digest.removeprefix("sha256:")
    return found


def answer(path: str, headers: Mapping[str, str], asked: dict[str, int]) -> Answer:
    """Answer a request below `/v2/`; `asked` is for what is to happen once."""
    mode, *_, kind, ref = path.split("/")
    if mode.startswith("status-"):
        return _status(int(mode.removeprefix("status-")))
    if mode == "html":
        return Answer(200, PAGE, {"Content-Type": "text/html"})
    there = image(mode if mode in MODES else "good")
    if kind == "manifests":
        pieces = {piece.digest: piece for piece in (*there.children.values(), there.top)}
        piece = pieces.get(ref, None if ref == "gone" or ":" in ref else there.top)
        if piece is None:
            return Answer(404, _error("MANIFEST_UNKNOWN", "manifest unknown"))
        data = piece.data + b"\n" if mode == "swapped" else piece.data
        return Answer(200, data, {"Content-Type": piece.media_type, "Docker-Content-Digest": piece.digest})
    data = next((blob.data for blob in there.blobs if blob.digest == ref), b"")
    if not data or (mode == "lost-layer" and data == LAYER_DATA):
        return Answer(404, _error("BLOB_UNKNOWN", "blob unknown to registry"))
    return _layer(mode, headers, asked) if data == LAYER_DATA else Answer(200, data)


def answer_push(method: str, path: str) -> Answer | None:
    """Answer a request that pushes; None where `answer` has to."""
    mode = path.partition("/")[0]
    if method not in {"POST", "PATCH", "PUT"} or mode.startswith("status-"):
        return None
    if mode == "no-project":
        return Answer(404, _error("NAME_UNKNOWN", "project app not found"))
    if mode != "stores-other":
        return Answer(405, _error("UNSUPPORTED", "The operation is unsupported."))
    if method == "POST":
        return Answer(202, headers={"Location": f"/v2/{path}1"})
    if "/manifests/" in path:
        return Answer(201, headers={"Docker-Content-Digest": image("good").top.digest})
    return Answer(201)


def _layer(mode: str, headers: Mapping[str, str], asked: dict[str, int]) -> Answer:
    data, size = LAYER_DATA, len(LAYER_DATA)
    start = int(headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    if mode == "other-layer":
        return Answer(200, bytes(size))
    if mode in {"short-layer", "long-layer"}:
        return Answer(200, data[:-9] if mode == "short-layer" else data + b"more")
    if mode == "cut-layer":
        return Answer(200, data[: size // 2], length=size)
    if mode.startswith("breaks-") and not asked.get(mode):
        asked[mode] = 1
        return Answer(200, data[: size // 2], length=size)
    if start:
        return Answer(206, data[start:], {"Content-Range": f"bytes {start}-{size - 1}/{size}"})
    return Answer(200, data)


def _status(status: int) -> Answer:
    headers = {401: {"WWW-Authenticate": 'Basic realm="test"'}, 429: {"Retry-After": "3600"}}.get(status, {})
    return Answer(status, _error("DENIED", "no, thank you"), headers)


def _error(code: str, message: str) -> bytes:
    return _json({"errors": [{"code": code, "message": message}]})


def _named(media_type: str, **content: object) -> dict[str, object]:
    return {"schemaVersion": 2, "mediaType": media_type, **content}


def _json(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
