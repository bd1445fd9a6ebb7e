"""Streams in pieces, at their edges."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildsys.archive.detect import is_tar_header
from buildsys.archive.fault import ArchiveFault
from buildsys.archive.streams import Chunked, Padded, Prefixed, Section, SizeFault, pieces, read_full
from buildsys.archive.tar import header
from buildsys.model.tree import FILE, Entry


class Trickle:
    def __init__(self, data: bytes, step: int) -> None:
        self._stream = io.BytesIO(data)
        self._step = step

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, self._step))


def drain(source: Section | Padded | Chunked | Prefixed, size: int) -> bytes:
    return b"".join(iter(lambda: source.read(size), b""))


@given(st.binary(max_size=50), st.integers(1, 9), st.integers(1, 60))
def test_pieces_have_one_size_however_short_the_reads(data: bytes, step: int, size: int) -> None:
    found = list(pieces(Trickle(data, step), size))
    assert b"".join(found) == data
    assert all(len(piece) == size for piece in found[:-1])
    assert read_full(Trickle(data, step), size) == data[:size]


@given(st.binary(max_size=1100), st.integers(1, 700), st.integers(1, 700))
def test_padding_fills_whole_blocks(data: bytes, step: int, size: int) -> None:
    found = drain(Padded(Trickle(data, step), len(data)), size)
    assert found == data + bytes(-len(data) % 512)


@pytest.mark.parametrize("stated", [2, 4])
def test_padding_minds_the_size(stated: int) -> None:
    with pytest.raises(SizeFault):
        drain(Padded(io.BytesIO(b"abc"), stated), 100)


@given(st.lists(st.binary(max_size=9), max_size=9), st.integers(1, 20))
def test_chunks_are_one_stream(chunks: list[bytes], size: int) -> None:
    assert drain(Chunked(iter(chunks)), size) == b"".join(chunks)


def test_a_section_ends_where_it_should_and_not_before() -> None:
    source = io.BytesIO(b"abcdef")
    section = Section(source, 4)
    assert (section.read(3), section.read(3), section.read(3), section.left) == (b"abc", b"d", b"", 0)
    assert source.read() == b"ef"
    with pytest.raises(ArchiveFault, match="cut short"):
        Section(io.BytesIO(b"ab"), 3).skip()
    assert Section(io.BytesIO(b"ab"), 2).read(-1) == b"ab"


def test_a_prefix_comes_first() -> None:
    assert drain(Prefixed(b"abc", io.BytesIO(b"de")), 2) == b"abcde"


def test_checksums_of_old_tars_that_took_bytes_for_signed_are_good() -> None:
    block = bytearray(header(Entry("caf", FILE, 0o644, "0" * 64, 0)))
    block[3] = 0xE9
    block[148:156] = b" " * 8
    unsigned = sum(block)
    for checksum in (unsigned, unsigned - 256):
        block[148:156] = b"%06o\0 " % checksum
        assert is_tar_header(bytes(block))
    block[148:156] = b"%06o\0 " % (unsigned + 1)
    assert not is_tar_header(bytes(block))
