"""Archives that mean harm, and archives that are none."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import resource
import stat
import struct
import tarfile
import time
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildsys.adapters import zstd
from buildsys.archive.fault import ArchiveFault
from buildsys.archive.limits import Limits
from buildsys.archive.members import read_members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GIB = 1 << 30


def consume(data: bytes, limits: Limits | None = None) -> list[str]:
    names = []
    for member in read_members(io.BytesIO(data), limits=limits or Limits()):
        while member.reader.read(1 << 20):
            pass
        names.append(member.name)
    return names


def refused(data: bytes, limits: Limits | None = None) -> ArchiveFault:
    with pytest.raises(ArchiveFault) as caught:
        consume(data, limits)
    return caught.value


def tar_of(*infos: tarfile.TarInfo | tuple[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for item in infos:
            if isinstance(item, tuple):
                info = tarfile.TarInfo(item[0])
                info.size = len(item[1])
                archive.addfile(info, io.BytesIO(item[1]))
            else:
                archive.addfile(item)
    return out.getvalue()


def info(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, target
    return found


def zip_of(*names: str, data: bytes = b"x") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, data)
    return out.getvalue()


def zip_with_mode(mode: int, data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        item = zipfile.ZipInfo("special")
        item.create_system, item.external_attr = 3, mode << 16
        archive.writestr(item, data)
    return out.getvalue()


def pax(key: str, value: bytes) -> bytes:
    """A tar archive of one file with one pax record."""
    rest = b" " + key.encode() + b"=" + value + b"\n"
    record = str(len(rest) + 2).encode() + rest
    extra = tarfile.TarInfo("x")
    extra.type, extra.size = b"x", len(record)
    return extra.tobuf() + record.ljust(512, b"\0") + tar_of(("file", b"content"))


def name_of(value: object) -> str:
    """Names of tests hold no archives: their bytes may have the time in them, and xdist wants the same names twice."""
    return "archive" if isinstance(value, bytes) else repr(value)


def heavy_link() -> tarfile.TarInfo:
    found = info("h", tarfile.LNKTYPE, "f")
    found.size = 512
    return found


LINK, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.mark.parametrize(
    ("data", "member", "reason"),
    [
        (tar_of(("../evil", b"x")), "../evil", "leaves its root"),
        (tar_of(("a/../../evil", b"x")), "a/../../evil", "leaves its root"),
        (tar_of(("a/..", b"x")), "a/..", "leaves its root"),
        (tar_of(("/etc/passwd", b"x")), "/etc/passwd", "absolute"),
        (tar_of(("//x", b"x")), "//x", "absolute"),
        (tar_of(("new\nline", b"x")), "new\\nline", "control character"),
        (tar_of(info("l", LINK, "/etc")), "l", "absolute path"),
        (tar_of(info("l", LINK, "../x")), "l", "out of its root"),
        (tar_of(info("a/l", LINK, "../../x")), "a/l", "out of its root"),
        (tar_of(info("l", LINK, "")), "l", "empty"),
        (tar_of(info("l", LINK, "a\nb")), "l", "control character"),
        (tar_of(info("l", LINK, "a"), ("l/x", b"x")), "l/x", "below 'l', which is no directory"),
        (tar_of(("f", b"x"), ("f/x", b"x")), "f/x", "below 'f', which is no directory"),
        (tar_of(("f/x", b"x"), ("f", b"x")), "f", "stands twice"),
        (tar_of(("f", b"x"), ("f", b"y")), "f", "stands twice"),
        (tar_of(("f", b"x"), ("./f", b"x")), "f", "stands twice"),
        (tar_of(("f", b"x"), info("f", LINK, "g")), "f", "stands twice"),
        (tar_of(info("h", HARD, "missing")), "h", "no file before it"),
        (tar_of(info("h", HARD, "later"), ("later", b"x")), "h", "no file before it"),
        (tar_of(info("h", HARD, "h")), "h", "no file before it"),
        (tar_of(info("h", HARD, "/etc/shadow")), "/etc/shadow", "absolute"),
        (tar_of(info("h", HARD, "../x")), "../x", "leaves its root"),
        (tar_of(info("d", tarfile.DIRTYPE), info("h", HARD, "d")), "h", "no file before it"),
        (tar_of(info("l", LINK, "f"), info("h", HARD, "l")), "h", "no file before it"),
        (tar_of(info("c", tarfile.CHRTYPE)), "c", "a character device"),
        (tar_of(info("b", tarfile.BLKTYPE)), "b", "a block device"),
        (tar_of(info("p", tarfile.FIFOTYPE)), "p", "a fifo"),
        (tar_of((".", b"x")), "", "place of the root"),
        (pax("path", b"../evil"), "../evil", "leaves its root"),
        (pax("path", b"nul\0nul"), "nul\\x00nul", "control character"),
        (pax("path", b"\xff\xfe"), "\\xff\\xfe", "not UTF-8"),
        (zip_of("../evil"), "../evil", "leaves its root"),
        (zip_of("/abs"), "/abs", "absolute"),
        (zip_of("..\\evil"), "..\\\\evil", "backslash"),
        (zip_of("a/b", "a"), "a", "stands twice"),
        (zip_with_mode(stat.S_IFLNK | 0o777, b"/etc/passwd"), "special", "absolute path"),
        (zip_with_mode(stat.S_IFLNK | 0o777, b"../.."), "special", "out of its root"),
        (zip_with_mode(stat.S_IFLNK | 0o777, b"\xff"), "special", "not UTF-8"),
        (zip_with_mode(stat.S_IFLNK | 0o777, b"x" * 5000), "special", "too long"),
        (zip_with_mode(stat.S_IFIFO | 0o644, b""), "special", "a device, fifo or socket"),
        (zip_with_mode(stat.S_IFCHR | 0o644, b""), "special", "a device, fifo or socket"),
    ],
    ids=name_of,
)
def test_a_hostile_member_is_named(data: bytes, member: str, reason: str) -> None:
    fault = refused(data)
    assert (fault.kind, fault.member) == ("hostile", member)
    assert reason in fault.reason


def test_a_directory_may_stand_twice() -> None:
    kind = tarfile.DIRTYPE
    assert consume(tar_of(info("d", kind), ("d/f", b"x"), info("./d/", kind))) == ["d", "d/f", "d"]


def test_a_name_with_nul_in_a_zip_is_seen_though_zipfile_cuts_it() -> None:
    data = zip_of("evil?.txt").replace(b"evil?", b"evil\0")
    assert "NUL" in refused(data).reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"\n  <html><body>404", "an HTML page"),
        (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code>", "an XML document"),
        (b'{"message": "Not Found"}', "a JSON document"),
        (b"\x7fELF\x02\x01", "an ELF binary"),
        (b"#!/bin/sh\necho", "a script"),
        (b"404: Not Found\n", "text that begins with '404: Not Found'"),
        (bytes(range(1, 200)), "unknown data that begins with 01 02 03 04 05 06 07 08"),
        (gzip.compress(b"<html>"), "an HTML page within gzip"),
        (gzip.compress(b""), "an empty file within gzip"),
        (gzip.compress(gzip.compress(tar_of(("f", b"x")))), "a gzip stream within gzip"),
        (bz2.compress(b"\x7fELF" + bytes(600)), "an ELF binary within bzip2"),
        (b"!<arch>\n", "no Debian package"),
        (b"!<arch>\nx" + bytes(100), "an ar header cannot be read"),
        (b"!<arch>\n" + b"data.tar        0           0     0     100644  100       `\n" + bytes(10), "cut short"),
        (b"PK\x03\x04" + bytes(100), "the zip archive is broken"),
        (pax("size", b"lots"), "size is no number"),
        (pax("size", b"9" * 5), "cut short"),
        (pax("GNU.sparse.major", b"1"), "sparse"),
        (tar_of(info("s", b"S")), "sparse"),
        (tar_of(info("w", b"w")), "unknown type 'w'"),
        (tar_of(heavy_link()), "a hard link has a payload"),
        (zip_of("a").replace(b"\x14\0\0\0\x08", b"\x14\0\1\0\x08"), "it is encrypted"),
    ],
    ids=name_of,
)
def test_damage_is_told_by_what_is_seen(data: bytes, reason: str) -> None:
    fault = refused(data)
    assert fault.kind == "damaged"
    assert reason in str(fault)


GOOD = tar_of(("one", b"1" * 700), ("dir/two", b"2" * 70_000), form=tarfile.PAX_FORMAT)


def zstd_compress(data: bytes) -> bytes:
    out = io.BytesIO()
    zstd.compress_stream(io.BytesIO(data), out, len(data), 3)
    return out.getvalue()


def xz_compress(data: bytes) -> bytes:
    return lzma.compress(data)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": xz_compress,
    "zstd": zstd_compress,
}


@pytest.mark.parametrize("packer", PACKERS)
def test_a_cut_archive_is_damaged_wherever_it_is_cut(packer: str) -> None:
    data = PACKERS[packer](GOOD)
    assert consume(data) == ["one", "dir/two"]
    end = len(GOOD.rstrip(b"\0")) if packer == "plain" else len(data)
    for cut in {*range(1, end, max(1, end // 40)), *range(max(1, end - 9), end)}:
        assert refused(data[:cut]).kind == "damaged", cut


@pytest.mark.parametrize("packer", ["gzip", "bzip2", "xz", "zstd"])
def test_what_follows_the_last_stream_is_damage(packer: str) -> None:
    assert refused(PACKERS[packer](GOOD) + b"garbage").kind == "damaged"


@pytest.mark.parametrize("name", [*PACKERS, "zip"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_flipped_bytes_raise_nothing_but_faults(name: str, data: st.DataObject) -> None:
    packed = bytearray(zip_of("a", "dir/b", data=b"x" * 3000) if name == "zip" else PACKERS[name](GOOD))
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    try:
        consume(bytes(packed), Limits(total=64 << 20))
    except ArchiveFault as fault:
        assert fault.reason  # noqa: PT017 - not raising is fine too


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        [b"", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"!<arch>\n"]
    ),
    st.binary(max_size=700),
)
def test_random_bytes_raise_nothing_but_faults(head: bytes, tail: bytes) -> None:
    with pytest.raises(ArchiveFault):
        consume(head + tail + b"\1")


@pytest.mark.parametrize("field", [slice(124, 136), slice(100, 108)])
@pytest.mark.parametrize("value", [b"-1", b"1_0", b"+7", b"0o7", b"9", b"0x1", b"\xff" * 12, b"1 1"])
def test_numbers_that_python_would_take_are_no_octal_numbers(field: slice, value: bytes) -> None:
    block = bytearray(tar_of(("f", b"x"))[:512])
    width = field.stop - field.start
    block[field] = value[:width].ljust(width, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    fault = refused(bytes(block) + bytes(2048))
    assert fault.kind == "damaged"
    assert "for a number" in fault.reason


@pytest.mark.parametrize(
    "record",
    [b"", b"x", b"5 a=b\n", b"0 a=b\n", b"99 a=b\n", b"6 a=b", b"6 aab\n", b"-6 a=b\n", b"9" * 5000 + b" a=b\n"],
)
def test_pax_headers_that_cannot_be_read(record: bytes) -> None:
    extra = tarfile.TarInfo("x")
    extra.type, extra.size = b"x", len(record)
    data = extra.tobuf() + record + bytes(-len(record) % 512) + tar_of(("file", b"content"))
    if record:
        assert "a pax header cannot be read" in refused(data).reason
    else:
        assert consume(data) == ["file"]


def test_a_name_of_two_megabytes_is_refused_unread() -> None:
    extra = tarfile.TarInfo("x")
    extra.type, extra.size = b"L", 2 << 20
    assert "an extended header has 2097152 bytes" in refused(extra.tobuf() + bytes(3 << 20)).reason


class Zeros:
    """Tar bytes with `size` zeros as a payload, compressed as they are read; never in memory as a whole."""

    def __init__(self, size: int) -> None:
        header = tarfile.TarInfo("zeros")
        header.size = size
        self.chunks = self._chunks(header.tobuf(tarfile.GNU_FORMAT), size)

    def _chunks(self, header: bytes, size: int) -> Iterator[bytes]:
        yield header
        for _ in range(size >> 20):
            yield bytes(1 << 20)
        yield bytes(1024)

    def read(self, size: int, /) -> bytes:
        return next(self.chunks, b"")


@pytest.fixture(scope="module")
def zeros_zst() -> bytes:
    """10 GiB of zeros in a member, a megabyte as zstd."""
    out = io.BytesIO()
    zstd.compress_stream(Zeros(10 * GIB), out, 10 * GIB + 1536, 1)
    return out.getvalue()


def test_a_declared_bomb_is_stopped_before_it_is_unpacked(zeros_zst: bytes) -> None:
    began = time.process_time()
    fault = refused(zeros_zst)
    assert (fault.kind, fault.member) == ("bomb", "zeros")
    assert "more than 200 times its" in fault.reason
    assert time.process_time() - began < 0.5


def test_a_bomb_that_declares_nothing_is_stopped_on_the_way() -> None:
    """Zeros alone are an empty tar archive and what follows its end."""
    unit = gzip.compress(bytes(64 << 20), 1)
    began = time.process_time()
    tracemalloc.start()
    fault = refused(unit * 160)
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()
    assert fault.kind == "bomb"
    assert "1 GiB" in fault.reason
    assert time.process_time() - began < 20


def test_many_members_are_a_bomb_too() -> None:
    data = tar_of(*((f"f{n}", b"") for n in range(50)))
    assert len(consume(data, Limits(members=50))) == 50
    assert "more than 49 members" in refused(data, Limits(members=49)).reason


def test_totals_count_over_all_members() -> None:
    data = tar_of(("a", bytes(1000)), ("b", bytes(1000)))
    assert refused(data, Limits(total=2500)).kind == "bomb"
    assert refused(zip_of("a", "b", "c", data=bytes(1000)), Limits(total=2500)).kind == "bomb"
    assert consume(zip_of("a", "b", data=bytes(1000)), Limits(total=2500)) == ["a", "b"]


def test_a_zip_that_declares_ten_gigabytes_is_stopped() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(1 << 20))
    data = bytearray(out.getvalue())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFFE)
    assert refused(bytes(data)).kind == "bomb"


def test_honest_archives_squeeze_less_than_the_limit() -> None:
    limits = Limits(grace=1000)
    text = b"".join(b"line %d of a manifest\n" % n for n in range(5000))
    assert consume(gzip.compress(tar_of(("f", text))), limits) == ["f"]


def test_an_xz_stream_that_wants_gigabytes_of_memory_is_refused() -> None:
    data = lzma.compress(GOOD, filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}])
    assert consume(data) == ["one", "dir/two"]
    filters = data.index(b"\x21\x01")
    block = bytearray(data)
    block[filters + 2] = 39  # a dictionary of 3 GiB
    header_size = (block[12] + 1) * 4
    import zlib

    block[12 + header_size - 4 : 12 + header_size] = struct.pack("<I", zlib.crc32(block[12 : 12 + header_size - 4]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "emory" in refused(bytes(block)).reason
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20


@pytest.mark.parametrize(("flag", "member"), [(b"L", "f"), (b"K", "l")])
def test_a_name_or_target_of_many_folders_is_refused(flag: bytes, member: str) -> None:
    """A tree has every folder on the way as an entry: these would take gigabytes."""
    text = b"a/" * 400_000 + b"a"
    extra = tarfile.TarInfo("x")
    extra.type, extra.size = flag, len(text)
    data = (
        extra.tobuf() + text + bytes(-len(text) % 512) + tar_of(info("l", LINK, "f") if member == "l" else ("f", b""))
    )
    assert "more than 4096 characters" in refused(data).reason


def test_a_megabyte_of_pax_records_is_read_in_no_time() -> None:
    record = b"6 a=b\n" * 170_000
    extra = tarfile.TarInfo("x")
    extra.type, extra.size = b"x", len(record)
    began = time.process_time()
    assert consume(extra.tobuf() + record + bytes(-len(record) % 512) + tar_of(("file", b"content"))) == ["file"]
    assert time.process_time() - began < 2


def test_thousands_of_streams_need_no_deep_stack() -> None:
    """Parallel compressors write a stream for each few hundred kilobytes."""
    plain = tar_of(("file", b"content"))
    data = b"".join(bz2.compress(plain[start : start + 4]) for start in range(0, len(plain), 4))
    assert consume(data) == ["file"]
