"""Digests: the SHA-256 of a blob, as 64 lower-case hexadecimal digits."""

from __future__ import annotations

import hashlib
import re
from typing import BinaryIO, TypeAlias

Digest: TypeAlias = str
"""64 lower-case hexadecimal digits; the identity of a blob, a tree or an action."""

CHUNK = 1 << 20
"""Bytes read at a time where a blob is streamed: large enough to release the GIL for long, small in memory."""

_HEX = re.compile(r"[0-9a-f]{64}")


def digest_bytes(data: bytes | bytearray | memoryview) -> Digest:
    """Return the digest of `data`."""
    return hashlib.sha256(data).hexdigest()


def digest_stream(stream: BinaryIO) -> tuple[Digest, int]:
    """Read `stream` to its end and return its digest and size in bytes."""
    hasher, size = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK):
        hasher.update(chunk)
        size += len(chunk)
    return hasher.hexdigest(), size


def is_digest(text: str) -> bool:
    """Tell whether `text` has the form of a digest."""
    return _HEX.fullmatch(text) is not None
