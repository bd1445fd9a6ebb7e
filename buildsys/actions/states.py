"""The digest of a sequence of segments, of which what they begin with is not hashed again.

After every few mebibytes the state of SHA-256 is kept as a by-product, under a key that chains the names of all
segments before it. Names tell every byte, so whatever sequence begins alike, of whatever target or workspace, goes on
from there. (An output that stands in the output folder has its states in a recipe beside it, see `execution.recipes`;
here there need not be such an output.)
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from buildsys.adapters import sha256
from buildsys.archive.parts import write_part
from buildsys.model.action import Value
from buildsys.model.composition import Part
from buildsys.model.digest import digest_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from buildsys.adapters.sha256 import Plain, Sha256
    from buildsys.model.action import ActionIO, Segment
    from buildsys.model.digest import Digest

FORMAT = 1
"""The version of what is kept."""

SPACING = 4 << 20
"""Bytes between two states that are kept, at least: so many and one segment are hashed again for nothing."""


class Hashed(NamedTuple):
    """The digest of a sequence, its size in bytes, and how many of them were hashed for it."""

    digest: Digest
    size: int
    anew: int


def hash_segments(io: ActionIO, segments: Sequence[Segment], rest: Iterable[Segment] | None = None) -> Hashed:
    """Hash segments one after the other; `rest` follows, and is asked for one by one.

    Raises as the segments' own `write`, and `SizeFault` when a blob has not the size that is stated.
    """
    keys = _keys(segments)
    told, sink = _last_state(io, keys)
    key, start = keys[told - 1] if told else _FIRST, sink.size
    at = start
    for segment in chain(segments[told:], rest or ()):
        io.pause(0)
        if segment.write is not None:
            segment.write(sink)
        else:
            write_part(Part(segment.blob, segment.size), io.open_blob, sink)
        key = _next(key, segment)
        if sink.size - at >= SPACING:
            at = sink.size
            _keep(io, key, sink)
    return Hashed(sink.hasher.hexdigest(), sink.size, sink.size - start)


def untold(io: ActionIO, segments: Sequence[Segment]) -> int:
    """Return how many segments, the first ones, `hash_segments` would not read."""
    return _last_state(io, _keys(segments))[0]


class _Sink:
    """Hashes what is written."""

    def __init__(self, hasher: Sha256 | Plain, size: int) -> None:
        self.hasher = hasher
        self.size = size

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        self.hasher.update(data if isinstance(data, bytes) else bytes(data))
        self.size += len(data)
        return len(data)


_FIRST = digest_bytes(f"states {FORMAT}".encode())


def _next(key: Digest, segment: Segment) -> Digest:
    """Return what names all segments up to one, where `key` names those before it."""
    return digest_bytes(f"{key} {segment.name}".encode())


def _keys(segments: Iterable[Segment]) -> list[Digest]:
    keys, key = [], _FIRST
    for segment in segments:
        key = _next(key, segment)
        keys.append(key)
    return keys


def _name(key: Digest) -> str:
    return f"state {FORMAT} {key}"


def _last_state(io: ActionIO, keys: Sequence[Digest]) -> tuple[int, _Sink]:
    """Return how many segments have been hashed before, and the digest after them, to go on with."""
    found = io.recall(*map(_name, keys))
    for count in range(len(keys), 0, -1):
        value = found.get(_name(keys[count - 1]))
        if value is None:
            continue
        with io.open_blob(value.digest) as stream:
            done, _, state = stream.read().partition(b"\n")
        hasher = sha256.resume(state, int(done))
        if hasher is not None:
            return count, _Sink(hasher, int(done))
    return 0, _Sink(sha256.begin(), 0)


def _keep(io: ActionIO, key: Digest, sink: _Sink) -> None:
    """Keep a state, where there is one."""
    state = sink.hasher.freeze()
    if state:
        data = b"%d\n" % sink.size + state
        io.remember(_name(key), Value(io.put_blob(data), len(data)))
