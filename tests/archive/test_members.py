"""Members out of archives made by the programs people use."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from buildsys.archive.fault import ArchiveFault
from buildsys.archive.limits import Limits
from buildsys.archive.members import read_members

if TYPE_CHECKING:
    from pathlib import Path

ENV = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
LONG = "deep/" * 30 + "n" * 120
CONTENT = {
    "top/run": b"#!/bin/sh\n",
    "top/data": b"0123456789" * 30_000,
    LONG: b"long",
    "top/ünï": b"foreign",
    "top/empty": b"",
}
COMPRESSORS = {"gz": "gzip -n", "bz2": "bzip2", "xz": "xz", "zst": "zstd -q", "": "cat"}


def listing(data: bytes, expect: str = "auto") -> dict[str, tuple[str, str, bytes]]:
    found = {}
    for member in read_members(io.BytesIO(data), expect):
        content = b"".join(iter(lambda: member.reader.read(7001), b""))  # noqa: B023 - read at once
        assert len(content) == member.size
        mode = "x" if member.mode & 0o111 and member.kind == "f" else ""
        found[member.name] = (member.kind + mode, member.target, content)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    for name, data in CONTENT.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / "top/run").chmod(0o755)
    (root / "top/link").symlink_to("run")
    return root


def check_listing(found: dict[str, tuple[str, str, bytes]]) -> None:
    assert {name: data for name, (kind, _, data) in found.items() if kind[0] == "f"} == CONTENT
    assert found["top/run"][0] == "fx"
    assert found["top/data"][0] == "f"
    assert found["top/link"][:2] == ("l", "run")


@pytest.mark.parametrize("suffix", COMPRESSORS)
@pytest.mark.parametrize("form", ["gnu", "posix", "v7-ish ustar"])
def test_gnu_tar(folder: Path, suffix: str, form: str) -> None:
    if form == "v7-ish ustar":
        command = f"tar --format=ustar -C {folder} -cf - ./top | {COMPRESSORS[suffix]}"
        data = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], capture_output=True, check=True, env=ENV
        ).stdout
        assert listing(data)["top/run"][0] == "fx"
        return
    command = f"tar --format={form} -C {folder} -cf - . | {COMPRESSORS[suffix]}"
    data = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, check=True, env=ENV).stdout
    check_listing(listing(data))
    check_listing(listing(data, "tar"))


@pytest.mark.parametrize("form", ["pax", "gnutar", "zip"])
def test_bsdtar(folder: Path, form: str) -> None:
    data = subprocess.run(
        ["bsdtar", "--format", form, "-C", folder, "-cf", "-", "."], capture_output=True, check=True, env=ENV
    ).stdout
    check_listing(listing(data))


@pytest.mark.parametrize("compression", ["none", "gzip", "xz", "zstd"])
def test_dpkg_deb(folder: Path, tmp_path: Path, compression: str) -> None:
    (folder / "DEBIAN").mkdir()
    (folder / "DEBIAN/control").write_text(
        "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    )
    package = tmp_path / "x.deb"
    subprocess.run(["dpkg-deb", f"-Z{compression}", "-b", folder, package], capture_output=True, check=True, env=ENV)
    check_listing(listing(package.read_bytes()))
    check_listing(listing(package.read_bytes(), "deb"))


@pytest.mark.parametrize(
    ("suffix", "joiner"),
    [
        ("gz", b""),
        ("bz2", b""),
        ("xz", b""),
        ("zst", b""),
        ("zst", b"\x50\x2a\x4d\x18\x01\x00\x00\x00x"),
        ("xz", bytes(8)),
    ],
)
def test_streams_of_many_members_are_read_whole(folder: Path, suffix: str, joiner: bytes) -> None:
    plain = subprocess.run(["tar", "-C", folder, "-cf", "-", "."], capture_output=True, check=True, env=ENV).stdout
    cuts = [0, 100, 100_000, 100_000, len(plain) - 3, len(plain)]
    parts = [
        subprocess.run(COMPRESSORS[suffix].split(), input=plain[start:end], capture_output=True, check=True).stdout
        for start, end in itertools.pairwise(cuts)
    ]
    check_listing(listing(joiner.join(parts)))


def test_zeros_after_gzip_are_padding(folder: Path) -> None:
    data = subprocess.run(["tar", "-C", folder, "-czf", "-", "."], capture_output=True, check=True, env=ENV).stdout
    check_listing(listing(data + bytes(5000)))


def test_hard_links_name_an_earlier_member(folder: Path) -> None:
    os.link(folder / "top/data", folder / "top/data2")
    data = subprocess.run(
        ["tar", "--sort=name", "-C", folder, "-cf", "-", "."], capture_output=True, check=True, env=ENV
    ).stdout
    assert listing(data)["top/data2"] == ("h", "top/data", b"")


def test_old_headers_without_magic_are_read() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo("old/")
        archive.addfile(info)
        info = tarfile.TarInfo("old/name")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    data = bytearray(out.getvalue())
    for start in (0, 512):
        data[start + 156] = 0
        data[start + 257 : start + 512] = bytes(255)
        data[start + 148 : start + 156] = b"        "
        data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])
    assert listing(bytes(data)) == {"old": ("d", "", b""), "old/name": ("f", "", b"abc")}


def test_numbers_in_base_256_and_pax_sizes_are_read() -> None:
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        out = io.BytesIO()
        info = tarfile.TarInfo("huge")
        info.size, info.uid, info.mtime = 9 << 30, 1 << 30, -1 if form == tarfile.GNU_FORMAT else 1.5
        out.write(info.tobuf(form))
        member = next(read_members(io.BytesIO(out.getvalue()), limits=Limits(ratio=1 << 40)))
        assert (member.name, member.size) == ("huge", 9 << 30)


def test_members_that_are_not_read_are_passed_over(folder: Path) -> None:
    data = subprocess.run(["tar", "-C", folder, "-czf", "-", "."], capture_output=True, check=True, env=ENV).stdout
    assert {member.name for member in read_members(io.BytesIO(data)) if member.kind == "f"} == CONTENT.keys()


def test_zip_members_without_unix_modes_are_plain_files() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("tool.exe")
        info.create_system = 0
        archive.writestr(info, b"MZ")
        archive.writestr("folder/", b"")
    assert listing(out.getvalue(), "zip") == {"tool.exe": ("f", "", b"MZ"), "folder": ("d", "", b"")}


def test_an_archive_of_nothing_has_no_members() -> None:
    empty_zip = io.BytesIO()
    zipfile.ZipFile(empty_zip, "w").close()
    for data in (bytes(1024), bytes(10240), empty_zip.getvalue()):
        assert listing(data) == {}


def test_another_format_than_expected_is_damage() -> None:
    with pytest.raises(ArchiveFault, match="it is a tar archive, not zip") as caught:
        listing(bytes(1024), "zip")
    assert caught.value.kind == "damaged"
