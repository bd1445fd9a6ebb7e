"""Gzip members of fixed bytes."""

from __future__ import annotations

import gzip as python_gzip
import io
import os
import subprocess
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildsys.archive import gzip, stored
from buildsys.model.digest import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildsys.archive.streams import Readable
    from buildsys.model.action import Writer


class Trickle:
    """A source that answers with fewer bytes than asked for."""

    def __init__(self, data: bytes, step: int) -> None:
        self._stream = io.BytesIO(data)
        self._step = step

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, self._step))


def squeeze(data: bytes, level: int = 6, step: int = CHUNK) -> bytes:
    out = io.BytesIO()
    gzip.compress_stream(Trickle(data, step), out, len(data), level)
    return out.getvalue()


def test_the_header_names_nothing_of_this_machine() -> None:
    assert squeeze(b"x")[:10] == bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255])


def test_an_id_names_library_and_level() -> None:
    assert gzip.compressor_id(6) == f"zlib-{zlib.ZLIB_RUNTIME_VERSION}-level6"


@given(st.binary(max_size=3000), st.sampled_from([1, 6, 9]))
def test_python_and_gzip_read_it(data: bytes, level: int) -> None:
    assert python_gzip.decompress(squeeze(data, level)) == data


def test_short_reads_do_not_change_the_bytes() -> None:
    data = os.urandom(3 << 10) * 1000 + b"tail"
    assert squeeze(data, step=4099) == squeeze(data)


@pytest.mark.parametrize(
    "write", [lambda src, dst, size: gzip.compress_stream(src, dst, size, 6), stored.store_gzip, stored.store_zstd]
)
@pytest.mark.parametrize("stated", [2, 4])
def test_a_wrong_size_is_refused(write: Callable[[Readable, Writer, int], None], stated: int) -> None:
    with pytest.raises(ValueError, match="the content has 3 bytes"):
        write(io.BytesIO(b"123"), io.BytesIO(), stated)


@pytest.mark.parametrize("size", [0, 1, 0xFFFE, 0xFFFF, 0x10000, 0x1FFFF, 128 << 10, (128 << 10) + 1, 1 << 20])
def test_stored_forms_are_read_by_their_programs(size: int) -> None:
    data = os.urandom(size)
    for write, command in ((stored.store_gzip, ["gzip", "-dc"]), (stored.store_zstd, ["zstd", "-dcq"])):
        out = io.BytesIO()
        write(Trickle(data, 5000), out, size)
        assert subprocess.run(command, input=out.getvalue(), capture_output=True, check=True).stdout == data
        assert len(out.getvalue()) <= size + 30 + size // 8000


@pytest.mark.parametrize("command", [["gzip", "-c"], ["bzip2", "-c"], ["xz", "-c"], ["zstd", "-cq"]])
def test_compressed_content_is_known_as_such(command: list[str]) -> None:
    text = b"".join(b"line %d of some text\n" % (n * n) for n in range(40_000))
    data = subprocess.run(command, input=text, capture_output=True, check=True).stdout
    assert stored.is_squeezed(io.BytesIO(data), len(data))
    assert not stored.is_squeezed(io.BytesIO(text), len(text))
    if command[0] != "bzip2":  # its blocks begin with tables that squeeze: known by its magic alone
        hidden = b"HEAD" + data * 3
        assert stored.is_squeezed(io.BytesIO(hidden), len(hidden))


def test_random_bytes_are_not_worth_squeezing_and_programs_are() -> None:
    noise = os.urandom(200_000)
    assert stored.is_squeezed(io.BytesIO(noise), len(noise))
    with open("/bin/tar", "rb") as program:
        assert not stored.is_squeezed(program, os.path.getsize("/bin/tar"))
    half = noise + b"text that squeezes well\n" * 9000
    assert not stored.is_squeezed(io.BytesIO(half), len(half))
