"""Trees for tests: random ones by hypothesis, and their contents."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

from hypothesis import strategies as st

from buildsys.model.digest import Digest, digest_bytes
from buildsys.model.tree import DIRECTORY, FILE, SYMLINK, Entry, PathFault, Tree

if TYPE_CHECKING:
    from collections.abc import Iterable


class Blobs:
    """Contents by digest, in memory."""

    def __init__(self) -> None:
        self.data: dict[Digest, bytes] = {}

    def file(self, path: str, data: bytes, mode: int = 0o644) -> Entry:
        digest = digest_bytes(data)
        self.data[digest] = data
        return Entry(path, FILE, mode, digest, len(data))

    def open(self, digest: Digest) -> BinaryIO:
        return io.BytesIO(self.data[digest])


def link(path: str, target: str) -> Entry:
    return Entry(path, SYMLINK, target=target)


def directory(path: str, mode: int = 0o755) -> Entry:
    return Entry(path, DIRECTORY, mode)


_SEGMENT = st.one_of(
    st.text("abc-_. é日", min_size=1, max_size=6),
    st.text("xy", min_size=90, max_size=120),
    st.text("ß", min_size=40, max_size=100),
).filter(lambda text: text.strip(". ") != "")
_PATH = st.lists(_SEGMENT, min_size=1, max_size=4).map("/".join)
_CONTENT = st.one_of(
    st.binary(max_size=1200), st.integers(60_000, 140_000).map(lambda size: b"0123456789abcdef\n" * (size // 17))
)


@st.composite
def trees(draw: st.DrawFn) -> tuple[Tree, Blobs]:
    """A tree with files of all sizes, links, directories, long and foreign names, and its contents."""
    blobs = Blobs()
    entries: list[Entry] = []
    for path in draw(st.lists(_PATH, max_size=12)):
        entry = draw(
            st.one_of(
                st.builds(blobs.file, st.just(path), _CONTENT, st.sampled_from([0o644, 0o755, 0o600, 0o4755])),
                st.builds(link, st.just(path), _SEGMENT),
                st.builds(directory, st.just(path), st.sampled_from([0o755, 0o700, 0o1777])),
            )
        )
        entries = _with(entries, entry)
    return Tree.of(entries), blobs


def _with(entries: list[Entry], entry: Entry) -> list[Entry]:
    try:
        Tree.of([*entries, entry])
    except PathFault:
        return entries
    return [*entries, entry]


def rootfs(blobs: Blobs, names: Iterable[int]) -> Tree:
    """A tree as a rootfs has: scripts and manifests by the hundred, and a few large binaries."""
    small = [
        blobs.file(f"etc/manifests/part-{n % 7}/{n}.yaml", f"name: item-{n}\n".encode() * (n % 300 + 1)) for n in names
    ]
    large = [blobs.file(f"bin/tool-{n}", f"binary {n}\n".encode() * 20_000, 0o755) for n in range(4)]
    return Tree.of([*small, *large, link("bin/tool", "tool-1")])
