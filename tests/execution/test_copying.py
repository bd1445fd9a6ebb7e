"""Copies in the kernel, and what is done where it cannot."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from buildsys.execution.copying import STEP, copy_range

if TYPE_CHECKING:
    from pathlib import Path

DATA = os.urandom(3_000_000)


def copied(tmp_path: Path, size: int) -> bytes:
    """Copy the first bytes of a file behind something else."""
    (tmp_path / "source").write_bytes(DATA)
    with (tmp_path / "source").open("rb", buffering=0) as source, (tmp_path / "target").open("w+b", buffering=0) as out:
        out.write(b"before ")
        count = copy_range(source.fileno(), out.fileno(), size, lambda: None)
        out.write(b" after")
        out.seek(0)
        data = out.read()
    assert count == len(data) - len(b"before  after")
    return data


@pytest.mark.parametrize("size", [0, 1, 2_999_999, 3_000_000])
def test_bytes_are_copied_to_where_the_target_stands(tmp_path: Path, size: int) -> None:
    assert copied(tmp_path, size) == b"before " + DATA[:size] + b" after"


def test_a_file_that_is_shorter_gives_what_it_has(tmp_path: Path) -> None:
    assert copied(tmp_path, 4_000_000) == b"before " + DATA + b" after"


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM])
@pytest.mark.parametrize("unable", [["copy_file_range"], ["copy_file_range", "sendfile"]])
def test_what_the_kernel_cannot_is_done_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, unable: list[str]
) -> None:
    def cannot(*_: object, **__: object) -> int:
        raise OSError(code, os.strerror(code))

    for name in unable:
        monkeypatch.setattr(os, name, cannot)
    assert copied(tmp_path, 3_000_000) == b"before " + DATA + b" after"


def test_a_kernel_that_gives_up_half_way_is_helped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def once(source: int, target: int, size: int, offset_src: int) -> int:
        return os.write(target, os.pread(source, 1000, offset_src)) if not offset_src else 0

    def some(target: int, source: int, offset: int, size: int) -> int:
        if offset > 2_000_000:
            raise OSError(errno.EINVAL, "no more")
        return os.write(target, os.pread(source, min(size, 999_999), offset))

    monkeypatch.setattr(os, "copy_file_range", once)
    monkeypatch.setattr(os, "sendfile", some)
    assert copied(tmp_path, 3_000_000) == b"before " + DATA + b" after"


def test_a_full_disk_is_not_taken_for_inability(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "copy_file_range", full)
    with pytest.raises(OSError, match="full"):
        copied(tmp_path, 1)


def test_a_copy_can_be_given_up(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"")
    os.truncate(tmp_path / "source", 3 * STEP)
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with (
        (tmp_path / "source").open("rb") as source,
        (tmp_path / "target").open("wb") as target,
        pytest.raises(KeyboardInterrupt),
    ):
        copy_range(source.fileno(), target.fileno(), 3 * STEP, check)
    assert (tmp_path / "target").stat().st_size <= 2 * STEP
