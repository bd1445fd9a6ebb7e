"""What the matrix contest builds: rootfs of many releases, two runtimes and two architectures, with much in common."""

from __future__ import annotations

import hashlib
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.mirror import Blob, Material
from benchmarks.workloads import RELEASE, TEMPLATES, Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CRIS = ("containerd", "docker")
ARCHES = ("amd64", "arm64")
OF_RELEASE = (("kubeadm", 3), ("kubectl", 3), ("kubelet", 4))
OF_CRI = (("runtime", 3), ("shim", 1))
OF_ARCH = (("tools", 2), ("images.gz", 4))
"""The names of blobs, and their shares of a rootfs."""
SHARES = sum(share for kind in (OF_RELEASE, OF_CRI, OF_ARCH) for _, share in kind)
LEAST = 4096
"""The fewest bytes of a blob."""
BY_RELEASE, BY_CRI = (0, 1), (2, 3)
"""The numbers of the templates whose variable is the release, and the runtime; that of the others never changes."""


class Product(NamedTuple):
    """One rootfs."""

    release: str
    cri: str
    arch: str

    @property
    def name(self) -> str:
        """The name of its target."""
        return f"{self.cri}-{self.arch}"


class Part(NamedTuple):
    """A blob, and what it is of: a release, a runtime, or (where both are empty) an architecture alone."""

    blob: Blob
    arch: str
    release: str = ""
    cri: str = ""

    def serves(self, product: Product) -> bool:
        """Tell whether it is in a rootfs."""
        return self.arch == product.arch and self.release in {"", product.release} and self.cri in {"", product.cri}


class Matrix:
    """Rootfs of the first `count` releases; more can be `added`."""

    def __init__(self, url: str, parts: tuple[Part, ...], count: int) -> None:
        self.url = url
        self.parts = parts
        self.count = count

    def added(self, more: int) -> Matrix:
        """Return the same with more releases."""
        return Matrix(self.url, self.parts, self.count + more)

    def releases(self) -> list[str]:
        """Return the releases, oldest first."""
        return [release(number) for number in range(self.count)]

    def products(self) -> list[Product]:
        """Return every rootfs."""
        return [Product(one, cri, arch) for one in self.releases() for cri in CRIS for arch in ARCHES]

    def blobs(self, product: Product) -> list[Blob]:
        """Return the blobs of a rootfs."""
        return [part.blob for part in self.parts if part.serves(product)]

    def locked(self) -> list[Part]:
        """Return the blobs of all releases so far."""
        releases = {"", *self.releases()}
        return [part for part in self.parts if part.release in releases]

    def templates(self) -> Iterator[tuple[Source, str]]:
        """Yield the templates, each with what its variable stands for: `release`, `cri`, or nothing that changes."""
        for number in range(TEMPLATES):
            lines = "".join(f"setting-{number}-{line} = value {line * 7919 % 1000}\n" for line in range(40))
            source = Source(f"context/rootfs/etc/file-{number:02}.in", f"version = @version@\n{lines}")
            yield source, "release" if number in BY_RELEASE else "cri" if number in BY_CRI else ""

    def expected(self, product: Product) -> dict[str, str]:
        """Return what each path of a rootfs must be: the digest of its content, and `+x` for a program."""
        found = {blob.place: blob.sha256 + "+x" * blob.executable for blob in self.blobs(product)}
        for source, of in self.templates():
            value = {"release": product.release, "cri": product.cri}.get(of, RELEASE)
            text = source.text.replace("@version@", value)
            found[place_of(source)] = hashlib.sha256(text.encode()).hexdigest()
        return found


def release(number: int) -> str:
    """Return the name of a release."""
    return f"1.30.{number}"


def place_of(source: Source) -> str:
    """Return the path in the tree of what is rendered from a template."""
    return source.path.removeprefix("context/rootfs/").removesuffix(".in")


def make_parts(folder: Path, releases: int, size: int) -> tuple[Part, ...]:
    """Write the blobs of so many releases to a folder; those of one rootfs have about `size` bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(1) as aside:  # hundreds of megabytes of memory that end with it
        return aside.submit(_make, folder, releases, size).result()


def _make(folder: Path, releases: int, size: int) -> tuple[Part, ...]:
    material = Material(min(size * releases, 400 << 20))

    def write(name: str, share: int, *of: str) -> Blob:
        file = "-".join((name, *of))
        data = material.content(name, max(LEAST, size * share // SHARES)) + file.encode()  # no two are the same
        (folder / file).write_bytes(data)
        return Blob(name, file, len(data), hashlib.sha256(data).hexdigest())

    found = []
    for arch in ARCHES:
        found += [Part(write(name, share, arch), arch) for name, share in OF_ARCH]
        found += [Part(write(name, share, cri, arch), arch, cri=cri) for cri in CRIS for name, share in OF_CRI]
        for one in map(release, range(releases)):
            found += [Part(write(name, share, one, arch), arch, one) for name, share in OF_RELEASE]
    return tuple(found)
