"""Loading an image into podman or docker: a docker-archive, which all their versions read, made while it is sent.

Source: docker's image spec v1.2, "Combined Image JSON". Layers compressed by gzip are sent as they are; docker before
23.0 reads no others, so these are sent uncompressed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from buildsys.archive import tar
from buildsys.archive.detect import open_compressed
from buildsys.archive.streams import padding
from buildsys.errors import EnvironmentFault, UsageError, did_you_mean
from buildsys.model.digest import CHUNK, digest_bytes
from buildsys.oci.docker_archive import docker_archive
from buildsys.oci.image import LAYER_GZIP, LAYER_ZSTD
from buildsys.push.image import lost
from buildsys.store.cas import BlobMissing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from buildsys.archive.streams import Readable
    from buildsys.model.digest import Digest
    from buildsys.oci.image import Descriptor
    from buildsys.oci.manifest import Manifest
    from buildsys.push.image import Image

ENGINES = ("podman", "docker")
"""Where to load, the first that is there; both read a docker-archive from their standard input."""

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_ARCH = "--arch="
_LAST = 3
"""How many of the last lines that an engine says are shown."""


class Wish(NamedTuple):
    """What is asked for behind `--`; empty where it is left to us."""

    engine: str = ""
    arch: str = ""


def parse_words(words: Sequence[str]) -> Wish:
    """Return what the words behind `--` ask for. Raises `UsageError` B455."""
    found = Wish()
    for word in words:
        if word.startswith(_ARCH):
            found = found._replace(arch=word.removeprefix(_ARCH))
        elif word in ENGINES:
            found = found._replace(engine=word)
        else:
            hint = did_you_mean(word, ENGINES) or "write `-- podman`, `-- docker` or `-- --arch=arm64`"
            raise UsageError("B455", f"there is no loading into '{word}'", hint=hint)
    return found


def find_engine(wanted: str) -> str:
    """Return the path of the engine to load into. Raises `EnvironmentFault` B456 where there is none."""
    names = (wanted,) if wanted else ENGINES
    for name in names:
        if path := shutil.which(name):
            return path
    message = f"there is no {' and no '.join(names)} on this machine's PATH"
    raise EnvironmentFault("B456", message, hint="install one, or push the image to a registry")


class Loading(NamedTuple):
    """An image about to be loaded: of one architecture, under tags, into the engine that is at a path."""

    image: Image
    arch: str
    chosen: Manifest
    tags: Sequence[str]
    engine: str


def choose(image: Image, wish: Wish, tags: Sequence[str], engine: str) -> Loading:
    """Choose the image to load: for the architecture asked for, else this machine's, else the only one.

    Raises `UsageError` B455 for one that is not there.
    """
    children = [(arch or _arch_of(image, one), one) for arch, one in image.children()]
    machine = os.uname().machine
    arch = wish.arch or _MACHINES.get(machine, machine)
    if not wish.arch and len(children) == 1:
        arch = children[0][0]
    for found, one in children:
        if found == arch:
            return Loading(image, arch, one, tags, engine)
    there = " and ".join(found for found, _ in children)
    raise UsageError(
        "B455", f"the image is there for {there}, not for {arch}", hint=f"write `-- {_ARCH}{children[0][0]}`"
    )


def _arch_of(image: Image, manifest: Manifest) -> str:
    return str(json.loads(image.read(manifest.config)).get("architecture", ""))


def load(loading: Loading) -> None:
    """Load an image. Raises `EnvironmentFault`: B457 where the engine refuses it, B458 for a blob that is lost."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([loading.engine, "load"], stdin=subprocess.PIPE, stdout=said, stderr=said)
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        try:
            for data in _archive(loading):
                process.stdin.write(data)
        except BrokenPipeError:
            pass  # it says why
        except BaseException:
            process.kill()
            raise
        finally:
            with suppress(BrokenPipeError):
                process.stdin.close()
            code = process.wait()
        if code:
            said.seek(0)
            raise _refused(os.path.basename(loading.engine), code, said.read())


def _refused(name: str, code: int, said: bytes) -> EnvironmentFault:
    lines = said.decode("utf-8", "replace").strip().splitlines()[-_LAST:]
    return EnvironmentFault(
        "B457",
        f"`{name} load` has failed with exit code {code}",
        notes=tuple(f"{name}: {line}" for line in lines),
        hint=f"see that `{name} info` works, and that there is room for the image",
    )


def _archive(loading: Loading) -> Iterator[bytes]:
    """Yield the bytes of the docker-archive."""
    made: dict[Digest, bytes] = {}
    sources: dict[Digest, Descriptor] = {}

    def put(data: bytes) -> Digest:
        digest = digest_bytes(data)
        made[digest] = data
        return digest

    layers = []
    for layer in loading.chosen.layers:
        sources[layer.digest] = layer
        layers.append(layer if layer.media_type == LAYER_GZIP else layer._replace(size=_size(loading.image, layer)))
    config = loading.chosen.config
    made[config.digest] = loading.image.read(config)
    for entry in docker_archive(config, layers, loading.tags, put).entries:
        yield tar.header(entry)
        if entry.digest in made:
            yield made[entry.digest]
        else:
            yield from _content(loading.image, sources[entry.digest])
        yield bytes(padding(entry.size))
    yield tar.END


def _size(image: Image, layer: Descriptor) -> int:
    return sum(map(len, _content(image, layer)))


def _content(image: Image, layer: Descriptor) -> Iterator[bytes]:
    """Yield a layer as it is sent."""
    try:
        with image.open(layer) as stream:
            source: Readable = open_compressed(stream, "zstd") if layer.media_type == LAYER_ZSTD else stream
            while data := source.read(CHUNK):
                yield data
    except BlobMissing as missing:
        raise lost(missing.digest) from missing
