"""SHA-256 that can stop half way: its state as a few bytes, from which any process, on any machine, can go on.

hashlib has no way to do so. libcrypto, on which it stands, keeps the state of SHA-256 as plain data (SHA256_CTX of
openssl/sha.h), so it is called directly; version 3 alone, since older ones may end the process where FIPS is enforced.
Before its first use it has to show that it computes right, stops and goes on. Where it is absent or fails, hashlib
does the work, and there are no states.

A state is what FIPS 180-4 calls the intermediate hash value (8 words), the number of bytes so far (8 bytes), and the
bytes that do not fill a block yet; integers are big-endian.
"""

from __future__ import annotations

import ctypes
import hashlib
import struct
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_size_t, c_ubyte, c_uint, c_uint32
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from buildsys.model.digest import Digest

NAME = "libcrypto.so.3"

_BLOCK = 64
_HEAD = struct.Struct(">8IQ")
_TESTED = bytes(range(256)) * 3
_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""FIPS 180-4's example: the digest of `abc`."""


class _Context(Structure):
    """SHA256_CTX: hash value, number of bits (low word first), incomplete block, bytes in it, length of the digest."""

    _fields_: ClassVar[Any] = (
        ("h", c_uint32 * 8),
        ("low", c_uint32),
        ("high", c_uint32),
        ("block", c_ubyte * _BLOCK),
        ("filled", c_uint),
        ("length", c_uint),
    )


class _Padded(Structure):
    """Room beyond the context, in case a library's is longer: the self-test then fails instead of the memory."""

    _fields_: ClassVar[Any] = (("context", _Context), ("spare", c_ubyte * 256))


class Sha256:
    """A digest being computed. One thread at a time; the GIL is free meanwhile."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._room = _Padded()
        library.SHA256_Init(byref(self._room.context))

    def update(self, data: bytes) -> None:
        """Go on with `data`."""
        self._library.SHA256_Update(byref(self._room.context), data, len(data))

    def hexdigest(self) -> Digest:
        """Return the digest of the bytes so far."""
        room, out = _Padded.from_buffer_copy(self._room), (c_ubyte * 32)()
        self._library.SHA256_Final(out, byref(room.context))
        return bytes(out).hex()

    def freeze(self) -> bytes:
        """Return the state."""
        context: Any = self._room.context
        done = (context.high << 32 | context.low) >> 3
        return _HEAD.pack(*context.h, done) + bytes(context.block)[: context.filled]

    def thaw(self, state: bytes) -> None:
        """Go on from a state. Raises `ValueError` for what is none."""
        *words, done = _HEAD.unpack_from(state.ljust(_HEAD.size, b"\0"))
        rest = state[_HEAD.size :]
        if len(state) < _HEAD.size or len(rest) != done % _BLOCK:
            raise ValueError("this is no state of SHA-256")
        context: Any = self._room.context
        context.h[:] = words
        context.high, context.low = done >> 29 & 0xFFFFFFFF, done << 3 & 0xFFFFFFFF
        context.block[: len(rest)] = list(rest)
        context.filled = len(rest)


class Plain:
    """The same by hashlib: it cannot stop half way, so its state is empty."""

    def __init__(self) -> None:
        self._hasher = hashlib.sha256()

    def update(self, data: bytes) -> None:
        """Go on with `data`."""
        self._hasher.update(data)

    def hexdigest(self) -> Digest:
        """Return the digest of the bytes so far."""
        return self._hasher.hexdigest()

    def freeze(self) -> bytes:
        """Return no state."""
        return b""


def begin() -> Sha256 | Plain:
    """Begin a digest."""
    library = _library(NAME)
    return Plain() if library is None else Sha256(library)


def resume(state: bytes, done: int) -> Sha256 | None:
    """Go on from the state after `done` bytes; None where that cannot be done, or the state is another one."""
    library = _library(NAME)
    if library is None:
        return None
    hasher = Sha256(library)
    try:
        hasher.thaw(state)
    except ValueError:
        return None
    return hasher if _HEAD.unpack_from(state)[-1] == done else None


@cache
def _library(name: str) -> Any:
    """Return libcrypto, or None where it is not there or does not do what is expected of it."""
    try:
        library = ctypes.CDLL(name)
        context = POINTER(_Context)
        for function, arguments in (
            (library.SHA256_Init, (context,)),
            (library.SHA256_Update, (context, c_char_p, c_size_t)),
            (library.SHA256_Final, (c_ubyte * 32, context)),
        ):
            function.argtypes, function.restype = arguments, c_int
    except (OSError, AttributeError):
        return None
    return library if _is_sound(library) else None


def _is_sound(library: Any) -> bool:
    """Tell whether a library computes right, and goes on from a state at every kind of place within a block."""
    known = Sha256(library)
    known.update(b"abc")
    if known.hexdigest() != _ABC:
        return False
    expected = hashlib.sha256(_TESTED).hexdigest()
    for cut in (0, 1, 63, 64, 65, 500, len(_TESTED)):
        first, second = Sha256(library), Sha256(library)
        first.update(_TESTED[:cut])
        try:
            second.thaw(first.freeze())
        except ValueError:
            return False
        second.update(_TESTED[cut:])
        if second.hexdigest() != expected or bytes(first._room.spare).strip(b"\0"):  # noqa: SLF001
            return False
    return True
