"""Members out of archives as outputs, and what users are told when there are none."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from buildsys.actions.extract import Extract, ExtractTree
from buildsys.errors import ActionFailed
from buildsys.model.tree import DIRECTORY, FILE, SYMLINK
from tests.actions.fake_io import FakeIO

if TYPE_CHECKING:
    from buildsys.model.action import Artifact, Operation


def tgz(*members: tuple[str, bytes | str | None, int] | tuple[str, str, bytes]) -> bytes:
    """An archive: bytes are files, a text is a link's target, None a directory; (name, target, LNKTYPE) a hard link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content, mode in members:
            info = tarfile.TarInfo(name)
            if isinstance(mode, bytes):
                info.type, info.linkname = mode, str(content)
                archive.addfile(info)
                continue
            info.mode = mode
            if isinstance(content, bytes):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = (tarfile.SYMTYPE, content) if content else (tarfile.DIRTYPE, "")
                archive.addfile(info)
    return out.getvalue()


ARCHIVE = tgz(
    ("./cri-dockerd/", None, 0o755),
    ("./cri-dockerd/cri-dockerd", b"binary", 0o755),
    ("./lib/libx.so.1.2", b"library", 0o644),
    ("./lib/libx.so.1", "libx.so.1.2", 0o777),
    ("./lib/libx.so", "libx.so.1", 0o777),
    ("./lib64", "lib", 0o777),
    ("./hard", "cri-dockerd/cri-dockerd", tarfile.LNKTYPE),
    ("./hard2", "hard", tarfile.LNKTYPE),
    ("./dangling", "nowhere", 0o777),
    ("./LICENSE", b"text", 0o644),
    ("./v1/README", b"1", 0o644),
    ("./v2/README", b"2", 0o644),
)


def archive_of(data: bytes = ARCHIVE, name: str = "tools.tgz") -> tuple[FakeIO, Artifact]:
    fake = FakeIO()
    return fake, fake.add(name, data)


def failure(operation: Operation, fake: FakeIO) -> ActionFailed:
    with pytest.raises(ActionFailed) as caught:
        operation.execute(fake)
    return caught.value


@pytest.mark.parametrize(
    ("names", "output"),
    [
        (("cri-dockerd/cri-dockerd",), (b"binary", True)),
        (("./cri-dockerd//cri-dockerd",), (b"binary", True)),
        (("cri-dockerd/*",), (b"binary", True)),
        (("*/cri-dockerd",), (b"binary", True)),
        (("LIC*SE",), (b"text", False)),
        (("LICENSE",), (b"text", False)),
        (("lib/libx.so",), (b"library", False)),
        (("lib64/libx.so",), (b"library", False)),
        (("lib/*.1.2",), (b"library", False)),
        (("hard",), (b"binary", True)),
        (("hard2",), (b"binary", True)),
        (("COPYING", "LICENSE"), (b"text", False)),
        (("COPYING*", "LICEN*"), (b"text", False)),
        (("LICENSE", "cri-dockerd/cri-dockerd"), (b"text", False)),
    ],
)
def test_a_member_is_found(names: tuple[str, ...], output: tuple[bytes, bool]) -> None:
    fake, archive = archive_of()
    Extract(archive, (names,)).execute(fake)
    assert fake.outputs == {0: output}


def test_outputs_come_in_the_order_asked_for_and_one_member_may_serve_many() -> None:
    fake, archive = archive_of()
    Extract(archive, (("LICENSE",), ("hard",), ("LICENSE",), ("cri-dockerd/cri-dockerd",), ("LIC*",))).execute(fake)
    text, binary = (b"text", False), (b"binary", True)
    assert fake.outputs == {0: text, 1: binary, 2: text, 3: binary, 4: text}


@pytest.mark.parametrize(
    ("names", "message", "hint"),
    [
        (("cri-dockerd",), "'tools.tgz' has no file 'cri-dockerd'", "there is such a member, but it is no file"),
        (("dangling",), "'tools.tgz' has no file 'dangling'", "there is such a member, but it is no file"),
        (
            ("bin/cri-dockerd",),
            "'tools.tgz' has no file 'bin/cri-dockerd'",
            "its 11 files: 'cri-dockerd/cri-dockerd', ",
        ),
        (("licence",), "'tools.tgz' has no file 'licence'", "nearest of its 11 files: "),
        (("a", "b*"), "'tools.tgz' has no file 'a' or 'b*'", "nearest of its 11 files: "),
        (("*/README",), "'*/README' matches 2 members of 'tools.tgz': 'v1/README', 'v2/README'", "name the one"),
        (("cri-*",), "'tools.tgz' has no file 'cri-*'", "nearest"),
    ],
)
def test_a_member_that_is_not_there_is_told_with_those_that_are(
    names: tuple[str, ...], message: str, hint: str
) -> None:
    fake, archive = archive_of()
    error = failure(Extract(archive, (names,)), fake)
    assert (error.code, error.message) == ("B703", message)
    assert hint in error.hint


