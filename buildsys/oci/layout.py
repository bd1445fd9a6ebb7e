"""The image layout (OCI image spec, image-layout.md): a folder with blobs by digest, and an index that names images."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from buildsys.model.tree import FILE, Entry, Tree
from buildsys.oci.image import Descriptor, canonical_json, index_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from buildsys.model.digest import Digest

REF_NAME = "org.opencontainers.image.ref.name"
"""The annotation that names an image in a layout (image spec, annotations.md)."""

_INDEX = "index.json"
_MODE = 0o644
_COMPONENT = r"[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*"
_REF = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")


def is_ref_name(text: str) -> bool:
    """Tell whether `text` can name an image in a layout (annotations.md, the grammar of `ref.name`)."""
    return _REF.fullmatch(text) is not None


def layout_tree(top: Descriptor, ref: str, blobs: Iterable[Descriptor], put_blob: Callable[[bytes], Digest]) -> Tree:
    """Return the files of a layout with the image `top` under the name `ref`.

    `blobs` are all that it is made of, `top` too. `put_blob` takes in the files that are made here.
    """
    index = index_json([top._replace(annotations=((REF_NAME, ref),))])
    marker = canonical_json({"imageLayoutVersion": "1.0.0"})
    entries = {blob.digest: Entry(blob_path(blob.digest), FILE, _MODE, blob.digest, blob.size) for blob in blobs}
    made = [
        Entry(name, FILE, _MODE, put_blob(data), len(data)) for name, data in ((_INDEX, index), ("oci-layout", marker))
    ]
    return Tree.of([*entries.values(), *made])


def blob_path(digest: Digest) -> str:
    """Return where a blob stands in a layout."""
    return f"blobs/sha256/{digest}"


def top_of(layout: Tree, read: Callable[[Digest], bytes]) -> Descriptor:
    """Return what the one name in a layout stands for, without that name."""
    (entry,) = (entry for entry in layout.entries if entry.path == _INDEX)
    (top,) = json.loads(read(entry.digest))["manifests"]
    return Descriptor.from_json(top)._replace(annotations=())


def blobs_of(layout: Tree) -> list[Entry]:
    """Return the blobs of a layout."""
    return [entry for entry in layout.entries if entry.kind == FILE and entry.path.startswith("blobs/")]
