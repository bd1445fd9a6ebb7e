"""Bytes of tar headers, and what other people's programs make of them."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from buildsys.archive import frames, tar
from buildsys.model.tree import DIRECTORY, FILE, SYMLINK, Entry, Tree
from tests.archive.trees import Blobs, directory, link, trees

if TYPE_CHECKING:
    from pathlib import Path

ENV = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def tarball(tree: Tree, blobs: Blobs, epoch: int = tar.EPOCH) -> bytes:
    out = io.BytesIO()
    frames.write_tar(tree, blobs.open, out, epoch)
    return out.getvalue()


def test_a_plain_header_byte_by_byte() -> None:
    block = tar.header(Entry("etc/hosts", FILE, 0o640, "0" * 64, 1234), 1_600_000_000)
    assert len(block) == 512
    fields = [
        (100, b"etc/hosts"),
        (8, b"0000640\0"),
        (8, b"0000000\0"),
        (8, b"0000000\0"),
        (12, b"00000002322\0"),
        (12, b"13727410000\0"),
        (8, b"011067\0 "),
        (1, b"0"),
        (100, b""),
        (8, b"ustar\x0000"),
        (32, b""),
        (32, b""),
        (8, b"0000000\0"),
        (8, b"0000000\0"),
        (155, b""),
        (12, b""),
    ]
    assert block == b"".join(value.ljust(width, b"\0") for width, value in fields)


def test_the_bytes_of_a_tarball_are_pinned() -> None:
    blobs = Blobs()
    tree = Tree.of(
        [
            blobs.file("a/one", b"one\n"),
            blobs.file("a/large", b"large" * 20_000, 0o755),
            blobs.file("é" * 60, b"two\n"),
            blobs.file("p" * 90 + "/" + "q" * 90, b"three\n"),
            link("l", "a/one"),
            link("long", "x" * 120),
            directory("empty", 0o1777),
        ]
    )
    assert (
        hashlib.sha256(tarball(tree, blobs)).hexdigest()
        == "832b5ce1c2f1b20afe2edb14174bfbe355112209672a1010d4716a8470e8c452"
    )


@pytest.mark.parametrize("kind", [FILE, DIRECTORY, SYMLINK])
def test_headers_equal_those_of_tarfile_but_for_devices(kind: str) -> None:
    """Python leaves devmajor and devminor empty; GNU tar fills them, and so do we."""
    entry = Entry(
        "some/name", kind, 0o755, "0" * 64 if kind == FILE else "", 99 if kind == FILE else 0, "to" * (kind == SYMLINK)
    )
    info = tarfile.TarInfo(entry.path)
    info.type = {FILE: tarfile.REGTYPE, DIRECTORY: tarfile.DIRTYPE, SYMLINK: tarfile.SYMTYPE}[kind]
    info.mode, info.size, info.mtime, info.linkname = (
        0o777 if kind == SYMLINK else 0o755,
        entry.size,
        tar.EPOCH,
        entry.target,
    )
    theirs, ours = info.tobuf(tarfile.USTAR_FORMAT), tar.header(entry)
    blank = slice(329, 345), slice(148, 156)
    left, right = bytearray(ours), bytearray(theirs)
    for part in blank:
        left[part] = right[part] = b"?" * (part.stop - part.start)
    assert left == right


@pytest.mark.parametrize(
    ("path", "blocks"),
    [
        ("a" * 100, 1),
        ("a" * 101, 3),
        ("a" * 155 + "/" + "b" * 100, 1),
        ("a" * 156 + "/" + "b" * 100, 3),
        ("a" * 154 + "/" + "b" * 101, 3),
        ("a/" * 130 + "b", 3),
        ("é", 3),
        ("é" * 300, 4),
    ],
)
@pytest.mark.parametrize("kind", [FILE, DIRECTORY])
def test_long_and_foreign_names_come_back(path: str, blocks: int, kind: str) -> None:
    block = tar.header(Entry(path, kind, 0o755))
    info = tarfile.TarInfo.frombuf(block, "utf-8", "strict") if len(block) == 512 else read_one(block)
    assert info.name == path
    assert kind == DIRECTORY or len(block) == blocks * 512


@pytest.mark.parametrize("target", ["a" * 100, "a" * 101, "b/" * 200 + "c", "ü"])
def test_long_and_foreign_link_targets_come_back(target: str) -> None:
    info = read_one(tar.header(Entry("l", SYMLINK, target=target)))
    assert (info.name, info.linkname, info.mode, info.size) == ("l", target, 0o777, 0)


@pytest.mark.parametrize("size", [8**11 - 1, 8**11, 8**11 + 1, 1 << 40])
def test_sizes_of_8_gib_and_more_come_back(size: int) -> None:
    block = tar.header(Entry("big", FILE, 0o644, "0" * 64, size))
    assert len(block) == (512 if size < 8**11 else 1536)
    info = tarfile.TarInfo.frombuf(block, "utf-8", "strict") if size < 8**11 else pax_info(block)
    assert info.size == size


def test_gnu_tar_and_bsdtar_see_a_size_above_8_gib() -> None:
    size = 9 << 30
    block = tar.header(Entry("big", FILE, 0o644, "0" * 64, size)) + bytes(4096)
    for program in ("tar", "bsdtar"):
        shown = subprocess.run([program, "-tvf", "-"], input=block, capture_output=True, env=ENV, check=False)
        assert str(size).encode() in shown.stdout, (program, shown)


@pytest.mark.parametrize("epoch", [-1, 8**11])
def test_times_that_no_header_can_state_are_refused(epoch: int) -> None:
    with pytest.raises(ValueError, match="cannot be stated"):
        tar.header(Entry("a", FILE), epoch)


def test_the_end_is_two_blocks_and_no_more() -> None:
    assert tarball(Tree.of([]), Blobs()) == bytes(1024)
    blobs = Blobs()
    assert len(tarball(Tree.of([blobs.file("a", b"1")]), blobs)) == 4 * 512


@settings(max_examples=60, deadline=None)
@given(trees())
def test_tarfile_reads_back_every_tree(made: tuple[Tree, Blobs]) -> None:
    tree, blobs = made
    data = tarball(tree, blobs)
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for info in archive:
            assert (info.uid, info.gid, info.uname, info.gname, info.mtime) == (0, 0, "", "", tar.EPOCH)
            if info.isfile():
                stream = archive.extractfile(info)
                assert stream is not None
                found[info.name] = blobs.file(info.name, stream.read(), info.mode)
            elif info.issym():
                found[info.name] = link(info.name, info.linkname)
            else:
                found[info.name] = directory(info.name, info.mode)
    assert Tree.of(found.values()) == tree
    assert tarball(tree, blobs) == data


@pytest.mark.parametrize("program", ["tar", "bsdtar"])
def test_extraction_by_a_plain_user_keeps_modes_and_times_of_directories(program: str, tmp_path: Path) -> None:
    """Large files come before the entries of their folders, and folders before what is small in them."""
    blobs = Blobs()
    tree = Tree.of(
        [
            directory("a", 0o555),
            blobs.file("a/large", b"large" * 20_000, 0o755),
            blobs.file("a/small", b"small"),
            directory("a/b", 0o500),
            blobs.file("a/b/small", b"small"),
            blobs.file("a.b", b"between `a` and `a/b` when sorted as text"),
        ]
    )
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o11)
    user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    command = [program, "-C", str(tmp_path), "-xpf", "-"]
    done = subprocess.run(command, input=tarball(tree, blobs), capture_output=True, env=ENV, check=False, **user)  # type: ignore[call-overload]
    assert (done.returncode, done.stderr) == (0, b"")
    assert on_disk(tmp_path, blobs) == tree


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees())
def test_gnu_tar_and_bsdtar_extract_every_tree(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[Tree, Blobs]
) -> None:
    tree, blobs = made
    data = tarball(tree, blobs)
    for program in ("tar", "bsdtar"):
        folder = tmp_path_factory.mktemp("out")
        done = subprocess.run(
            [program, "-C", str(folder), "-xpf", "-"], input=data, capture_output=True, env=ENV, check=False
        )
        assert (done.returncode, done.stderr) == (0, b""), program
        assert on_disk(folder, blobs) == tree


def on_disk(folder: Path, blobs: Blobs) -> Tree:
    entries = []
    for path in folder.rglob("*"):
        name, mode = str(path.relative_to(folder)), path.lstat().st_mode & 0o7777
        if path.is_symlink():
            entries.append(link(name, os.readlink(path)))
        elif path.is_dir():
            entries.append(directory(name, mode))
        else:
            entries.append(blobs.file(name, path.read_bytes(), mode))
        assert path.is_symlink() or path.lstat().st_mtime == tar.EPOCH
    return Tree.of(entries)


def read_one(header: bytes) -> tarfile.TarInfo:
    with tarfile.open(fileobj=io.BytesIO(header + tar.END), mode="r:") as archive:
        (info,) = archive.getmembers()
    return info


def pax_info(header: bytes) -> tarfile.TarInfo:
    """Read a header whose payload is not there."""
    with tarfile.open(fileobj=io.BytesIO(header + tar.END), mode="r|") as archive:
        info = archive.next()
    assert info is not None
    return info
