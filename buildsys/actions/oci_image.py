"""OciImage and OciIndex: images and what unites those of several architectures, as image layouts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from buildsys.archive import tar
from buildsys.errors import ActionFailed, Location
from buildsys.model.action import ActionIO, Artifact, BaseOperation, exempt
from buildsys.model.digest import Digest
from buildsys.model.tree import Tree
from buildsys.oci import image
from buildsys.oci.image import Descriptor
from buildsys.oci.layer import Layer
from buildsys.oci.layout import blobs_of, layout_tree, top_of
from buildsys.oci.reference import Reference, ReferenceFault, image_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

CONTAINER_IMAGES = "sealer.image.container.images"
EXTENSION = "sealer.image.extension"
"""The annotations in which sealer finds the images that a cluster image brings, and what kind of image it is (its
`pkg/define/image/v1`): JSON as text."""

Pairs = tuple[tuple[str, str], ...]


class LayerFiles(NamedTuple):
    """The outputs of an OciLayer, and what the history of the image says of it."""

    layer: Artifact
    description: Artifact
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OciImage(BaseOperation):
    """The layout of an image of `layers`, lowest first; empty ones are left out.

    `images`, a list of references, and `sealer_type` become annotations that sealer reads.
    """

    MNEMONIC: ClassVar[str] = "OciImage"
    VERSION: ClassVar[int] = 1

    layers: tuple[LayerFiles, ...]
    arch: str
    ref: str
    labels: Pairs = ()
    annotations: Pairs = ()
    images: Artifact | None = None
    sealer_type: str = ""
    epoch: int = tar.EPOCH
    shown: str = exempt("the path of the list as messages show it", default="")

    def needs(self, io: ActionIO) -> Iterable[Digest]:
        """What is said of the layers, and the list of images; no layer is read."""
        read = [layer.description for layer in self.layers] + ([self.images] if self.images else [])
        return [io.value(artifact).digest for artifact in read]

    def execute(self, io: ActionIO) -> None:
        """Write the layout as output 0."""
        layers = [(Layer.from_bytes(io.read(files.description)), files.name) for files in self.layers]
        layers = [(layer, name) for layer, name in layers if layer.entries] or layers[:1]
        config = image.config_json(
            self.arch,
            [layer.diff_id for layer, _ in layers],
            epoch=self.epoch,
            labels=dict(self.labels),
            created_by=[f"buildsys: {name}" for _, name in layers],
        )
        described = image.describe(config, image.CONFIG)
        annotations = self._sealer_annotations(io) | dict(self.annotations)
        manifest = image.manifest_json(described, [layer.descriptor for layer, _ in layers], annotations)
        for data in (config, manifest):
            io.put_blob(data)
        top = image.describe(manifest, image.MANIFEST, self.arch)
        blobs = [top, described, *(layer.descriptor for layer, _ in layers)]
        io.write_tree(layout_tree(top, self.ref, blobs, io.put_blob))

    def _sealer_annotations(self, io: ActionIO) -> dict[str, str]:
        found: dict[str, str] = {}
        if self.sealer_type:
            extension: image.Json = {
                "applications": [],
                "buildClient": {"buildahVersion": "", "sealerVersion": ""},
                "launch": {},
                "schemaVersion": "v1alpha1",
                "type": self.sealer_type,
            }
            found[EXTENSION] = image.canonical_json(extension).decode()
        if self.images:
            platform: image.Json = {"architecture": self.arch, "os": "linux"}
            names = _references(io.read(self.images), self.shown or self.images.path)
            listed: list[image.Json] = [{"image": name, "platform": platform} for name in names]
            found[CONTAINER_IMAGES] = image.canonical_json(listed).decode()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class OciIndex(BaseOperation):
    """The layout of an index over the images in `layouts`."""

    MNEMONIC: ClassVar[str] = "OciIndex"
    VERSION: ClassVar[int] = 1

    layouts: tuple[Artifact, ...]
    ref: str
    annotations: Pairs = ()

    def needs(self, io: ActionIO) -> Iterable[Digest]:
        """The lists of files of the layouts, and the index of each, which is made again with it."""
        return [io.value(layout).digest for layout in self.layouts]

    def execute(self, io: ActionIO) -> None:
        """Write the layout as output 0."""
        layouts = [io.tree(layout) for layout in self.layouts]
        manifests = [top_of(layout, lambda digest: _read(io, digest)) for layout in layouts]
        data = image.index_json(manifests, dict(self.annotations))
        io.put_blob(data)
        top = image.describe(data, image.INDEX)
        io.write_tree(layout_tree(top, self.ref, [top, *_blobs(layouts)], io.put_blob))


def _blobs(layouts: Iterable[Tree]) -> Iterator[Descriptor]:
    """Yield the blobs of layouts; their media types do not matter where they are only to be there."""
    for layout in layouts:
        for entry in blobs_of(layout):
            yield Descriptor("", entry.digest, entry.size)


def _read(io: ActionIO, digest: Digest) -> bytes:
    with io.open_blob(digest) as stream:
        return stream.read()


def _references(data: bytes, shown: str) -> list[str]:
    """Return the images of a list, each once and in full. Raises `ActionFailed` B407 for a line that is no image."""
    found: dict[str, None] = {}
    for number, line, text in image_lines(data):
        try:
            found[str(Reference.parse(text))] = None
        except ReferenceFault as fault:
            at = Location(shown, number, 1, len(line))
            hint = "write it like docker.io/library/nginx:1.25"
            raise ActionFailed("B407", f"this is no image reference: {fault}", at=at, hint=hint) from fault
    return list(found)
