"""Resolving images: what a tag stands for at its registry, for each architecture, as pins of the lock file.

Tags are asked for here alone: a build goes by digest. Registries that count requests count those for manifests, but not
the question for a tag's digest; so that comes first, and what is locked is not asked for at all.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from buildsys.actions.pulling import registry_error
from buildsys.actions.select_images import Named, named_images
from buildsys.adapters.registry import RegistryClient
from buildsys.adapters.registry_fault import RegistryFault
from buildsys.errors import BuildError, BuildErrors, DependencyError, Location, UsageError
from buildsys.kubernetes.pins import INDEX, LockedImage, Pin
from buildsys.model.digest import digest_bytes
from buildsys.oci import manifest as manifests
from buildsys.oci.manifest import Index, Manifest, ManifestFault
from buildsys.oci.reference import Reference, ReferenceFault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from buildsys.model.access import Access
    from buildsys.model.digest import Digest

SOURCE = "registry"
"""Who states the digest of an image: the registry that its name says."""

AT_ONCE = 8
ALL = "*"
"""Stands for all images among those that are to be resolved again."""


class Resolved(NamedTuple):
    """What came of it: the pins of images that were resolved, and how many were locked before.

    `moved` says of each image that stands for something else now what it stood for.
    """

    pins: tuple[Pin, ...]
    kept: int
    moved: tuple[str, ...]


def read_named(lists: Iterable[bytes]) -> list[Named]:
    """Return the images in the second outputs of ImageList actions."""
    return [named for data in lists for named in named_images(data)]


def written_named(images: Iterable[str]) -> list[Named]:
    """Return images that were named on the command line. Raises `UsageError` B011."""
    found = []
    for image in images:
        try:
            found.append(Named(image, Reference.parse(image), "the command line", None))
        except ReferenceFault as fault:
            raise UsageError("B011", f"--image: {fault}", hint="write --image=docker.io/library/nginx:1.25") from fault
    return found


def locked_named(locked: Iterable[LockedImage], update: Iterable[str]) -> list[Named]:
    """Return those locked images that `update` names, for who asks for nothing else."""
    again = _Again(update)
    found = []
    for image in locked:
        text = f"{image.name}{'@' if ':' in image.version else ':'}{image.version}"
        if again.names(text, image.name):
            found.append(Named(text, Reference.parse(text), "the lock file", None))
    return found


class _Again:
    """The images to be resolved although they are locked, as a user names them: with or without host or tag."""

    def __init__(self, words: Iterable[str]) -> None:
        self._spellings = {word: _spellings(word) for word in words}
        self._unmet = dict.fromkeys(word for word in self._spellings if word != ALL)

    def names(self, *spellings: str) -> bool:
        """Tell whether an image of one of these spellings is among them."""
        met = [word for word, own in self._spellings.items() if word == ALL or not own.isdisjoint(spellings)]
        for word in met:
            self._unmet.pop(word, None)
        return bool(met)

    def check(self) -> None:
        """Raise `UsageError` B011 for names that no image had."""
        for word in self._unmet:
            raise UsageError(
                "B011",
                f"--update: no image that is asked for is called '{word}'",
                hint="write it as the lock file or a list does; --image locks one that no list names",
            )


def _spellings(word: str) -> frozenset[str]:
    try:
        reference = Reference.parse(word)
    except ReferenceFault:
        return frozenset({word})
    bare = {reference.name} if not reference.digest and ":" not in word.rpartition("/")[2] else set()
    return frozenset({word, str(reference), *bare})


class _Wanted(NamedTuple):
    """An image that is to be locked: the name and version of its lines, and where it is asked for."""

    name: str
    version: str
    host: str
    path: str
    at: Location | None

    @property
    def text(self) -> str:
        return f"{self.name}{'@' if ':' in self.version else ':'}{self.version}"


def resolve(
    named: Iterable[Named],
    locked: Iterable[LockedImage],
    arches: Sequence[str],
    access: Access,
    update: Iterable[str] = (),
) -> Resolved:
    """Resolve the images that are not locked for all of `arches`, and those that `update` names as well.

    Raises `BuildErrors`: what registries say (B440 to B445), and B448 where an image has no architecture; `UsageError`
    B011 where `update` names an image that is not among `named`.
    """
    known = {(image.name, image.version): image for image in locked}
    again = _Again(update)
    todo: dict[tuple[str, str], _Wanted] = {}
    kept = 0
    for one in named:
        reference = one.reference
        wanted = _Wanted(reference.name, reference.digest or reference.tag, reference.host, reference.path, one.at)
        have = known.get((wanted.name, wanted.version))
        is_again = again.names(one.text, wanted.text, wanted.name, str(reference))
        if have is not None and set(arches) <= set(have.children) and not is_again:
            kept += 1
        else:
            todo.setdefault((wanted.name, wanted.version), wanted)
    again.check()
    found = _ask(list(todo.values()), arches, access)
    moved = [
        f"{wanted.text}: sha256:{known[key].top or min(known[key].children.values())} -> sha256:{pins[0].sha256}"
        for key, wanted in todo.items()
        if (pins := found[wanted]) and key in known and _differ(known[key], pins)
    ]
    return Resolved(tuple(pin for pins in found.values() for pin in pins), kept, tuple(moved))


def _differ(before: LockedImage, now: Sequence[Pin]) -> bool:
    pins = {pin.arch: pin.sha256 for pin in now}
    then = {**before.children, **({INDEX: before.top} if before.top else {})}
    return any(pins.get(arch, digest) != digest for arch, digest in then.items())


def _ask(todo: Sequence[_Wanted], arches: Sequence[str], access: Access) -> Mapping[_Wanted, tuple[Pin, ...]]:
    """Ask several registries at a time; raise all that is wrong."""
    from concurrent.futures import ThreadPoolExecutor

    found: dict[_Wanted, tuple[Pin, ...]] = {}
    errors: list[BuildError] = []
    with RegistryClient(access) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        running = {wanted: pool.submit(_Resolution(client, wanted, arches).run) for wanted in todo}
        for wanted, future in running.items():
            try:
                found[wanted] = future.result()
            except BuildErrors as several:
                errors += several.errors
            except BuildError as error:
                errors.append(error)
    if errors:
        raise BuildErrors(errors)
    return found


class _Resolution:
    """Finds out what one image is."""

    def __init__(self, client: RegistryClient, wanted: _Wanted, arches: Sequence[str]) -> None:
        self._client = client
        self._wanted = wanted
        self._arches = arches

    def run(self) -> tuple[Pin, ...]:
        """Return the pins of the image: its index first, if it has one."""
        wanted = self._wanted
        if not wanted.version.startswith("sha256:") and ":" in wanted.version:
            raise DependencyError(
                "B444",
                f"{wanted.text}: images are kept by their SHA-256 here, and cannot be locked by another digest",
                at=wanted.at,
                hint="name it by its tag, or by its sha256 digest",
            )
        try:
            described = self._client.head_manifest(wanted.host, wanted.path, wanted.version)
            if described is None:
                message = f"{wanted.host}: {wanted.path} has no {wanted.version}"
                raise RegistryFault(message, "missing")
            top = described.digest.removeprefix("sha256:")
            parsed = self._parsed(top)
            if isinstance(parsed, Manifest):
                os_name, arch = self._platform(parsed)
                children = {arch: top} if os_name == "linux" and arch else {}
                platforms = [f"{os_name}/{arch}"] if os_name and arch else []
            else:
                children = {arch: digest for arch in self._arches if (digest := self._child(parsed, arch, 1))}
                platforms = manifests.platforms(parsed)
        except RegistryFault as fault:
            raise registry_error(wanted.text, fault, wanted.at, is_locked=False) from fault
        missing = [arch for arch in self._arches if arch not in children]
        if missing:
            raise DependencyError(
                "B448",
                f"{wanted.text}: there is no image for {' and '.join(f'linux/{arch}' for arch in missing)}",
                at=wanted.at,
                notes=(f"it is there for {', '.join(platforms) or 'no platform that it names'}",),
                hint="name an image that is built for all architectures of the cluster",
            )
        pins = [(arch, children[arch]) for arch in self._arches]
        if isinstance(parsed, Index):
            pins.insert(0, (INDEX, top))
        return tuple(Pin("image", wanted.name, wanted.version, arch, digest, (SOURCE,)) for arch, digest in pins)

    def _parsed(self, digest: Digest) -> Index | Manifest:
        wanted = self._wanted
        found = self._client.manifest(wanted.host, wanted.path, f"sha256:{digest}")
        try:
            return manifests.parse(found.data)
        except ManifestFault as fault:
            raise DependencyError(
                "B444",
                f"{wanted.text}: the manifest sha256:{digest} cannot be used: {fault}",
                at=wanted.at,
                hint="ask for a version of the image that is built for Linux in a current form",
            ) from fault

    def _child(self, index: Index, arch: str, depth: int) -> Digest:
        """Return the digest of the manifest for an architecture; empty where there is none."""
        for candidate in manifests.candidates(index, arch):
            digest = candidate.descriptor.digest
            if candidate.descriptor.media_type not in manifests.INDEXES:
                return digest
            if depth < manifests.DEEPEST:
                nested = self._parsed(digest)
                if isinstance(nested, Index) and (found := self._child(nested, arch, depth + 1)):
                    return found
        return ""

    def _platform(self, manifest: Manifest) -> tuple[str, str]:
        """Return system and architecture of an image that has no index, as its config says; empty where it does not."""
        wanted, config = self._wanted, manifest.config
        data = bytearray()
        digest = f"sha256:{config.digest}"
        if config.size > manifests.MOST_BYTES:
            raise RegistryFault(f"{wanted.host}: the config {digest} has {config.size} bytes", "too-large")
        with self._client.blob(wanted.host, wanted.path, digest, config.size) as body:
            for chunk in body:
                data += chunk
            body.check(digest_bytes(data))
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            document = None
        said = document if isinstance(document, dict) else {}
        os_name, arch = (value if isinstance(value, str) else "" for value in map(said.get, ("os", "architecture")))
        return os_name, arch
