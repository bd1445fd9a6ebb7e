"""The frames of an archive: remembered from build to build, made now, or (payloads that do not squeeze) stored."""

from __future__ import annotations

from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, TypeAlias

from buildsys.archive import frames
from buildsys.archive.parts import write_part
from buildsys.archive.stored import is_squeezed, stored_size
from buildsys.model.action import Segment, Value
from buildsys.model.composition import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from buildsys.archive.compressors import Compressor
    from buildsys.archive.frames import Piece
    from buildsys.model.action import ActionIO
    from buildsys.model.digest import Digest

Frame: TypeAlias = Part | bytes
"""A frame that is kept in the store (or made of what is), or a small one for which no blob is read."""


class Emission:
    """One archive being put together from frames, for which `squeeze` compresses."""

    def __init__(self, io: ActionIO, squeeze: Compressor) -> None:
        self._io = io
        self._squeeze = squeeze
        self._squeezed: dict[Digest, bool] = {}

    def sequence(self, recipe: Sequence[Piece]) -> tuple[list[Frame], Iterator[Frame] | None]:
        """Return the frames of a recipe: those up to the first that is to be waited for, and the others, if any.

        All that are not kept are begun.
        """
        have, making = self.begin(recipe)
        keys = [self._key(piece) for piece in recipe]
        known = next((number for number, key in enumerate(keys) if key in making), len(keys))
        first = [self._frame(piece, have.get(key)) for piece, key in zip(recipe[:known], keys, strict=False)]
        rest = (
            self._frame(piece, making[key]() if key in making else have.get(key))
            for piece, key in zip(recipe[known:], keys[known:], strict=True)
        )
        return first, rest if making else None

    def begin(self, recipe: Sequence[Piece]) -> tuple[dict[str, Value], dict[str, Callable[[], Value]]]:
        """Begin to make the frames that are not kept. Return those that are, and what waits for the others."""
        pieces = {key: piece for piece in recipe if (key := self._key(piece))}
        have = self._io.recall(*pieces)
        making = {
            key: self._io.begin(key, partial(self._make, piece)) for key, piece in pieces.items() if key not in have
        }
        return have, making

    def read_anew(self, recipe: Sequence[Piece]) -> list[Piece]:
        """Return the pieces whose blobs are read: those without a kept frame, and payloads that are stored as is."""
        keys = [self._key(piece) for piece in recipe]
        have = self._io.recall(*filter(None, keys))
        anew: list[Piece] = []
        for piece, key in zip(recipe, keys, strict=True):
            value = have.get(key)
            if value is None or (isinstance(piece, frames.Payload) and value.digest == piece.digest):
                anew.append(piece)
        return anew

    def segment(self, frame: Frame) -> Segment:
        """Return a frame as a stretch of an output."""
        if isinstance(frame, bytes):
            return Segment.of_bytes(frame)
        if not frame.form:
            return Segment.of_blob(frame.blob, frame.size)
        name = f"{frame.form} {frame.length}+{frame.zeros} {frame.blob} {frame.start}"
        return Segment(name, write=partial(write_part, frame, self._io.open_blob))

    def _key(self, piece: Piece) -> str:
        """Name all that shapes the frame of a piece; empty if no blob is read for it: such a frame is not kept."""
        if isinstance(piece, frames.Payload):
            return f"frame {frames.LAYOUT} payload {piece.key} {self._squeeze.id}"
        return f"frame {frames.LAYOUT} group {piece.key} {self._squeeze.id}" if piece.has_blobs else ""

    def _make(self, piece: Piece) -> Value:
        """Make the frame of a piece; a payload that is not worth squeezing is its own answer."""
        io = self._io
        if isinstance(piece, frames.Payload) and self._is_squeezed(piece):
            return Value(piece.digest, piece.size)
        with frames.opened(piece, io.open_blob) as source, io.create_blob() as blob:
            self._squeeze.compress(source, blob, frames.span(piece))
        return Value(blob.digest, blob.size)

    def _is_squeezed(self, piece: frames.Payload) -> bool:
        """Tell whether a payload is not worth squeezing; looked at once for all of its slices."""
        found = self._squeezed.get(piece.digest)
        if found is None:
            with self._io.open_blob(piece.digest) as stream:
                found = self._squeezed[piece.digest] = is_squeezed(stream, piece.size)
        return found

    def _frame(self, piece: Piece, frame: Value | None) -> Frame:
        if frame is None:
            made = BytesIO()
            with frames.opened(piece, self._io.open_blob) as source:
                self._squeeze.compress(source, made, frames.span(piece))
            return made.getvalue()
        if isinstance(piece, frames.Payload) and frame.digest == piece.digest:
            form = self._squeeze.stored_id
            size = stored_size(form, frames.span(piece))
            return Part(piece.digest, size, form, piece.start, piece.length, piece.zeros)
        return Part(frame.digest, frame.size)