def test_an_archive_of_nothing_says_so() -> None:
    fake, archive = archive_of(tgz())
    assert failure(Extract(archive, (("x",),)), fake).hint == "it holds no files"


LOOP = tgz(("a", "b", 0o777), ("b", "a", 0o777))
INDIRECT = tgz(("a/b/c", "../..", 0o777), ("x", "a/b/c/..", 0o777), ("f", b"", 0o644))


def test_links_in_circles_and_out_of_the_archive_lead_to_no_file() -> None:
    for data, name in ((LOOP, "a"), (INDIRECT, "x")):
        fake, archive = archive_of(data)
        assert failure(Extract(archive, ((name,),)), fake).code == "B703"


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        (
            tgz(("../evil", b"", 0o644)),
            "B701",
            "cannot unpack 'tools.tgz': member '../evil': its name is refused: '../evil' leaves its root",
        ),
        (b"<html>Not Found", "B702", "cannot unpack 'tools.tgz': it is not an archive but an HTML page"),
        (ARCHIVE[:200], "B702", "cannot unpack 'tools.tgz': the gzip stream is cut short"),
        (b"", "B702", "cannot unpack 'tools.tgz': it is not an archive but an empty file"),
    ],
    ids=["hostile", "a page", "cut", "empty"],
)
def test_archives_that_are_refused(data: bytes, code: str, message: str) -> None:
    for operation in (Extract, ExtractTree):
        fake, archive = archive_of(data)
        error = failure(Extract(archive, (("x",),)) if operation is Extract else ExtractTree(archive), fake)
        assert (error.code, error.message) == (code, message)
        assert error.hint
        assert not fake.outputs


def test_a_bomb_is_refused() -> None:
    header = tarfile.TarInfo("zeros")
    header.size = 100 << 30
    fake, archive = archive_of(header.tobuf())
    assert failure(Extract(archive, (("zeros",),)), fake).code == "B704"


def test_another_format_than_stated_is_refused() -> None:
    fake, archive = archive_of()
    assert failure(Extract(archive, (("LICENSE",),), "zip"), fake).code == "B702"


def test_a_whole_archive_becomes_a_tree() -> None:
    fake, archive = archive_of()
    ExtractTree(archive).execute(fake)
    found = {entry.path: entry for entry in fake.trees[0].entries}
    assert (found["lib"].kind, found["lib"].mode) == (DIRECTORY, 0o755)
    assert (found["lib/libx.so"].kind, found["lib/libx.so"].target) == (SYMLINK, "libx.so.1")
    assert (found["hard2"].kind, found["hard2"].mode) == (FILE, 0o755)
    assert fake.blobs[found["hard2"].digest] == b"binary"
    assert len(found) == 15


@pytest.mark.parametrize("prefix", ["lib", "./lib/"])
def test_a_prefix_is_stripped_and_the_rest_left_out(prefix: str) -> None:
    fake, archive = archive_of()
    ExtractTree(archive, prefix).execute(fake)
    assert [entry.path for entry in fake.trees[0].entries] == ["libx.so", "libx.so.1", "libx.so.1.2"]


def test_a_prefix_that_is_not_there_names_the_top() -> None:
    fake, archive = archive_of()
    error = failure(ExtractTree(archive, "lob"), fake)
    assert (error.code, error.message) == ("B703", "'tools.tgz' has nothing below 'lob'")
    assert error.hint.startswith("at its top it has 'lib'")


def test_a_link_out_of_the_stripped_tree_is_refused() -> None:
    fake, archive = archive_of(tgz(("top/link", "../other", 0o777), ("other", b"", 0o644)))
    assert failure(ExtractTree(archive, "top"), fake).code == "B701"
    ExtractTree(archive).execute(fake)


def test_a_link_that_only_seems_to_leave_the_stripped_tree_is_refused_too() -> None:
    """The kernel would stay inside, by way of `d`; a tree judges a link by its text."""
    fake, archive = archive_of(tgz(("top/d", "e/f", 0o777), ("top/x", "d/../../y", 0o777), ("top/e/f", None, 0o755)))
    assert failure(ExtractTree(archive, "top"), fake).code == "B701"


def test_links_that_leave_only_together_are_refused() -> None:
    fake, archive = archive_of(INDIRECT)
    error = failure(ExtractTree(archive), fake)
    assert error.code == "B701"
    assert "out of its root" in error.message


def test_modes_lose_set_id_bits_and_folders_stay_usable() -> None:
    fake, archive = archive_of(tgz(("d", None, 0o1555), ("d/sudo", b"", 0o4711), ("d/secret", b"", 0o400)))
    ExtractTree(archive).execute(fake)
    assert [entry.mode for entry in fake.trees[0].entries] == [0o755, 0o400, 0o711]
