"""SelectImages: which of the locked images a list names, and under which tags they are to be stored."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from buildsys.errors import BuildError, BuildErrors, DependencyError, Location
from buildsys.model.action import ActionIO, Artifact, BaseOperation, exempt
from buildsys.model.tree import DIRECTORY, Entry, Tree
from buildsys.oci.reference import Reference

NO_TAG = "-"
"""Stands for the tag of an image that is named by its digest alone."""

ROOT = "docker/registry"
"""The folder that is there even without images, so that a registry can be started over it."""


class Candidate(NamedTuple):
    """A locked image: its name with host, its tag or (`sha256:...`) digest, and the digest that it is locked to."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectImages(BaseOperation):
    """For each of `candidates` one output: the tags under which `images` (the second output of ImageList) names it.

    The last output is the tree that the images are put into: an empty folder.
    An image that is named and not among them is B446; two different images that would have one name and tag in the
    cluster's registry, which knows no hosts, are B447.
    """

    MNEMONIC: ClassVar[str] = "SelectImages"
    VERSION: ClassVar[int] = 1

    images: Artifact
    candidates: tuple[Candidate, ...]
    arch: str
    lockfile: str = exempt("the path of the lock file, for messages", default="buildsys.lock")
    lock: str = exempt("the command that locks what is missing, for messages", default="buildsys lock")
    at: Location | None = exempt("where the images are asked for, for messages", default=None)

    def execute(self, io: ActionIO) -> None:
        """Write the tags of each candidate, a line each."""
        position = {(one.name, one.version): number for number, one in enumerate(self.candidates)}
        tags: list[dict[str, None]] = [{} for _ in self.candidates]
        places: dict[tuple[str, str], Named] = {}
        errors: list[BuildError] = []
        for named in named_images(io.read(self.images)):
            reference = named.reference
            version = reference.digest or reference.tag
            number = position.get((reference.name, version))
            if number is None:
                errors.append(self._not_locked(named))
                continue
            tags[number][reference.tag or NO_TAG] = None
            if reference.tag:
                first = places.setdefault((reference.path, reference.tag), named)
                other = position[first.reference.name, first.reference.digest or first.reference.tag]
                if self.candidates[other].digest != self.candidates[number].digest:
                    errors.append(_collision(first, named))
        if errors:
            raise BuildErrors(errors)
        for number, found in enumerate(tags):
            io.write("".join(f"{tag}\n" for tag in found).encode(), number)
        io.write_tree(Tree.of([Entry(ROOT, DIRECTORY, 0o755)]), len(tags))

    def _not_locked(self, named: Named) -> DependencyError:
        return DependencyError(
            "B446",
            f"the image {named.text} is not locked for {self.arch}",
            at=named.at or self.at,
            notes=(f"named by {named.origin}",) if named.origin and named.at is None else (),
            hint=f"lock it (the same parameters, and a network): {self.lock}",
        )


class Named(NamedTuple):
    """An image of a list: as it is written, as a reference, and who names it: words and, if there is one, a place."""

    text: str
    reference: Reference
    origin: str
    at: Location | None


def named_images(data: bytes) -> list[Named]:
    """Return the images in the second output of ImageList."""
    found = []
    for text, origin, place in json.loads(data):
        at = Location(*place) if place else None
        found.append(Named(text, Reference.parse(text), origin, at))
    return found


def _collision(first: Named, second: Named) -> DependencyError:
    name = f"{second.reference.path}:{second.reference.tag}"
    where = first.at or first.origin
    return DependencyError(
        "B447",
        f"{first.text} and {second.text} are different images, but both are {name} in the cluster's registry",
        at=second.at,
        notes=(f"the first is named by {where}",),
        hint="name one of them alone: the cluster's registry knows no hosts",
    )
