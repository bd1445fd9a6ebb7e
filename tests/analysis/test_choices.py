"""Ranges and lists of versions: what they stand for, and what the configurations that come of them share."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from buildsys import session
from tests.loading.workspaces import errors_of, opened

if TYPE_CHECKING:
    from pathlib import Path

    from buildsys.opened import Analysed

PACKAGE = """\
targets:
  - {rule: http_file, name: agent, version: "{kubernetes}", urls: ["http://h/a"]}
  - {rule: http_file, name: tool, pin: cli, version: "{kubernetes}", urls: ["http://h/t"]}
  - {rule: http_file, name: own, version: "{kubernetes}", urls: ["http://h/o"], sha256: "%s"}
  - {rule: http_file, name: other, version: "1", urls: ["http://h/x"]}
  - {rule: template, name: plain, src: f.j2, out: plain}
  - {rule: template, name: versioned, src: f.j2, out: versioned, params: [kubernetes]}
  - {rule: filegroup, name: both, srcs: [":agent", ":tool"]}
  - {rule: filegroup, name: all-of-it, srcs: [":both", ":own", ":plain", ":versioned"]}
""" % ("0" * 64)


def lock(*versions: str, names: tuple[str, ...] = ("agent", "cli")) -> str:
    """Return a lock file with pins of these versions."""
    rows = [f"file {name} {version} amd64 sha256:" for name in names for version in versions]
    return "".join(f"{row}{hashlib.sha256(row.encode()).hexdigest()} T\n" for row in rows)


def versions_of(root: Path, pins: str, param: str, *patterns: str, name: str = "kubernetes") -> list[str]:
    """Return the versions that a parameter stands for."""
    space = opened(root, {"context/p/BUILD.yaml": PACKAGE, "context/p/f.j2": "", "buildsys.lock": pins})
    labels = session.resolve(space, patterns or ["//p:both"])
    configs, _ = session.configurations(space, labels, session.choose(space, {name: param}))
    return [config.explicit(name) or "" for config in configs]


def refused(root: Path, pins: str, param: str, *patterns: str, name: str = "kubernetes") -> str:
    """Return the code of the error that a parameter is."""
    (error,) = errors_of(lambda: versions_of(root, pins, param, *patterns, name=name))
    return error.code


FOUR = ("1.29.9", "1.30.1", "1.30.2", "1.30.10")


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        (">=1.30,<1.31", ["1.30.1", "1.30.2", "1.30.10"]),
        (">=1.30 <1.30.3", ["1.30.1", "1.30.2"]),
        (">=1.29,!=1.30.1", ["1.29.9", "1.30.2", "1.30.10"]),
        (" >= 1.30.10", ["1.30.10"]),
        ("==1.30.*", ["1.30.1", "1.30.2", "1.30.10"]),
        ("~=1.30.2", ["1.30.2", "1.30.10"]),
        ("1.30.2, v1.30.1,1.30.2", ["1.30.2", "1.30.1"]),
        ("1.30.3,1.99.0", ["1.30.3", "1.99.0"]),
        ("v1.30.3", ["1.30.3"]),
    ],
)
def test_what_is_asked_for(tmp_path: Path, param: str, expected: list[str]) -> None:
    assert versions_of(tmp_path, lock(*FOUR), param) == expected


def test_a_range_is_what_every_file_that_is_needed_is_pinned_for(tmp_path: Path) -> None:
    pins = lock("1.30.1", "1.30.2") + lock("1.30.3", names=("agent",)) + lock("1.30.4", names=("cli",))
    assert versions_of(tmp_path, pins, ">=1.30") == ["1.30.1", "1.30.2"]
    assert versions_of(tmp_path, pins, ">=1.30", "//p:agent") == ["1.30.1", "1.30.2", "1.30.3"]
    assert versions_of(tmp_path, pins, ">=1.30", "//p:tool") == ["1.30.1", "1.30.2", "1.30.4"]


def test_where_nothing_is_pinned_a_range_is_what_the_tables_know(tmp_path: Path) -> None:
    for pattern in ("//p:plain", "//p:own", "//p:other"):
        assert versions_of(tmp_path, lock("1.30.1"), ">=1.30.0,<1.30.3", pattern) == ["1.30.0", "1.30.1", "1.30.2"]


def test_a_release_that_the_tables_do_not_know_is_in_no_range(tmp_path: Path) -> None:
    assert versions_of(tmp_path, lock("1.30.1", "1.30.99"), ">=1.30") == ["1.30.1"]


def test_of_other_parameters_the_lock_file_knows_the_versions(tmp_path: Path) -> None:
    text = 'targets:\n  - {rule: http_file, name: runc, version: "{runc}", urls: ["http://h/r"]}\n'
    space = opened(
        tmp_path, {"context/q/BUILD.yaml": text, "buildsys.lock": lock("1.2", "1.10", "2.0", names=("runc",))}
    )
    root = tmp_path / "BUILD.yaml"
    root.write_text(root.read_text() + "  runc: {type: version, default: '1.2'}\n")
    space = session.open_workspace(space.place)
    labels = session.resolve(space, ["//q:runc"])
    configs, lines = session.configurations(space, labels, session.choose(space, {"runc": "<2"}))
    assert [config.explicit("runc") for config in configs] == ["1.2", "1.10"]
    assert lines == ["runc=<2: 2 versions, 1.2 to 1.10"]


@pytest.mark.parametrize(
    ("name", "param", "code"),
    [
        ("kubernetes", ">=2", "B021"),
        ("kubernetes", ">=1.31", "B021"),
        ("kubernetes", ">=1.x", "B605"),
        ("kubernetes", ">=1.30,1.31.0", "B605"),
        ("kubernetes", "1.30.1,>=1.31", "B600"),
        ("kubernetes", "1.30.1,", "B600"),
        ("kubernetes", ",", "B600"),
        ("kubernetes>", "1.30", "B020"),
        ("cri", ">=1", "B020"),
        ("domain", "!=2,>=1", "B020"),
        ("domain>", "1", "B020"),
        ("nothing>", "1", "B207"),
    ],
)
def test_what_is_refused(tmp_path: Path, name: str, param: str, code: str) -> None:
    assert refused(tmp_path, lock(*FOUR), param, name=name) == code


def test_a_text_that_is_no_range_is_a_text(tmp_path: Path) -> None:
    assert versions_of(tmp_path, "", "<html>", name="domain") == ["<html>"]
    assert versions_of(tmp_path, "", "a,b", name="domain") == ["a,b"]


def analysed(root: Path, pins: str, **params: str) -> Analysed:
    space = opened(root, {"context/p/BUILD.yaml": PACKAGE, "context/p/f.j2": "", "buildsys.lock": pins})
    labels = session.resolve(space, ["//p:all-of-it", "//p:plain", "//p:versioned"])
    configs, _ = session.configurations(space, labels, session.choose(space, params))
    return session.analyse(space, labels, *configs)


def test_what_versions_share_is_analysed_once(tmp_path: Path) -> None:
    one = len(analysed(tmp_path, lock(*FOUR), kubernetes="1.30.1").analyser.targets)
    three = analysed(tmp_path, lock(*FOUR), kubernetes=">=1.30")
    shared = 2  # //p:plain and the source file
    assert len(three.analyser.targets) == shared + 3 * (one - shared)
    plain = "//p:plain"
    assert [str(wanted) for wanted in three.targets] == [
        "//p:all-of-it (kubernetes=1.30.1)",
        plain,
        "//p:versioned (kubernetes=1.30.1)",
        "//p:all-of-it (kubernetes=1.30.2)",
        "//p:versioned (kubernetes=1.30.2)",
        "//p:all-of-it (kubernetes=1.30.10)",
        "//p:versioned (kubernetes=1.30.10)",
    ]


def test_actions_of_several_versions_have_names_of_their_own(tmp_path: Path) -> None:
    found = analysed(tmp_path, lock(*FOUR), kubernetes="1.30.1,1.30.2", cri="docker")
    renders = [action for action in found.analyser.graph.actions if action.operation.MNEMONIC == "Render"]
    assert sorted((action.config, action.choice) for action in renders) == [
        ("", ""),
        ("kubernetes=1.30.1", "kubernetes=1.30.1"),
        ("kubernetes=1.30.2", "kubernetes=1.30.2"),
    ]
    alone = analysed(tmp_path, lock(*FOUR), kubernetes="1.30.1")
    assert {action.choice for action in alone.analyser.graph.actions} == {""}
    assert not any("kubernetes" in action.config for action in alone.analyser.graph.actions)


def test_keys_are_those_of_separate_builds(tmp_path: Path) -> None:
    together = analysed(tmp_path, lock(*FOUR), kubernetes=">=1.30")
    statics = {action.static for action in together.analyser.graph.actions}
    apart: set[str] = set()
    for version in FOUR[1:]:
        apart |= {a.static for a in analysed(tmp_path, lock(*FOUR), kubernetes=version).analyser.graph.actions}
    assert statics == apart
