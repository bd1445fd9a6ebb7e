"""Frames by the zstandard library, and the reader that sees where they end."""

from __future__ import annotations

import io
import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildsys.adapters import zstd
from buildsys.model.digest import CHUNK

SKIPPABLE = b"\x50\x2a\x4d\x18\x05\x00\x00\x00hello"


class Trickle:
    def __init__(self, data: bytes, step: int) -> None:
        self._stream = io.BytesIO(data)
        self._step = step

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, self._step))


def squeeze(data: bytes, level: int = 3, step: int = CHUNK) -> bytes:
    out = io.BytesIO()
    zstd.compress_stream(Trickle(data, step), out, len(data), level)
    return out.getvalue()


def expand(data: bytes, step: int = CHUNK) -> bytes:
    reader = zstd.FrameReader(Trickle(data, step))
    return b"".join(iter(lambda: reader.read(CHUNK), b""))


def test_an_id_names_library_and_level() -> None:
    assert zstd.compressor_id(3) == f"zstd-{zstd.library_version()}-level3"
    assert len(zstd.library_version().split(".")) == 3


def test_a_frame_has_size_and_checksum() -> None:
    descriptor = squeeze(b"x" * 1000)[4]
    assert descriptor >> 6 or descriptor >> 5 & 1, "content size"
    assert descriptor >> 2 & 1, "checksum"
    assert squeeze(b"")[:4] == b"\x28\xb5\x2f\xfd"


@given(st.binary(max_size=3000), st.sampled_from([1, 3, 19]))
def test_round_trip(data: bytes, level: int) -> None:
    assert expand(squeeze(data, level)) == data


def test_short_reads_do_not_change_the_bytes() -> None:
    data = os.urandom(3 << 10) * 1000 + b"tail"
    assert squeeze(data, step=4099) == squeeze(data)
    assert subprocess.run(["zstd", "-dcq"], input=squeeze(data), capture_output=True, check=True).stdout == data


def test_all_frames_are_read_and_skippable_ones_passed_over() -> None:
    data = squeeze(b"one") + SKIPPABLE + squeeze(b"") + squeeze(b"two") + SKIPPABLE
    for step in (1, 7, CHUNK):
        assert expand(data, step) == b"onetwo"
    assert expand(SKIPPABLE + data) == b"onetwo"


@pytest.mark.parametrize(
    "content", [b"", b"short", os.urandom(300_000), bytes(300_000)], ids=["empty", "short", "noise", "zeros"]
)
def test_cut_streams_are_damage_at_every_cut(content: bytes) -> None:
    data = squeeze(content)
    cuts = {*range(1, min(40, len(data))), *range(max(1, len(data) - 10), len(data)), len(data) // 2} - {0, len(data)}
    for cut in sorted(cuts):
        with pytest.raises(zstd.ZstdFault):
            expand(data[:cut])
    for cut in sorted(cuts):
        with pytest.raises(zstd.ZstdFault):
            expand(data + data[:cut], 50)


@pytest.mark.parametrize("tail", [b"x", b"garbage", b"\0\0\0\0"])
def test_what_is_no_frame_is_refused(tail: bytes) -> None:
    with pytest.raises(zstd.ZstdFault):
        expand(squeeze(b"one") + tail)


def test_flipped_bits_are_seen_by_the_checksum() -> None:
    data = bytearray(squeeze(os.urandom(1000)))
    data[500] ^= 1
    with pytest.raises(zstd.ZstdFault, match="checksum"):
        expand(bytes(data))


@pytest.mark.parametrize("stated", [2, 4])
def test_a_wrong_size_is_refused(stated: int) -> None:
    with pytest.raises(ValueError, match="stated size"):
        zstd.compress_stream(io.BytesIO(b"123"), io.BytesIO(), stated, 3)


def test_windows_beyond_the_limit_are_refused() -> None:
    data = b"\x28\xb5\x2f\xfd\x00" + bytes([20 << 3]) + b"\x01\x00\x00"  # a window of 1 GiB
    with pytest.raises(zstd.ZstdFault, match="memory"):
        expand(data)
