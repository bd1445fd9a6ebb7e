"""The recipe of a tarball: order, pieces, and how little a change moves."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from buildsys.archive import frames, tar
from buildsys.archive.frames import GROUP, LARGE, Group, Payload
from buildsys.model.tree import DIRECTORY, FILE, Tree
from tests.archive.trees import Blobs, directory, link, rootfs, trees

if TYPE_CHECKING:
    from buildsys.archive.frames import Piece


def keys(tree: Tree) -> list[str]:
    return [piece.key if isinstance(piece, Group) else piece.digest for piece in frames.recipe(tree)]


def new(before: Tree, after: Tree) -> int:
    """The number of pieces of `after` that `before` does not have."""
    return len(set(keys(after)) - set(keys(before)))


def names(pieces: list[Piece], blobs: Blobs) -> list[str]:
    data = b"".join(chunk for piece in pieces for chunk in frames.content(piece, blobs.open))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return archive.getnames()


@settings(max_examples=100, deadline=None)
@given(trees())
def test_pieces_are_bounded_and_payloads_hold_no_header(made: tuple[Tree, Blobs]) -> None:
    tree, blobs = made
    pieces = list(frames.recipe(tree))
    large = [entry for entry in tree.entries if entry.kind == FILE and entry.size >= LARGE]
    assert sorted(p for p in pieces if isinstance(p, Payload)) == sorted(
        Payload(e.digest, e.size, start) for e in large for start in range(0, e.size, frames.SLICE)
    )
    for piece in pieces:
        assert sum(map(len, frames.content(piece, blobs.open))) == frames.span(piece)
        assert frames.span(piece) % 512 == 0
        if isinstance(piece, Group):
            assert frames.span(piece) <= GROUP
    assert isinstance(pieces[-1], Group)
    assert pieces[-1].parts[-1].data == tar.END


@settings(max_examples=100, deadline=None)
@given(trees())
def test_a_directory_stands_once_and_right_before_all_that_is_in_it(made: tuple[Tree, Blobs]) -> None:
    """Unpackers rely on it that remove what is in the way of a member, or set times when they leave a directory."""
    order = frames.walk(made[0])
    assert sorted(order) == sorted(made[0].entries)
    open_now: list[str] = []
    for entry in order:
        while open_now and not entry.path.startswith(open_now[-1] + "/"):
            open_now.pop()
        assert entry.path.rpartition("/")[0] == (open_now[-1] if open_now else "")
        if entry.kind == DIRECTORY:
            open_now.append(entry.path)


def test_large_files_come_first_and_what_is_small_throughout_comes_last() -> None:
    blobs = Blobs()
    big = b"x" * LARGE
    tree = Tree.of(
        [
            blobs.file("etc/small", b"1"),
            blobs.file("bin/a-script", b"2"),
            blobs.file("bin/kubectl", big),
            blobs.file("images/sub/registry.tar", big),
            blobs.file("images/sub.txt", b"3"),
            blobs.file("zz-large", big),
            blobs.file("aa-small", b"x" * (LARGE - 1)),
            link("link", "bin"),
        ]
    )
    assert names(list(frames.recipe(tree)), blobs) == [
        "zz-large",
        "bin",
        "bin/kubectl",
        "bin/a-script",
        "images",
        "images/sub",
        "images/sub/registry.tar",
        "images/sub.txt",
        "aa-small",
        "etc",
        "etc/small",
        "link",
    ]


def test_an_empty_tree_is_the_end_alone() -> None:
    assert list(frames.recipe(Tree.of([]))) == [Group((frames.Part(tar.END),))]


def test_a_large_payload_is_cut_into_slices_the_last_one_with_the_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "SLICE", 100_000)
    blobs = Blobs()
    data = bytes(n % 251 for n in range(250_001))
    pieces = [p for p in frames.recipe(Tree.of([blobs.file("a", data)])) if isinstance(p, Payload)]
    assert [(p.start, p.length, p.zeros) for p in pieces] == [
        (0, 100_000, 0),
        (100_000, 100_000, 0),
        (200_000, 50_001, 367),
    ]
    assert b"".join(chunk for p in pieces for chunk in frames.content(p, blobs.open)) == data + bytes(367)


def test_a_rootfs_is_cut_into_groups_of_a_fair_size() -> None:
    tree = rootfs(Blobs(), range(2000))
    groups = [frames.span(piece) for piece in frames.recipe(tree) if isinstance(piece, Group) and piece.has_blobs]
    assert 48 << 10 < sum(groups) / len(groups) < 192 << 10


@pytest.mark.parametrize("number", [0, 1, 777, 1999])
def test_a_change_of_one_small_file_makes_one_or_two_pieces(number: int) -> None:
    blobs = Blobs()
    before = rootfs(blobs, range(2000))
    changed = blobs.file(f"etc/manifests/part-{number % 7}/{number}.yaml", b"other\n")
    after = Tree.of([entry for entry in before.entries if entry.path != changed.path] + [changed])
    assert new(before, after) in {1, 2}


def test_insertions_and_removals_move_few_pieces() -> None:
    blobs = Blobs()
    whole = rootfs(blobs, range(2000))
    total = len(keys(whole))
    for number in range(0, 2000, 97):
        without = rootfs(blobs, [n for n in range(2000) if n != number])
        assert new(without, whole) <= 4 < total
        assert new(whole, without) <= 4


def test_names_modes_and_times_of_large_files_keep_their_payloads() -> None:
    blobs = Blobs()
    content = b"y" * LARGE
    before = Tree.of([blobs.file("bin/old", content)])
    after = Tree.of([blobs.file("sbin/new", content, 0o755)])
    payload = [piece for piece in frames.recipe(before) if isinstance(piece, Payload)]
    assert payload == [piece for piece in frames.recipe(after, 1_700_000_000) if isinstance(piece, Payload)]


def test_keys_of_groups_tell_their_bytes_apart() -> None:
    part = frames.Part
    groups = [
        Group((part(b"ab"),)),
        Group((part(b"a"), part(b"b"))),
        Group((part(b"ab", "0" * 64, 1),)),
        Group((part(b"ab", "1" * 64, 1),)),
        Group((part(b""), part(b"ab"))),
    ]
    assert len({group.key for group in groups}) == len(groups)


@pytest.mark.parametrize(("stated", "reason"), [(3, "longer than stated"), (5, "ends 1 bytes early")])
def test_a_payload_of_another_size_is_no_tarball(stated: int, reason: str) -> None:
    blobs = Blobs()
    entry = blobs.file("a", b"1234")._replace(size=stated)
    with pytest.raises(ValueError, match=reason):
        frames.write_tar(Tree((entry,)), blobs.open, io.BytesIO())


def test_directories_alone_make_no_key() -> None:
    pieces = list(frames.recipe(Tree.of([directory("a"), directory("b", 0o700)])))
    assert [isinstance(piece, Group) and piece.has_blobs for piece in pieces] == [False] * len(pieces)


def test_the_end_has_a_group_of_its_own_where_the_last_one_is_full() -> None:
    blobs = Blobs()
    sizes = [LARGE - 1, LARGE - 1, LARGE - 1, GROUP - 3 * (LARGE + 512) - 512]
    names = [
        next(f"{number}{n}" for n in range(10_000) if not frames._is_border(f"{number}{n}", LARGE + 512))
        for number in range(len(sizes))
    ]
    tree = Tree.of(blobs.file(name, b"x" * size) for name, size in zip(names, sizes, strict=True))
    full, end = frames.recipe(tree)
    assert frames.span(full) == GROUP
    assert end == Group((frames.Part(tar.END),))
