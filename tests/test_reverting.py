"""Taking back the last edit: the earlier outputs change places with those that stand, if they are what they were."""

from __future__ import annotations

import fcntl
import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.space import Space, flip, gone, mode, touch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TAR = ["build", "//a:tar"]
FIRST, SECOND = "cri={{ cri }}\n", "second {{ cri }}\n"


@pytest.fixture
def edited(space: Space) -> Space:
    """Return a workspace that was built, edited, and built again."""
    space.build(TAR)
    space.shown = ["buildsys-bin/a/tar.tar.zst"]
    write(space, SECOND)
    assert "3 local" in space.build(TAR).said
    return space


def write(space: Space, text: str, name: str = "x.j2") -> int:
    return (space.package / name).write_text(text)


def kept(space: Space) -> Path:
    (found,) = (space.root / "buildsys-out/previous").iterdir()
    return found


def tar(space: Space) -> Path:
    return space.bin / "a/tar.tar.zst"


def test_back_and_forth_runs_nothing(edited: Space) -> None:
    contents = {SECOND: tar(edited).read_bytes(), FIRST: kept(edited).read_bytes()}
    for text in (FIRST, SECOND, FIRST):
        write(edited, text)
        made = edited.build(TAR)
        assert (made.code, made.is_whole) == (0, False)
        assert "INFO: 0 processes.\n" in made.said
        assert "buildsys-bin/a/tar.tar.zst\n" in made.said
        assert tar(edited).read_bytes() == contents[text]
        assert tar(edited).stat().st_nlink == 1
        assert "0 total actions" in edited.build(TAR).said
    assert "INFO: Build completed successfully, 0 total actions" in edited.full(TAR)
    assert tar(edited).read_bytes() == contents[FIRST]


def test_it_is_as_right_as_a_build_from_nothing(edited: Space, tmp_path: Path) -> None:
    write(edited, FIRST)
    edited.build(TAR)
    right = Space(tmp_path / "right")
    right.full(TAR)
    assert tar(edited).read_bytes() == tar(right).read_bytes()


OTHER_THAN_BEFORE: dict[str, Callable[[Space], object]] = {
    "another content": lambda s: write(s, "third {{ cri }}\n"),
    "one more file": lambda s: write(s, "other\n", "files/one"),
    "a package, too": lambda s: write(s, (s.package / "BUILD.yaml").read_text() + "# more\n", "BUILD.yaml"),
    "the kept file is damaged": lambda s: flip(kept(s)),
    "the kept file is touched": lambda s: touch(kept(s)),
    "the kept file has another mode": lambda s: mode(kept(s), 0o755),
    "the kept file has a second name": lambda s: os.link(kept(s), s.root / "name"),
    "the kept file is gone": lambda s: gone(kept(s)),
    "the output is damaged": lambda s: flip(tar(s)),
    "the output is gone": lambda s: gone(tar(s)),
    "the output has a second name": lambda s: os.link(tar(s), s.root / "name"),
    "the edits are damaged": lambda s: [flip(p) for p in (s.root / "buildsys-out/snapshots").glob("*.edits")],
}


@pytest.mark.parametrize("change", OTHER_THAN_BEFORE)
def test_what_is_not_the_state_before_is_built(edited: Space, tmp_path: Path, change: str) -> None:
    write(edited, FIRST)
    OTHER_THAN_BEFORE[change](edited)
    made = edited.build(TAR)
    assert made.code == 0, made.said
    assert "INFO: 0 processes.\n" not in made.said
    assert edited.outputs() == edited.from_scratch_of(TAR, tmp_path / "scratch")


def test_while_another_build_runs_it_waits_its_turn(edited: Space) -> None:
    write(edited, FIRST)
    with open(edited.root / "buildsys-out/lock", "ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        made = edited.build(["--noblock_for_lock", *TAR])
        assert made.code == 9
    assert edited.build(TAR).code == 0


@pytest.mark.parametrize("seed", range(6))
def test_whatever_goes_back_and_forth_is_right(space: Space, tmp_path: Path, seed: int) -> None:
    choice = random.Random(seed)
    space.build(TAR)
    space.shown = ["buildsys-bin/a/tar.tar.zst"]
    done = []
    for step in range(12):
        name, text = choice.choice(["x.j2", "files/one"]), choice.choice([FIRST, SECOND])
        write(space, text, name)
        done.append((name, text))
        made = space.build(TAR)
        assert (made.code, made.is_whole) == (0, False), done
        assert space.outputs() == space.from_scratch_of(TAR, tmp_path / f"scratch{step}"), done
        if step % 3 == 0:
            assert "0 total actions" in space.full(TAR), done


def test_what_a_killed_swap_has_left_is_in_nobodys_way(edited: Space) -> None:
    held = kept(edited).with_name(kept(edited).name + ".swap")
    held.write_text("half")
    write(edited, FIRST)
    assert "INFO: 0 processes.\n" in edited.build(TAR).said
    assert not held.exists()
    assert len(list((edited.root / "buildsys-out/previous").iterdir())) == 1
