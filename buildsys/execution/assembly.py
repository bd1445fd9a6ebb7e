"""Outputs that are put together from segments: what stands is left, what is known is not hashed, the rest is written.

    segments   1 2 3 4 5 6 7 8 9
               |---| stand in the file already: an earlier output that begins alike
               |-------| told: the state of SHA-256 after them is known, so blobs are copied in the kernel, unread
                        |------| new: read, hashed and written

Two segments of one name have the same bytes; a blob has the bytes that its digest names while its file is the one that
was hashed. So the state of SHA-256 after some segments stands for the very bytes that are copied. To be sure, the
files of blobs are looked at once more after the copy.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from buildsys.archive.streams import SizeFault, copy
from buildsys.execution.copying import copy_range
from buildsys.execution.hashing import HashingWriter
from buildsys.execution.parts import Target, write_parts
from buildsys.execution.recipes import Recipe
from buildsys.store.cas import PACK_LIMIT, BlobMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from buildsys.adapters.sha256 import Plain, Sha256
    from buildsys.model.action import Segment, Writer
    from buildsys.model.digest import Digest
    from buildsys.store.cas import BlobStore

SPACING = 1 << 20
"""Bytes between two states of SHA-256 that are kept, at least; an output of fewer has no recipe."""


class Start(NamedTuple):
    """How an output is to be made: its first `standing` segments stand in the file, the first `told` are told.

    `recipe` is one that begins with the `told` segments, and `hasher` has hashed them; `digest` is that of the whole,
    where that is told.
    """

    names: tuple[bytes, ...]
    hasher: Sha256 | Plain
    standing: int = 0
    told: int = 0
    recipe: Recipe = Recipe()
    digest: Digest = ""

    @property
    def kept(self) -> int:
        """The number of bytes that stand in the file."""
        return self.recipe.end(self.standing)


class Made(NamedTuple):
    """An output that was made: its digest and size, its recipe, and the bytes of each kind of work that it took.

    `work` counts what was left `standing`, `copied` by the kernel, `written` and `hashed`.
    """

    digest: Digest
    size: int
    recipe: Recipe
    work: Counter[str]


def start(
    segments: Iterable[Segment],
    known: Iterable[tuple[Digest, Recipe]],
    standing: Recipe | None = None,
    *,
    whole: bool = True,
) -> Start:
    """Find out what need not be done, from the recipes `known` by their digests, and of the file that is there.

    `whole` tells that nothing follows the segments.
    """
    from buildsys.adapters import sha256

    names = tuple(map(name_digest, segments))
    best = Start(names, sha256.begin())
    for digest, recipe in known:
        shared = recipe.shared(names)
        if whole and shared == len(names) == len(recipe.names):
            best = best._replace(told=shared, recipe=recipe, digest=digest)
            break
        told = max((count for count in recipe.states if best.told < count <= shared), default=0)
        hasher = sha256.resume(recipe.states[told], recipe.end(told)) if told else None
        if hasher:
            best = best._replace(told=told, recipe=recipe, hasher=hasher)
    return best._replace(standing=min(standing.shared(names), best.told)) if standing else best


def name_digest(segment: Segment) -> bytes:
    """Return what stands for a segment in a recipe."""
    return hashlib.sha256(segment.name.encode()).digest()


def assemble(
    stream: BinaryIO,
    segments: tuple[Sequence[Segment], Iterable[Segment] | None],
    how: Start,
    blobs: BlobStore,
    check: Callable[[], None],
) -> Made:
    """Write to `stream`, an unbuffered file that stands at the end of what is kept, what of the segments is not there.

    The first of `segments` are those that `how` was found out from; the second follow.
    Raises `BlobMissing`, also when the file of a blob was changed meanwhile, and `SizeFault` when a blob has not the
    size that is stated; `check` may raise to give up.
    """
    try:
        return _Assembly(stream, segments, how, blobs, check).run()
    except _Misled:
        from buildsys.adapters import sha256

        stream.seek(0)
        stream.truncate()
        return _Assembly(stream, segments, Start(how.names, sha256.begin()), blobs, check).run()


class _Misled(Exception):
    """What was told of segments is not true."""


def write_segment(segment: Segment, blobs: BlobStore, out: Writer) -> None:
    """Write a segment as it is. Raises `BlobMissing`, and `SizeFault`."""
    if segment.blob:
        with _opened(blobs, segment) as source:
            copy(source, out)
    elif segment.write is not None:
        segment.write(out)


class _Assembly:
    def __init__(
        self,
        stream: BinaryIO,
        segments: tuple[Sequence[Segment], Iterable[Segment] | None],
        how: Start,
        blobs: BlobStore,
        check: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._segments, self._rest = segments
        self._how = how
        self._blobs = blobs
        self._check = check
        self._work: Counter[str] = Counter(standing=how.kept)
        self._copied: dict[Digest, Digest] = {}
        """The blobs that the kernel copied, each with the blob that it is, or is a part of."""

    def run(self) -> Made:
        how, recipe = self._how, self._how.recipe
        self._copy_told()
        told = recipe.end(how.told)
        if how.digest:
            return Made(how.digest, told, recipe, self._work)
        names, ends = list(how.names), list(recipe.ends[: how.told])
        states = {count: state for count, state in recipe.states.items() if count <= how.told}
        with HashingWriter(self._stream, self._check, how.hasher) as out:
            at = told
            following = chain(self._segments[how.told :], self._rest or ())
            for count, segment in enumerate(following, how.told + 1):
                if count > len(names):
                    names.append(name_digest(segment))
                write_segment(segment, self._blobs, out)
                ends.append(told + out.size)
                if ends[-1] - at >= SPACING:
                    at = ends[-1]
                    out.then(partial(_note, states, count, how.hasher))
        self._work.update(written=out.size, hashed=out.size)
        states = {count: state for count, state in states.items() if state}
        return Made(out.digest, told + out.size, Recipe(tuple(names), tuple(ends), states), self._work)

    def _copy_told(self) -> None:
        """Write the segments that are told and not there."""
        how = self._how
        buffer = _Buffer(self._stream)
        for segment in self._segments[how.standing : how.told]:
            self._check()
            if not segment.blob or not self._clone(segment, buffer):
                write_segment(segment, self._blobs, buffer)
        buffer.flush()
        self._work["written"] += buffer.size
        if how.kept + self._work["copied"] + buffer.size != how.recipe.end(how.told):
            raise _Misled
        for digest, whole in self._copied.items():
            if self._blobs.path(digest) is None:
                raise BlobMissing(whole)

    def _clone(self, segment: Segment, buffer: _Buffer) -> bool:
        """Copy a blob in the kernel, or its parts; False when it is a small one, which has no file."""
        if self._blobs.path(segment.blob) is None:
            return segment.size >= PACK_LIMIT and self._clone_parts(segment, buffer)
        buffer.flush()
        with _opened(self._blobs, segment) as source:
            done = copy_range(source.fileno(), self._stream.fileno(), segment.size, self._check)
        if done < segment.size:
            raise BlobMissing(segment.blob)
        self._copied[segment.blob] = segment.blob
        self._work["copied"] += done
        return True

    def _clone_parts(self, segment: Segment, buffer: _Buffer) -> bool:
        """Copy a composed blob; False when it is not one."""
        parts = self._blobs.parts(segment.blob)
        target = Target(buffer, self._stream.fileno(), self._check)
        copied = write_parts(self._blobs, segment.blob, parts, target)
        self._copied.update(dict.fromkeys(copied, segment.blob))
        self._work["copied"] += sum(copied.values())
        return bool(parts)


def _note(states: dict[int, bytes], count: int, hasher: Sha256 | Plain) -> None:
    states[count] = hasher.freeze()


class _Buffer:
    """Gathers small writes that are not to be hashed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._held = bytearray()
        self.size = 0

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        self._held += data
        if len(self._held) >= SPACING:
            self.flush()
        return len(data)

    def flush(self) -> None:
        self.size += len(self._held)
        view = memoryview(self._held)
        while view:
            view = view[self._stream.write(view) :]
        self._held = bytearray()


def _opened(blobs: BlobStore, segment: Segment) -> BinaryIO:
    """Open the blob of a segment, which must have the size that is stated."""
    stream = blobs.open(segment.blob)
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    if size != segment.size:
        stream.close()
        raise SizeFault(f"the blob {segment.blob} has {size} bytes, not {segment.size}")
    return stream
