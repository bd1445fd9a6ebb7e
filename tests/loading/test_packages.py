"""Packages: targets as they are declared, matrices, tags, visibility, and what their labels lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from buildsys.errors import BuildError
from buildsys.model.label import Label
from tests.loading.workspaces import codes_of, errors_of, opened, resolved

if TYPE_CHECKING:
    from pathlib import Path

    from buildsys.model.target import Package


def package(root: Path, text: str, name: str = "p") -> Package:
    """Load one package that is right."""
    space = opened(root, {f"context/{name}/BUILD.yaml": text})
    found = space.loader.package(name)
    assert space.loader.errors() == []
    return found


def wrong(root: Path, text: str) -> list[BuildError]:
    """Load one package and return what is wrong with it."""
    space = opened(root, {"context/p/BUILD.yaml": text})
    space.loader.package("p")
    return space.loader.errors()


def test_targets_are_in_the_order_written_each_with_its_place(tmp_path: Path) -> None:
    found = package(tmp_path, "targets:\n  - {rule: filegroup, name: b}\n  - rule: filegroup\n    name: a\n")
    assert list(found.targets) == ["b", "a"]
    target = found.targets["a"]
    assert (target.label, target.rule, target.kind) == (Label("p", "a"), "filegroup", "filegroup rule")
    assert (target.at.path, target.at.line, target.at.column) == ("context/p/BUILD.yaml", 4, 11)


@pytest.mark.parametrize("text", ["", "targets: []\n", "# nothing\n", "targets:\n"])
def test_a_package_may_be_empty(tmp_path: Path, text: str) -> None:
    assert package(tmp_path, text).targets == {}


class TestMatrix:
    def test_a_matrix_makes_a_target_of_each_combination(self, tmp_path: Path) -> None:
        found = package(
            tmp_path,
            "targets: [{rule: filegroup, name: 'x-{cri}-{arch}',"
            " matrix: {cri: [docker, containerd], arch: [amd64, arm64]}}]",
        )
        assert {name: dict(target.settings) for name, target in found.targets.items()} == {
            f"x-{cri}-{arch}": {"cri": cri, "arch": arch}
            for cri in ("docker", "containerd")
            for arch in ("amd64", "arm64")
        }

    def test_rows_share_their_place_and_their_attributes(self, tmp_path: Path) -> None:
        found = package(tmp_path, "targets: [{rule: filegroup, name: 'x-{cri}', matrix: {cri: [docker, containerd]}}]")
        one, two = found.targets.values()
        assert one.at == two.at
        assert one.attributes is two.attributes

    @pytest.mark.parametrize(
        ("matrix", "code", "words"),
        [
            ("{cri: [docker, podman]}", "B207", "'podman' is not one of"),
            ("{crii: [docker]}", "B207", "unknown parameter 'crii'"),
            ("{cri: docker}", "B204", "must be a list"),
            ("{cri: [docker, {}]}", "B204", "not a mapping"),
            ("{kubernetes: [1.20]}", "B203", "unquoted version 1.20"),
            ("[cri]", "B204", "must be a mapping"),
            ("{arch: [amd64]}", "B101", "names a parameter that its matrix lacks"),
            ("{cri: [docker, docker]}", "B207", "stands twice"),
        ],
    )
    def test_what_is_wrong_with_it_is_said(self, tmp_path: Path, matrix: str, code: str, words: str) -> None:
        errors = wrong(tmp_path, f"targets: [{{rule: filegroup, name: 'x-{{cri}}', matrix: {matrix}}}]")
        assert [error.code for error in errors] == [code]
        assert words in errors[0].message

    def test_a_name_without_the_parameter_is_a_conflict_that_says_how_to_mend_it(self, tmp_path: Path) -> None:
        (error,) = wrong(tmp_path, "targets: [{rule: filegroup, name: x, matrix: {cri: [docker, containerd]}}]")
        assert error.code == "B211"
        assert "{cri}-{arch}" in error.hint


class TestTagsAndVisibility:
    def test_defaults_hold_where_a_target_says_nothing(self, tmp_path: Path) -> None:
        found = package(
            tmp_path,
            "default_tags: [manual, slow]\ndefault_visibility: ['//visibility:public']\ntargets:\n"
            "  - {rule: filegroup, name: a}\n"
            "  - {rule: filegroup, name: b, tags: [], visibility: ['//x:__pkg__']}\n"
            "  - {rule: filegroup, name: c, tags: [quick]}\n",
        )
        assert {name: target.tags for name, target in found.targets.items()} == {
            "a": ("manual", "slow"),
            "b": (),
            "c": ("quick",),
        }
        assert found.targets["a"].visibility == ("//visibility:public",)
        assert found.targets["b"].visibility == ("//x:__pkg__",)

    def test_manual_by_default_is_skipped_by_wildcards(self, tmp_path: Path) -> None:
        text = "default_tags: [manual]\ntargets: [{rule: filegroup, name: a}, {rule: filegroup, name: b, tags: []}]"
        assert resolved(tmp_path, {"context/p/BUILD.yaml": text}, "//...") == ["//p:b"]


@pytest.mark.parametrize(
    ("target", "code", "words"),
    [
        ("{rule: filegrop, name: x}", "B201", "unknown rule 'filegrop'"),
        ("{name: x}", "B202", "has no rule"),
        ("{rule: filegroup}", "B202", "has no name"),
        ("{rule: filegroup, name: 'a b'}", "B101", "invalid target name"),
        ("{rule: filegroup, name: ../x}", "B101", "segment '..'"),
        ("{rule: filegroup, name: ''}", "B101", "is empty"),
        ("{rule: filegroup, name: 1.5}", "B203", "unquoted"),
        ("{rule: filegroup, name: x, scrs: []}", "B202", "no such attribute 'scrs'"),
        ("{rule: template, name: x, out: y}", "B202", "mandatory attribute 'src'"),
        ("{rule: filegroup, name: x, srcs: file}", "B204", "must be a list"),
        ("{rule: filegroup, name: x, srcs: [{globb: [x]}]}", "B202", "unknown key 'globb'"),
        ("{rule: filegroup, name: x, srcs: ['a//b']}", "B101", "invalid label"),
        ("{rule: tarball, name: x, tree: x, level: many}", "B204", "whole number"),
        ("{rule: tarball, name: x, tree: x, format: zip}", "B204", "'zip' is no format"),
        ("{rule: tarball, name: x, tree: x, single_stream: perhaps}", "B204", "true or false"),
        ("{rule: template, name: x, src: x, out: y, vars: [a]}", "B204", "must be a mapping"),
        ("{rule: filegroup, name: x, prefix: {select: {'crii=docker': a}}}", "B207", "unknown parameter 'crii'"),
        ("{rule: filegroup, name: x, prefix: {select: [a]}}", "B204", "a select is a mapping"),
        ("text", "B204", "a target must be a mapping"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, target: str, code: str, words: str) -> None:
    errors = wrong(tmp_path, f"targets:\n  - {target}\n")
    assert code in [error.code for error in errors]
    (error,) = [error for error in errors if words in error.message]
    assert error.at is not None
    assert error.at.line == 2


def test_all_that_is_wrong_is_said_and_what_is_right_is_loaded(tmp_path: Path) -> None:
    space = opened(
        tmp_path,
        {
            "context/p/BUILD.yaml": "targets:\n  - {rule: nonsense, name: a}\n  - {rule: filegroup, name: b, x: 1}\n"
            "  - {rule: filegroup, name: fine}\n  - {rule: filegroup, name: fine}\n"
        },
    )
    assert "fine" in space.loader.package("p").targets
    assert [error.code for error in space.loader.errors()] == ["B201", "B202", "B211"]


class TestClosure:
    FILES: ClassVar = {
        "context/a/BUILD.yaml": """\
            targets:
              - rule: filegroup
                name: a
                srcs: {select: {"cri=docker": ["//b:b"], "//conditions:default": ["//c:c"]}}
        """,
        "context/b/BUILD.yaml": "targets: [{rule: filegroup, name: b, srcs: [file]}]",
        "context/b/file": "",
        "context/c/BUILD.yaml": "targets: [{rule: filegroup, name: c, srcs: ['//d:d.txt']}]",
        "context/d/BUILD.yaml": "",
        "context/d/d.txt": "",
        "context/other/BUILD.yaml": "targets: [",
    }

    def test_what_any_branch_needs_is_loaded_and_nothing_else(self, tmp_path: Path) -> None:
        space = opened(tmp_path, self.FILES)
        space.loader.load_closure([Label("a", "a")])
        assert space.loader.errors() == []
        assert sorted(space.loader.packages) == ["a", "b", "c", "d"]

    @pytest.mark.parametrize(
        ("label", "code", "words"),
        [
            ("//gone:x", "B212", "no such package 'gone'"),
            ("//b:none", "B213", "no such target '//b:none'"),
            ("//b:none.txt", "B208", "missing input file 'context/b/none.txt'"),
            ("//:b/file", "B212", "no such package ''"),
        ],
    )
    def test_labels_that_lead_nowhere_are_said_where_they_are(
        self, tmp_path: Path, label: str, code: str, words: str
    ) -> None:
        files = {**self.FILES, "context/b/BUILD.yaml": f"targets: [{{rule: filegroup, name: b, srcs: ['{label}']}}]"}
        (error,) = errors_of(lambda: resolved(tmp_path, files, "//a"))
        assert error.code == code
        assert words in error.message
        assert error.at is not None
        assert error.at.path == "context/b/BUILD.yaml"

    def test_a_label_must_not_cross_into_another_package(self, tmp_path: Path) -> None:
        files = {
            "context/p/BUILD.yaml": "targets: [{rule: filegroup, name: x, srcs: [sub/file]}]",
            "context/p/sub/BUILD.yaml": "",
            "context/p/sub/file": "",
        }
        (error,) = errors_of(lambda: resolved(tmp_path, files, "//p:x"))
        assert (error.code, "//p/sub:file" in error.hint) == ("B209", True)

    def test_errors_of_packages_that_are_not_needed_do_not_matter(self, tmp_path: Path) -> None:
        assert resolved(tmp_path, self.FILES, "//a") == ["//a:a"]
        assert codes_of(lambda: resolved(tmp_path, self.FILES, "//...")) == ["B110"]

    def test_long_chains_need_no_deep_stack(self, tmp_path: Path) -> None:
        count = 2000
        lines = [f"  - {{rule: filegroup, name: t{n}, srcs: [':t{n + 1}']}}\n" for n in range(count)]
        text = "targets:\n" + "".join(lines) + f"  - {{rule: filegroup, name: t{count}}}\n"
        space = opened(tmp_path, {"context/p/BUILD.yaml": text})
        space.loader.load_closure([Label("p", "t0")])
        assert space.loader.errors() == []
