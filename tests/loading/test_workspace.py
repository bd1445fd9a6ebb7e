"""The workspace file: where it is found, and what it declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildsys.errors import UsageError
from buildsys.loading.place import find_root, locate
from tests.loading.workspaces import ROOT, errors_of, opened, write

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_found_from_any_folder_below(tmp_path: Path) -> None:
    root = write(tmp_path / "w", {"context/a/BUILD.yaml": "targets: []\n", "context/a/b/file": ""})
    for folder in ("", "context", "context/a", "context/a/b"):
        assert find_root(str(root / folder)) == str(root)
    assert find_root(str(root / "not/there")) == str(root)


def test_the_nearest_one_counts(tmp_path: Path) -> None:
    root = write(tmp_path, {"inner/BUILD.yaml": "workspace: inner\n", "inner/x/BUILD.yaml": "targets: []\n"})
    assert find_root(str(root / "inner/x")) == str(root / "inner")


def test_outside_of_any_there_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    (tmp_path / "BUILD.yaml").write_text("# workspace: not one\ntargets: []\n")
    with pytest.raises(UsageError) as caught:
        locate(str(tmp_path))
    assert (caught.value.code, caught.value.exit_code) == ("B002", 2)
    assert caught.value.hint


def test_everything_that_is_declared_is_there(tmp_path: Path) -> None:
    text = ROOT + (
        "platforms: [linux/amd64, linux/arm64]\nlockfile: my.lock\nconstraints:\n"
        '  - {forbid: "cri=docker,kubernetes>=1.24", reason: gone, instead: "containerd"}\n'
    )
    workspace = opened(tmp_path, {"BUILD.yaml": text}).workspace
    assert (workspace.name, workspace.packages, workspace.lockfile) == ("w", "context", "my.lock")
    assert [str(platform) for platform in workspace.platforms] == ["linux/amd64", "linux/arm64"]
    cri, debug, mirror = (workspace.parameters[name] for name in ("cri", "debug", "mirror"))
    assert (cri.kind, cri.default, cri.choices, cri.names_output) == (
        "choice",
        "docker",
        ("docker", "containerd"),
        True,
    )
    assert (debug.kind, debug.default) == ("bool", "false")
    assert not mirror.names_output
    (constraint,) = workspace.constraints
    assert dict(constraint.forbid.terms) == {"cri": "==docker", "kubernetes": ">=1.24"}
    assert (constraint.reason, constraint.instead) == ("gone", "containerd")


@pytest.mark.parametrize(
    ("text", "code", "line", "words"),
    [
        ("workspace: w\nparamters: {}\n", "B202", 2, "unknown key 'paramters'"),
        ("workspace: w\nparameters: {a: {type: versoin}}\n", "B205", 2, "unknown parameter type 'versoin'"),
        ("workspace: w\nparameters: {a: {type: choice}}\n", "B205", 2, "a choice of nothing"),
        ("workspace: w\nparameters: {a: {type: choice, values: [x], default: y}}\n", "B205", 2, "'y' is not one of x"),
        ("workspace: w\nparameters: {a: {typ: bool}}\n", "B202", 2, "unknown key 'typ'"),
        ("workspace: w\nparameters: {a: {type: version, default: 1.20}}\n", "B203", 2, "unquoted version 1.20"),
        ("workspace: w\nparameters: {a: {type: bool, default: maybe}}\n", "B205", 2, "neither true nor false"),
        ("workspace: w\nparameters: {a: text}\n", "B204", 2, "must be a mapping"),
        ("workspace: w\nparameters: [a]\n", "B204", 2, "must be a mapping"),
        ("workspace: w\nplatforms: [amd64]\n", "B205", 2, "'amd64' is no platform"),
        ("workspace: w\nconstraints: [{forbid: a=b, reason: r}]\n", "B207", 2, "unknown parameter 'a'"),
        ("workspace: w\nparameters: {a: {}}\nconstraints: [{forbid: a=b}]\n", "B205", 3, "needs a `reason`"),
        ("workspace: w\nworkspace: x\n", "B111", 2, "stands twice"),
        ("workspace: w\n  x: [\n", "B110", 2, "not valid YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, code: str, line: int, words: str) -> None:
    (error,) = errors_of(lambda: opened(tmp_path, {"BUILD.yaml": text}))
    assert error.at is not None
    assert (error.code, error.at.path, error.at.line) == (code, "BUILD.yaml", line)
    assert words in error.message


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = "workspace: w\nx: 1\nparameters: {a: {type: y}, b: {z: 1}}\nplatforms: [q]\n"
    assert len(errors_of(lambda: opened(tmp_path, {"BUILD.yaml": text}))) == 4


def test_an_unquoted_choice_of_true_and_false_is_a_bool(tmp_path: Path) -> None:
    text = "workspace: w\nparameters: {a: {type: bool, default: yes}, b: {type: bool, default: true}}\n"
    errors = errors_of(lambda: opened(tmp_path, {"BUILD.yaml": text}))
    assert [error.code for error in errors] == ["B205"]
