"""After another boot nothing is trusted that the system may have lost the end of: a loss of power fools nobody."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from buildsys import boot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.space import Space

TAR = ["build", "//a:tar"]


@pytest.fixture
def boots(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the file that names the boot."""
    path = tmp_path / "boot_id"
    path.write_text("first\n")
    monkeypatch.setattr(boot, "PATH", str(path))
    return path


def test_a_boot_has_a_name(boots: Path) -> None:
    assert boot.boot() == "first"
    boots.unlink()
    assert boot.boot() == ""


def test_an_output_that_lost_its_end_is_made_again(space: Space, boots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space.build(TAR)
    path = space.bin / "a/tar.tar.zst"
    right, before = path.read_bytes(), path.stat()
    path.write_bytes(bytes(len(right)))
    seen = {str(path): before}

    def deceived(real: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
        return lambda asked, **options: seen.get(str(asked)) or real(asked, **options)

    for name in ("stat", "lstat"):
        monkeypatch.setattr(os, name, deceived(getattr(os, name)))
    assert "0 processes." in space.build(TAR).said, "within a boot, `stat` is trusted"
    boots.write_text("second\n")
    made = space.build(TAR)
    assert (made.code, made.is_whole) == (0, True), made.said
    seen.clear()
    assert path.read_bytes() == right


def test_after_the_first_build_of_a_boot_all_is_as_ever(space: Space, boots: Path) -> None:
    space.build(TAR)
    boots.write_text("second\n")
    made = space.build(TAR)
    assert (made.code, made.is_whole) == (0, True)
    assert "0 processes." in space.build(TAR).said
    assert "0 total actions" in space.full(TAR)
