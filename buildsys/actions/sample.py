"""Stand-ins for binaries, archives and images: with `--config=sample` a whole rootfs is built with no network at all.

All bytes are written here, without a compressor, so they depend on the parameters alone. Programs run and say that they
are samples.
"""

from __future__ import annotations

import io as streams
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from buildsys.archive import frames, tar
from buildsys.archive.elf import printing_elf
from buildsys.archive.stored import store_gzip
from buildsys.errors import ActionFailed, Location
from buildsys.model.action import ActionIO, Artifact, BaseOperation, exempt
from buildsys.model.digest import digest_bytes
from buildsys.model.platform import ELF_MACHINES
from buildsys.model.tree import FILE, Entry, Tree
from buildsys.oci import image
from buildsys.oci.docker_archive import docker_archive
from buildsys.oci.reference import Reference, ReferenceFault
from buildsys.oci.registry_tree import StoredImage, registry_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildsys.oci.image import Descriptor

KINDS = ("elf", "script", "text")
ARCHIVES = ("tar", "tar.gz")


@dataclass(frozen=True, slots=True)
class SampleFile(BaseOperation):
    """A file that says `name`, `version` and `arch`: an `elf` program, a `script` or a `text`."""

    MNEMONIC: ClassVar[str] = "SampleFile"
    VERSION: ClassVar[int] = 1

    kind: str
    name: str
    version: str
    arch: str

    def execute(self, io: ActionIO) -> None:
        """Write output 0. Raises `ActionFailed` B708 for a kind or architecture there is no sample of."""
        data = _content(self.kind, self.name, self.version, self.arch)
        io.write(data, 0, executable=self.kind != "text")


@dataclass(frozen=True, slots=True)
class SampleArchive(BaseOperation):
    """An archive (`tar` or `tar.gz`) of samples; `members` are pairs of a path and a kind."""

    MNEMONIC: ClassVar[str] = "SampleArchive"
    VERSION: ClassVar[int] = 1

    format: str
    members: tuple[tuple[str, str], ...]
    name: str
    version: str
    arch: str

    def execute(self, io: ActionIO) -> None:
        """Write output 0. Raises `ActionFailed` B708 for a format, kind or architecture there is no sample of."""
        if self.format not in ARCHIVES:
            raise _unknown("archive format", self.format, ARCHIVES)
        files = []
        for path, kind in self.members:
            name = path.rpartition("/")[2]
            data = _content(kind, name, f"{self.version} of {self.name}", self.arch)
            files.append(_File(path, data, 0o644 if kind == "text" else 0o755))
        data = _tar(files)
        io.write(_gzip(data) if self.format == "tar.gz" else data, 0)


@dataclass(frozen=True, slots=True)
class SampleImage(BaseOperation):
    """A docker-archive of a one-layer image that prints its `reference`."""

    MNEMONIC: ClassVar[str] = "SampleImage"
    VERSION: ClassVar[int] = 1

    reference: str
    arch: str

    def execute(self, io: ActionIO) -> None:
        """Write output 0. Raises `ActionFailed` B707 for a malformed reference, B708 for an unknown architecture."""
        reference = _parse(self.reference, None)
        made = _make(reference, self.arch)
        for data in (made.config, made.layer):
            io.put_blob(data)
        config = image.describe(made.config, image.CONFIG)
        layer = image.describe(made.layer, image.LAYER)
        tree = docker_archive(config, [layer], [reference.familiar], io.put_blob)
        with io.create(0) as out:
            frames.write_tar(tree, io.open_blob, out)


