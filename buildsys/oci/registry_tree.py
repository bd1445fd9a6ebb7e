"""The storage tree of the distribution registry (filesystem driver, v2 layout), as entries of a tree.

Under a tag stands the *index* of an image, of whose children only the wanted ones need to be there (a sparse index):
the trees of several architectures then unite without a conflict. Links hold a digest without a newline; the registry
answers 500 to one with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buildsys.model.tree import FILE, Entry, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from buildsys.model.digest import Digest
    from buildsys.oci.image import Descriptor

ROOT = "docker/registry/v2"
_MODE = 0o644


class TagConflict(ValueError):
    """Two images that are to have one name and tag in the registry; the text names them."""


class StoredImage(NamedTuple):
    """An image as it is to stand in a registry: `top` is what the tag (may be empty) and pulls by digest lead to.

    `manifests` are all manifests and indexes that are present, `top` too; `blobs` are configs and layers. `origin` says
    in messages where the image comes from.
    """

    repository: str
    tag: str
    top: Descriptor
    manifests: tuple[Descriptor, ...]
    blobs: tuple[Descriptor, ...]
    origin: str = ""


def registry_tree(images: Iterable[StoredImage], put_blob: Callable[[bytes], Digest]) -> Tree:
    """Return the storage tree of `images`; `put_blob` takes in the contents of links.

    Raises `TagConflict` when two images with different digests want one tag.
    """
    tags: dict[tuple[str, str], StoredImage] = {}
    entries: dict[str, Entry] = {}
    for image in images:
        have = tags.setdefault((image.repository, image.tag), image) if image.tag else image
        if have.top.digest != image.top.digest:
            raise TagConflict(
                f"{have.origin} and {image.origin} are different images, but both are {image.repository}:{image.tag}"
                " in the cluster's registry, which knows no hosts"
            )
        entries.update((entry.path, entry) for entry in image_entries(image, put_blob))
    return Tree.of(entries.values())


def image_entries(image: StoredImage, put_blob: Callable[[bytes], Digest]) -> Iterator[Entry]:
    """Yield the files that one image takes: blobs by digest, links of its repository."""
    home = f"{ROOT}/repositories/{image.repository}"
    links = [(f"{home}/_layers/sha256/{blob.digest}/link", blob.digest) for blob in image.blobs]
    links += [(f"{home}/_manifests/revisions/sha256/{one.digest}/link", one.digest) for one in image.manifests]
    if image.tag:
        tag, top = f"{home}/_manifests/tags/{image.tag}", image.top.digest
        links += [(f"{tag}/current/link", top), (f"{tag}/index/sha256/{top}/link", top)]
    for blob in (*image.manifests, *image.blobs):
        path = f"{ROOT}/blobs/sha256/{blob.digest[:2]}/{blob.digest}/data"
        yield Entry(path, FILE, _MODE, blob.digest, blob.size)
    for path, digest in links:
        text = f"sha256:{digest}".encode()
        yield Entry(path, FILE, _MODE, put_blob(text), len(text))
