"""ImageList: several lists of image references as one, in order, without repetitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from buildsys.errors import ActionFailed, BuildError, BuildErrors, Location
from buildsys.model.action import ActionIO, Artifact, BaseOperation, exempt
from buildsys.oci.reference import Reference, ReferenceFault, image_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageList(BaseOperation):
    """`images`, then the lines of `lists`. A line that is no reference, or has neither tag nor digest, is B407."""

    MNEMONIC: ClassVar[str] = "ImageList"
    VERSION: ClassVar[int] = 1

    images: tuple[str, ...] = ()
    lists: tuple[Artifact, ...] = ()
    shown: tuple[str, ...] = exempt("the paths of the lists as messages show them", default=())

    def execute(self, io: ActionIO) -> None:
        """Write the list: one reference a line, as it was written."""
        found: dict[str, str] = {str(Reference.parse(image)): image for image in self.images}
        errors: list[BuildError] = []
        for number, artifact in enumerate(self.lists):
            shown = self.shown[number] if number < len(self.shown) else artifact.path
            for line_number, line, image in image_lines(io.read(artifact)):
                try:
                    reference = Reference.parse(image)
                except ReferenceFault as fault:
                    at = Location(shown, line_number, 1, len(line))
                    hint = "write it like docker.io/library/nginx:1.25"
                    errors.append(ActionFailed("B407", f"this is no image reference: {fault}", at=at, hint=hint))
                    continue
                found.setdefault(str(reference), image)
        if errors:
            raise BuildErrors(errors)
        io.write("".join(f"{image}\n" for image in found.values()).encode())