@dataclass(frozen=True, slots=True)
class SampleRegistry(BaseOperation):
    """A registry's storage tree with a one-layer image for each line of `images`, of `arch` alone, below full indexes.

    `images` is a text file with one reference a line; what follows `#` is a comment.
    """

    MNEMONIC: ClassVar[str] = "SampleRegistry"
    VERSION: ClassVar[int] = 1

    images: Artifact
    arch: str
    shown: str = exempt("the path of the list as messages show it", default="")

    def execute(self, io: ActionIO) -> None:
        """Write the tree as output 0.

        Raises `ActionFailed` B707 for a line that is no reference or has no tag, B708 for an unknown architecture.
        """
        shown = self.shown or self.images.path
        found = [self._store(io, reference) for reference in _references(io, self.images, shown)]
        io.write_tree(registry_tree(found, io.put_blob), 0)

    def _store(self, io: ActionIO, reference: Reference) -> StoredImage:
        """Make the image for all architectures and keep what belongs to the wanted one."""
        children: list[Descriptor] = []
        kept: list[Descriptor] = []
        blobs: list[Descriptor] = []
        for arch in ELF_MACHINES if self.arch in ELF_MACHINES else (self.arch,):
            made = _make(reference, arch)
            layer = _gzip(made.layer)
            parts = [image.describe(made.config, image.CONFIG), image.describe(layer, image.LAYER_GZIP)]
            manifest = image.manifest_json(parts[0], parts[1:])
            children.append(image.describe(manifest, image.MANIFEST, arch))
            if arch == self.arch:
                kept, blobs = [children[-1]], parts
                for data in (made.config, layer, manifest):
                    io.put_blob(data)
        index = image.index_json(children)
        io.put_blob(index)
        top = image.describe(index, image.INDEX)
        return StoredImage(reference.path, reference.tag, top, (top, *kept), tuple(blobs), str(reference))


class _File(NamedTuple):
    path: str
    data: bytes
    mode: int


class _Made(NamedTuple):
    """The blobs of an image: its config and its uncompressed layer."""

    config: bytes
    layer: bytes


def _make(reference: Reference, arch: str) -> _Made:
    """Make an image; it does not depend on the host, so one name and tag in the registry is one image."""
    name = reference.path.rpartition("/")[2]
    program = _content("elf", reference.path, reference.tag, arch)
    layer = _tar([_File(name, program, 0o755)])
    config = image.config_json(
        arch,
        [digest_bytes(layer)],
        epoch=tar.EPOCH,
        entrypoint=(f"/{name}",),
        labels={"org.opencontainers.image.title": f"{reference.path} (buildsys sample, not deployable)"},
        created_by="buildsys sample",
    )
    return _Made(config, layer)


def _references(io: ActionIO, images: Artifact, shown: str) -> Iterator[Reference]:
    """Yield the references of an image list, each once."""
    seen: set[Reference] = set()
    for number, line in enumerate(io.read(images).decode("utf-8", "replace").splitlines(), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        reference = _parse(text, Location(shown, number, 1, len(line)))
        if reference not in seen:
            seen.add(reference)
            yield reference


def _parse(text: str, at: Location | None) -> Reference:
    try:
        reference = Reference.parse(text)
    except ReferenceFault as fault:
        raise ActionFailed(
            "B707", f"bad image reference: {fault}", at=at, hint="references look like `host/path:tag`"
        ) from fault
    if not reference.tag:
        raise ActionFailed(
            "B707",
            f"there can be no sample of '{text}': it is named by digest alone",
            at=at,
            hint="add a tag, as in `host/path:tag@sha256:...`, or build without --config=sample",
        )
    return reference._replace(digest="")


def _content(kind: str, name: str, version: str, arch: str) -> bytes:
    if arch not in ELF_MACHINES:
        raise _unknown("architecture", arch, tuple(ELF_MACHINES))
    line = f"{name} {version} (buildsys sample for {arch}, not deployable)"
    if kind == "elf":
        return printing_elf(arch, line)
    if kind == "script":
        quoted = line.replace("'", "'\\''")
        return f"#!/bin/sh\nprintf '%s\\n' '{quoted}'\n".encode()
    if kind == "text":
        return f"{line}\n".encode()
    raise _unknown("kind", kind, KINDS)


def _tar(files: list[_File]) -> bytes:
    """Return the canonical tar of a few small files."""
    blobs = {digest_bytes(file.data): file.data for file in files}
    tree = Tree.of(Entry(file.path, FILE, file.mode, digest_bytes(file.data), len(file.data)) for file in files)
    out = streams.BytesIO()
    frames.write_tar(tree, lambda digest: streams.BytesIO(blobs[digest]), out)
    return out.getvalue()


def _gzip(data: bytes) -> bytes:
    out = streams.BytesIO()
    store_gzip(streams.BytesIO(data), out, len(data))
    return out.getvalue()


def _unknown(what: str, value: str, known: tuple[str, ...]) -> ActionFailed:
    return ActionFailed("B708", f"there is no sample of the {what} '{value}'", hint=f"known: {', '.join(known)}")
