"""ImageList: several lists of image references as one, in order, without repetitions, and who names each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from buildsys.errors import ActionFailed, BuildError, BuildErrors, Location
from buildsys.model.action import ActionIO, Artifact, BaseOperation, exempt
from buildsys.oci import mentions
from buildsys.oci.reference import Reference, ReferenceFault, image_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST, NAMES = 0, 1
"""The outputs: the list, and who names what is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageList(BaseOperation):
    """`images`, then the lines of `lists`, then what the files `manifests` name. A line that is no reference is B407.

    Of an image that is named twice the first counts. The second output is JSON: of each image how it is written, who
    names it in words, and the place (path, line, column, width), where there is one. Images of `registry` are named by
    their files as the cluster has them: they are found in the list by their path, or left out.
    """

    MNEMONIC: ClassVar[str] = "ImageList"
    VERSION: ClassVar[int] = 2

    images: tuple[str, ...] = ()
    lists: tuple[Artifact, ...] = ()
    manifests: tuple[Artifact, ...] = ()
    registry: str = ""
    shown: tuple[str, ...] = exempt("the paths of lists and manifests as messages show them", default=())
    origin: str = exempt("who names `images`, for messages", default="")

    def execute(self, io: ActionIO) -> None:
        """Write the list, one reference a line, as it was written; and who names what."""
        found: dict[str, tuple[str, str, Location | None]] = {}
        for image in self.images:
            found.setdefault(str(Reference.parse(image)), (image, self.origin, None))
        errors: list[BuildError] = []
        for number, artifact in enumerate(self.lists):
            shown = self._shown(number, artifact)
            for line_number, line, image in image_lines(io.read(artifact)):
                at = Location(shown, line_number, 1, len(line))
                try:
                    found.setdefault(str(Reference.parse(image)), (image, artifact.path, at))
                except ReferenceFault as fault:
                    hint = "write it like docker.io/library/nginx:1.25"
                    errors.append(ActionFailed("B407", f"this is no image reference: {fault}", at=at, hint=hint))
        if errors:
            raise BuildErrors(errors)
        for number, artifact in enumerate(self.manifests, len(self.lists)):
            for image, at in self._named(io.read(artifact), artifact, self._shown(number, artifact)):
                found.setdefault(str(Reference.parse(image)), (image, artifact.path, at))
        io.write("".join(f"{image}\n" for image, _, _ in found.values()).encode(), LIST)
        names = [[image, origin, list(at) if at else None] for image, origin, at in found.values()]
        io.write(json.dumps(names, separators=(",", ":")).encode(), NAMES)

    def _shown(self, number: int, artifact: Artifact) -> str:
        return self.shown[number] if number < len(self.shown) else artifact.path

    def _named(self, data: bytes, artifact: Artifact, shown: str) -> Iterator[tuple[str, Location]]:
        """Yield the images that a file names, those of the cluster's own registry left out."""
        text = data.decode("utf-8", "replace")
        for mention in mentions.scan(mentions.kind_of(artifact.name), text).mentions:
            try:
                reference = Reference.parse(mention.text)
            except ReferenceFault:
                continue  # what is no reference is for the check of the finished rootfs to tell
            if not self.registry or reference.host != self.registry:
                yield mention.text, Location(shown, mention.line, mention.column, len(mention.text))
