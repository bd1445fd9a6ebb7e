"""Writing the lock file: only what was locked anew changes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildsys.errors import EnvironmentFault
from buildsys.kubernetes import pins
from buildsys.kubernetes.pins import INDEX, Pin, Pins
from buildsys.lock.writing import HEADER, amended, rewrite

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("docker.io/library/nginx", "registry.k8s.io/pause", "registry.k8s.io/pause-win")
TAGS = ("1.25", "3.6", "sha256:" + "a" * 64)
HEAD = "# ours\n# since 2025\n"


def digest(number: int) -> str:
    return f"{number:064x}"


def image(name: str, tag: str, arch: str, number: int) -> Pin:
    return Pin("image", name, tag, arch, digest(number), ("registry",))


images = st.lists(
    st.builds(
        image, st.sampled_from(NAMES), st.sampled_from(TAGS), st.sampled_from(["amd64", "arm64"]), st.integers(1, 99)
    ),
    unique_by=lambda pin: (pin.name, pin.version, pin.arch),
)
files = st.lists(
    st.builds(
        Pin,
        st.just("file"),
        st.sampled_from(["runc", "nerdctl"]),
        st.sampled_from(["1.0", "2.0"]),
        st.just("any"),
        st.integers(100, 999).map(digest),
        st.just(("KS", "PY")),
    ),
    unique_by=(lambda pin: (pin.name, pin.version), lambda pin: pin.sha256),
)


def read(text: str) -> Pins:
    return pins.parse(text, "buildsys.lock")


def lines(text: str) -> set[str]:
    return set(text.splitlines())


@given(files, images, images)
def test_everything_else_stays_byte_for_byte(kept: list[Pin], old: list[Pin], new: list[Pin]) -> None:
    before = pins.render([*kept, *old], HEAD)
    after = amended(read(before), HEAD, new)
    replaced = {(pin.name, pin.version) for pin in new}
    untouched = [pin for pin in old if (pin.name, pin.version) not in replaced]
    assert after == HEAD + "".join(f"{line}\n" for line in sorted(map(str, [*kept, *untouched, *new])))
    assert amended(read(after), HEAD, new) == after
    assert amended(read(before), HEAD, []) == before


def test_with_another_index_the_children_of_the_old_one_go() -> None:
    old = [image(NAMES[0], "1.25", arch, n) for n, arch in enumerate((INDEX, "amd64", "arm64", "s390x"), 1)]
    other = [image(NAMES[0], "1.9", "s390x", 9), image(NAMES[1], "1.25", "s390x", 8)]
    new = [image(NAMES[0], "1.25", arch, n) for n, arch in enumerate((INDEX, "amd64", "arm64"), 11)]
    after = amended(read(pins.render([*old, *other])), "", new)
    assert lines(after) == lines(HEADER) | set(map(str, [*new, *other]))


def test_what_is_locked_for_one_more_architecture_keeps_the_others_of_the_same_index() -> None:
    old = [image(NAMES[0], "1.25", arch, n) for n, arch in enumerate((INDEX, "amd64"), 1)]
    new = [old[0], image(NAMES[0], "1.25", "arm64", 3)]
    assert read(amended(read(pins.render(old)), "", new)).all() == sorted({*old, *new}, key=str)


def test_what_has_an_index_now_or_has_none_any_more() -> None:
    plain = [image(NAMES[0], "1.25", "amd64", 1), image(NAMES[0], "1.25", "arm64", 2)]
    indexed = [image(NAMES[0], "1.25", INDEX, 3), image(NAMES[0], "1.25", "amd64", 4)]
    assert read(amended(read(pins.render(plain)), "", indexed)).all() == sorted(indexed, key=str)
    assert read(amended(read(pins.render(indexed)), "", plain)).all() == sorted(plain, key=str), "not the old index"


@pytest.mark.parametrize("before", [None, ""])
def test_a_new_file_gets_a_header(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "buildsys.lock"
    if before is not None:
        path.write_text(before)
    pin = image(NAMES[0], "1.25", "amd64", 1)
    assert rewrite(str(path), read(""), [pin])
    assert path.read_text() == f"{HEADER}{pin}\n"
    assert read(path.read_text()).images()[0].name == NAMES[0]


def test_a_header_and_the_permissions_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "buildsys.lock"
    old, new = image(NAMES[0], "1.25", "amd64", 1), image(NAMES[0], "1.25", "amd64", 2)
    path.write_text(f"{HEAD}{old}\n")
    path.chmod(0o640)
    assert rewrite(str(path), read(path.read_text()), [new])
    assert path.read_text() == f"{HEAD}{new}\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["buildsys.lock"]


def test_what_changes_nothing_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "buildsys.lock"
    pin = image(NAMES[0], "1.25", "amd64", 1)
    path.write_text(f"{HEAD}{pin}\n")
    before = path.stat()
    assert not rewrite(str(path), read(path.read_text()), [pin])
    assert not rewrite(str(path), read(path.read_text()), [])
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert path.stat().st_ino == before.st_ino
    assert not rewrite(str(tmp_path / "none.lock"), read(""), [])
    assert os.listdir(tmp_path) == ["buildsys.lock"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        rewrite(str(tmp_path / "gone" / "buildsys.lock"), read(""), [image(NAMES[0], "1.25", "amd64", 1)])
    assert caught.value.code == "B504"
    assert caught.value.hint
