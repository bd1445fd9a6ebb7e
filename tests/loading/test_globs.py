"""Globs: which files match, against an oracle that goes segment by segment."""

from __future__ import annotations

import fnmatch
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildsys.loading import globs
from buildsys.loading.files import FileReader
from tests.loading.workspaces import codes_of, opened, resolved

if TYPE_CHECKING:
    from pathlib import Path

FILES = ["a", "b.txt", "d/a", "d/b.txt", "d/e/a", "d/e/f/b.txt", "x/y/z", ".hidden", "d/.h/a", "a+b", "d/[x]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / name).write_text("")
    (tmp_path / "p" / "BUILD.yaml").write_text("")
    return tmp_path


def match(folder: Path, *include: str, exclude: tuple[str, ...] = ()) -> list[str]:
    return globs.matches(FileReader(str(folder)), "p", include, exclude, "BUILD.yaml")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a", ["a"]),
        ("*", [".hidden", "a", "a+b", "b.txt"]),
        ("?", ["a"]),
        ("*.txt", ["b.txt"]),
        ("*/*", ["d/[x]", "d/a", "d/b.txt"]),
        ("**/*.txt", ["b.txt", "d/b.txt", "d/e/f/b.txt"]),
        ("d/**", ["d/.h/a", "d/[x]", "d/a", "d/b.txt", "d/e/a", "d/e/f/b.txt"]),
        ("**/e/**", ["d/e/a", "d/e/f/b.txt"]),
        ("d/**/a", ["d/.h/a", "d/a", "d/e/a"]),
        ("**", sorted(FILES)),
        ("**/**", sorted(FILES)),
        ("d/[x]", ["d/[x]"]),
        ("a+b", ["a+b"]),
        ("d/?", ["d/a"]),
        ("nothing", []),
        ("d", []),
        ("D/a", []),
        ("BUILD.yaml", []),
    ],
)
def test_a_pattern_matches(folder: Path, pattern: str, expected: list[str]) -> None:
    assert match(folder, pattern) == expected


def test_exclusions_and_several_patterns(folder: Path) -> None:
    assert match(folder, "*", "d/*", exclude=(".*", "**/*.txt")) == ["a", "a+b", "d/[x]", "d/a"]


@pytest.mark.parametrize("pattern", ["**", "d/**", "d/e/*", "d/e/f/b.txt", "**/b.txt"])
def test_packages_below_are_never_entered(folder: Path, pattern: str) -> None:
    (folder / "p/d/e/BUILD.yaml").write_text("")
    assert not any(path.startswith("d/e/") for path in match(folder, pattern))


def test_links_to_folders_are_entered_but_not_those_that_lead_back(folder: Path) -> None:
    (folder / "p/link").symlink_to("x")
    (folder / "p/x/up").symlink_to("..")
    (folder / "p/x/here").symlink_to(".")
    (folder / "p/x/self").symlink_to("self")
    (folder / "p/d/e/other").symlink_to(folder / "p/x")
    found = match(folder, "**")
    assert {"link/y/z", "d/e/other/y/z"} <= set(found)
    assert "x/self" not in found
    assert len(found) < 40


def test_links_that_lead_to_each_other_come_to_an_end(folder: Path) -> None:
    for one, other in (("d", "x"), ("x", "d")):
        for number in range(3):
            (folder / f"p/{one}/l{number}").symlink_to(f"../{other}")
    assert len(match(folder, "**")) < 1000


def test_what_builds_make_is_no_source(tmp_path: Path) -> None:
    files = {
        "BUILD.yaml": 'workspace: w\ntargets: [{rule: filegroup, name: g, srcs: [{glob: ["**/x"]}]}]\n',
        "src/x": "",
        "buildsys-out/bin/x": "",
    }
    space = opened(tmp_path, files)
    package = space.loader.package("")
    assert list(package.globs.values()) == [("src/x",)]


def test_a_glob_without_a_match_is_an_error_unless_that_is_allowed(tmp_path: Path) -> None:
    target = "targets: [{rule: filegroup, name: g, srcs: [{glob: [none], allow_empty: %s}]}]\n"
    assert codes_of(lambda: resolved(tmp_path, {"context/p/BUILD.yaml": target % "false"}, "//p:g")) == ["B210"]
    assert resolved(tmp_path, {"context/p/BUILD.yaml": target % "true"}, "//p:g") == ["//p:g"]


def test_a_name_with_a_line_end_matches_like_any_other(folder: Path) -> None:
    (folder / "p/d/two\nlines").write_text("")
    for pattern in ("**", "d/**", "d/*", "d/two?lines", "**/*lines"):
        assert "d/two\nlines" in match(folder, pattern)


def test_a_name_that_is_not_utf8_is_an_error_unless_it_is_excluded(tmp_path: Path) -> None:
    target = "targets: [{rule: filegroup, name: g, srcs: [{glob: ['*'], exclude: [%s]}]}]\n"
    (tmp_path / "context/p").mkdir(parents=True)
    with open(os.fsencode(tmp_path) + b"/context/p/a\xff", "w", encoding="utf-8"):
        assert codes_of(lambda: resolved(tmp_path, {"context/p/BUILD.yaml": target % ""}, "//p:g")) == ["B113"]
        files = {"context/p/BUILD.yaml": target % "'a*'", "context/p/b": ""}
        assert resolved(tmp_path, files, "//p:g")[0] == "//p:g"


def oracle(pattern: list[str], path: list[str]) -> bool:
    """Match segment by segment."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        rest = pattern[1:]
        if not rest:
            return bool(path)
        return any(oracle(rest, path[skip:]) for skip in range(len(path)))
    return bool(path) and fnmatch.fnmatchcase(path[0], pattern[0]) and oracle(pattern[1:], path[1:])


segments = st.sampled_from(["a", "b", "ab", "a.b", "*", "**", "?", "a*", "*b", "*.*", "?b"])
names = st.sampled_from(["a", "b", "ab", "a.b", "cab"])


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(segments, min_size=1, max_size=4), st.lists(st.lists(names, min_size=1, max_size=4), max_size=6))
def test_it_agrees_with_the_oracle(
    tmp_path_factory: pytest.TempPathFactory, pattern: list[str], paths: list[list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("glob")
    made = set()
    for path in paths:
        target = folder / "p" / "/".join(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("")
        except OSError:
            continue
        made.add("/".join(path))
    expected = sorted(path for path in made if oracle(pattern, path.split("/")))
    assert match(folder, "/".join(pattern)) == expected
    assert os.path.isdir(folder)
