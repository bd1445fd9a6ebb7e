"""GET: what a file address gives, and whose fault is whose."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from buildsys.adapters import http

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_given_whole(tmp_path: Path) -> None:
    (tmp_path / "a b").write_bytes(b"x" * 3_000_000)
    with http.get(f"file://{tmp_path}/a%20b") as response:
        assert (response.total, sum(map(len, response.chunks))) == (3_000_000, 3_000_000)


@pytest.mark.parametrize(("name", "reason"), [("gone", "no such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(http.HttpFault, match=reason) as caught, http.get(f"file://{tmp_path}/{name}") as response:
        list(response.chunks)
    assert not caught.value.transient


def test_what_the_reader_does_wrong_is_not_the_fault_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    with pytest.raises(OSError, match="full") as caught, http.get(f"file://{tmp_path}/f"):
        raise OSError(errno.ENOSPC, "full")
    assert caught.value.errno == errno.ENOSPC
