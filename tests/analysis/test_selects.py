"""select(): which branch holds (cli-conventions: specialisation, ambiguity, default, concatenation, null)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.loading.workspaces import analysed, errors_of

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = """\
  - {rule: config_setting, name: docker, values: {cri: docker}}
  - {rule: config_setting, name: docker_arm, values: {cri: docker, arch: arm64}}
  - {rule: config_setting, name: new, values: {kubernetes: ">=1.24"}}
  - {rule: alias, name: other_name, actual: docker}
  - {rule: alias, name: other_other_name, actual: other_name}
"""


def chosen(root: Path, select: str, **params: str) -> list[str]:
    """Return the files that a filegroup has, whose srcs are as given."""
    files = {
        "context/p/BUILD.yaml": f"targets:\n{SETTINGS}  - rule: filegroup\n    name: x\n    srcs: {select}\n",
        **{f"context/p/{name}": "" for name in "abcd"},
    }
    found = analysed(root, files, "//p:x", params=params)
    (target,) = found.targets.values()
    return [artifact.name for artifact in target.files]


@pytest.mark.parametrize(
    ("select", "params", "expected"),
    [
        ("{select: {'cri=docker': [a], 'cri=containerd': [b]}}", {}, ["a"]),
        ("{select: {'cri=docker': [a], 'cri=containerd': [b]}}", {"cri": "containerd"}, ["b"]),
        ("{select: {'cri=containerd': [b], //conditions:default: [c]}}", {}, ["c"]),
        ("{select: {//conditions:default: [c], 'cri=docker': [a]}}", {}, ["a"]),
        ("{select: {':docker': [a], //conditions:default: [c]}}", {}, ["a"]),
        ("{select: {'//p:docker': [a], //conditions:default: [c]}}", {"cri": "containerd"}, ["c"]),
        ("{select: {':other_name': [a], //conditions:default: [c]}}", {}, ["a"]),
        ("{select: {':other_other_name': [a], //conditions:default: [c]}}", {}, ["a"]),
        ("{select: {':new': [a], //conditions:default: [c]}}", {"kubernetes": "v1.23.17"}, ["c"]),
        ("{select: {':new': [a], //conditions:default: [c]}}", {"kubernetes": "1.24.0"}, ["a"]),
        ("{select: {'kubernetes>=1.24,<1.29': [a], 'kubernetes>=1.29': [b]}}", {}, ["a"]),
        ("{select: {'kubernetes>=1.24,<1.29': [a], 'kubernetes>=1.29': [b]}}", {"kubernetes": "1.29.0"}, ["b"]),
        ("{select: {'kubernetes>=1.24,cri=docker': [a], //conditions:default: [b]}}", {}, ["a"]),
        ("{select: {'debug=true': [a], 'debug=false': [b]}}", {}, ["b"]),
        ("{select: {'debug=true': [a], 'debug=false': [b]}}", {"debug": "1"}, ["a"]),
        # a specialisation beats what it specialises
        ("{select: {':docker': [a], ':docker_arm': [b]}}", {"arch": "arm64"}, ["b"]),
        ("{select: {':docker_arm': [b], ':docker': [a]}}", {"arch": "arm64"}, ["b"]),
        ("{select: {':docker': [a], ':docker_arm': [b]}}", {}, ["a"]),
        (
            "{select: {'cri=docker': [a], 'cri=docker,arch=amd64,debug=false': [b], 'cri=docker,arch=amd64': [c]}}",
            {},
            ["b"],
        ),
        # several may hold where they give the same value
        ("{select: {'cri=docker': [a], 'arch=amd64': [a]}}", {}, ["a"]),
        # in lists
        ("[d, {select: {'cri=docker': [a, b], //conditions:default: []}}, c]", {}, ["d", "a", "b", "c"]),
        ("[d, {select: {'cri=docker': [a], //conditions:default: []}}, c]", {"cri": "containerd"}, ["d", "c"]),
        ("[{select: {'cri=docker': [a]}}, {select: {'arch=amd64': [b]}}]", {}, ["a", "b"]),
        ("[d, {select: {'cri=docker': ~}}]", {}, ["d"]),
        # a branch may be a select, and a glob
        ("{select: {'cri=docker': {select: {'arch=amd64': [a], 'arch=arm64': [b]}}}}", {"arch": "arm64"}, ["b"]),
        ("{select: {'cri=docker': {glob: ['[a-c]', 'a']}}}", {}, ["a"]),
        # no value leaves the attribute's default
        ("{select: {'cri=docker': ~}}", {}, []),
    ],
)
def test_the_branch_that_holds(tmp_path: Path, select: str, params: dict[str, str], expected: list[str]) -> None:
    assert chosen(tmp_path, select, **params) == expected


def test_two_that_hold_with_different_values_are_ambiguous(tmp_path: Path) -> None:
    (error,) = errors_of(lambda: chosen(tmp_path, "{select: {'cri=docker': [a], 'arch=amd64': [b]}}"))
    assert error.code == "B218"
    assert 'Illegal ambiguous match on configurable attribute "srcs"' in error.message
    assert "cri=docker" in error.notes[0]
    assert "arch=amd64" in error.notes[0]


def test_a_specialisation_of_one_of_two_is_ambiguous(tmp_path: Path) -> None:
    select = "{select: {'cri=docker': [a], 'cri=docker,debug=false': [b], 'arch=amd64': [c]}}"
    assert [error.code for error in errors_of(lambda: chosen(tmp_path, select))] == ["B218"]


def test_where_none_holds_the_conditions_are_listed(tmp_path: Path) -> None:
    (error,) = errors_of(lambda: chosen(tmp_path, "{select: {'cri=containerd': [a], 'kubernetes<1.24': [b]}}"))
    assert error.code == "B217"
    assert "doesn't match this configuration (would a default condition help?)" in error.message
    assert "cri=containerd\n kubernetes<1.24" in error.notes[0]
    assert error.notes[1] == "Values: cri=docker, kubernetes=1.28.15"


def test_the_authors_own_words_are_used(tmp_path: Path) -> None:
    select = "{select: {'cri=containerd': [a]}, no_match_error: docker is not supported}"
    (error,) = errors_of(lambda: chosen(tmp_path, select))
    assert error.message.endswith("doesn't match this configuration: docker is not supported")


@pytest.mark.parametrize("key", [":x", ":a", "//p:none"])
def test_a_condition_must_be_a_config_setting(tmp_path: Path, key: str) -> None:
    errors = errors_of(lambda: chosen(tmp_path, f"{{select: {{'{key}': [a], //conditions:default: [b]}}}}"))
    assert {error.code for error in errors} <= {"B219", "B213"}


def test_aliases_in_a_circle_are_no_config_setting(tmp_path: Path) -> None:
    files = {
        "context/p/BUILD.yaml": "targets:\n  - {rule: alias, name: one, actual: two}\n"
        "  - {rule: alias, name: two, actual: one}\n"
        "  - {rule: filegroup, name: x, srcs: {select: {':one': [], //conditions:default: []}}}\n"
    }
    (error,) = errors_of(lambda: analysed(tmp_path, files, "//p:x"))
    assert error.code == "B219"
