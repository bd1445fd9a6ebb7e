"""Target patterns: every form, from every folder, with exclusions and the tag `manual`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.loading.workspaces import codes_of, errors_of, resolved

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "context/BUILD.yaml": "targets: [{rule: filegroup, name: top, srcs: [file]}]",
    "context/file": "",
    "context/a/BUILD.yaml": """\
        targets:
          - {rule: filegroup, name: a, srcs: [one, dir/two]}
          - {rule: filegroup, name: other, srcs: [":a", one]}
          - {rule: filegroup, name: hand, tags: [manual]}
          - {rule: filegroup, name: sub/x}
    """,
    "context/a/one": "",
    "context/a/dir/two": "",
    "context/a/b/BUILD.yaml": "targets: [{rule: filegroup, name: b}, {rule: filegroup, name: c}]",
    "context/z/deep/BUILD.yaml": "targets: [{rule: filegroup, name: deep}]",
    "context/none/file": "",
}
A = ["//a:a", "//a:other", "//a:sub/x"]
B = ["//a/b:b", "//a/b:c"]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["//a:a"], ["//a:a"]),
        (["//a"], ["//a:a"]),
        (["//a/b"], ["//a/b:b"]),
        (["//a:sub/x"], ["//a:sub/x"]),
        (["//a:one"], ["//a:one"]),
        (["//a:dir/two"], ["//a:dir/two"]),
        (["//:top"], ["//:top"]),
        (["//:all"], ["//:top"]),
        (["//a:all"], A),
        (["//a:*"], [*A, "//a:dir/two", "//a:one"]),
        (["//a:all-targets"], [*A, "//a:dir/two", "//a:one"]),
        (["//a/..."], [*A, *B]),
        (["//a/...:all"], [*A, *B]),
        (["//a/...:*"], [*A, "//a:dir/two", "//a:one", *B]),
        (["//..."], ["//:top", *A, *B, "//z/deep:deep"]),
        (["//z/..."], ["//z/deep:deep"]),
        (["//a:hand"], ["//a:hand"]),
        (["//a:hand", "//a:all"], ["//a:hand", *A]),
        (["//a:other", "//a:all"], ["//a:other", "//a:a", "//a:sub/x"]),
        (["//a:all", "-//a:other"], ["//a:a", "//a:sub/x"]),
        (["-//a:other", "//a:all"], A),
        (["//a/...", "-//a/b/..."], A),
        (["//a/...", "-//a:all", "//a:a"], [*B, "//a:a"]),
        (["//a:hand", "-//a:all"], []),
        (["//a:a", "-//a:a"], []),
        ([], []),
    ],
)
def test_absolute_patterns(tmp_path: Path, patterns: list[str], expected: list[str]) -> None:
    assert resolved(tmp_path, FILES, *patterns) == expected


@pytest.mark.parametrize(
    ("here", "pattern", "expected"),
    [
        ("context/a", ":a", ["//a:a"]),
        ("context/a", "a", ["//a:a"]),
        ("context/a", "other", ["//a:other"]),
        ("context/a", "b", ["//a/b:b"]),
        ("context/a", "b:c", ["//a/b:c"]),
        ("context/a", "b/c", ["//a/b:c"]),
        ("context/a", "sub/x", ["//a:sub/x"]),
        ("context/a", "dir/two", ["//a:dir/two"]),
        ("context/a", ":all", A),
        ("context/a", "...", [*A, *B]),
        ("context/a", "b/...", B),
        ("context/a", "b/...:all", B),
        ("context/a", "b:all", B),
        ("context/a", "//z/deep", ["//z/deep:deep"]),
        ("context", "a", ["//a:a"]),
        ("context", "a/b", ["//a/b:b"]),
        ("context", "a:other", ["//a:other"]),
        ("context", ":top", ["//:top"]),
        ("context", "top", ["//:top"]),
        ("", "a", ["//a:a"]),
        ("", "...", ["//:top", *A, *B, "//z/deep:deep"]),
        ("context/z", "deep", ["//z/deep:deep"]),
        ("context/z", "...", ["//z/deep:deep"]),
    ],
)
def test_patterns_are_relative_to_the_folder(tmp_path: Path, here: str, pattern: str, expected: list[str]) -> None:
    assert resolved(tmp_path, FILES, pattern, here=here) == expected


def test_a_negative_pattern_may_be_relative(tmp_path: Path) -> None:
    assert resolved(tmp_path, FILES, "...", "-:other", "-b", here="context/a") == ["//a:a", "//a:sub/x", "//a/b:c"]


def test_queries_see_manual_targets(tmp_path: Path) -> None:
    assert "//a:hand" in resolved(tmp_path, FILES, "//a:all", manual=True)


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        ("//a:none", "B213"),
        ("//a:no.txt", "B208"),
        ("//gone", "B212"),
        ("//gone:all", "B212"),
        ("//gone/...", "B212"),
        ("//none/...", "B212"),
        ("//a:b/c", "B209"),
        ("//a:dir", "B208"),
        ("//a:", "B101"),
        ("//a//b", "B101"),
        ("//a/../b", "B101"),
        ("../x", "B101"),
        ("//a/...:x", "B101"),
        ("@repo//a", "B101"),
        ("-//a:none", "B213"),
    ],
)
def test_what_names_nothing_is_an_error(tmp_path: Path, pattern: str, code: str) -> None:
    errors = errors_of(lambda: resolved(tmp_path, FILES, pattern))
    assert [error.code for error in errors] == [code]
    assert errors[0].hint


def test_all_patterns_that_name_nothing_are_said(tmp_path: Path) -> None:
    assert sorted(codes_of(lambda: resolved(tmp_path, FILES, "//gone", "//a:none", "//a:a"))) == ["B212", "B213"]


def test_a_target_called_all_is_meant_by_its_name(tmp_path: Path) -> None:
    files = {"context/a/BUILD.yaml": "targets: [{rule: filegroup, name: all}, {rule: filegroup, name: x}]"}
    assert resolved(tmp_path, files, "//a:all") == ["//a:all"]


def test_ignored_folders_are_no_packages(tmp_path: Path) -> None:
    files = {**FILES, ".buildsysignore": "# a comment\n\na/b\nz/\n"}
    assert resolved(tmp_path, files, "//...") == ["//:top", *A]
    assert codes_of(lambda: resolved(tmp_path, files, "//a/b")) == ["B212"]
    assert codes_of(lambda: resolved(tmp_path, files, "//z/deep")) == ["B212"]


def test_folders_of_the_program_and_hidden_ones_are_no_packages(tmp_path: Path) -> None:
    files = {
        "BUILD.yaml": "workspace: w\ntargets: [{rule: filegroup, name: x}]\n",
        "buildsys-out/bin/BUILD.yaml": "targets: [{rule: filegroup, name: x}]\n",
        ".git/BUILD.yaml": "targets: [{rule: filegroup, name: x}]\n",
    }
    assert resolved(tmp_path, files, "//...") == ["//:x"]
