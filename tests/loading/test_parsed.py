"""What was parsed before: found again for equal contents alone, and never believed when something is wrong with it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from buildsys import recording, session
from buildsys.adapters import yaml
from buildsys.adapters.versions import parse_version
from buildsys.execution import output_folder
from buildsys.kubernetes import kubeadm
from buildsys.loading import parsed as parsed_module
from buildsys.loading.parsed import Parsed
from tests.loading.workspaces import errors_of, opened, write

if TYPE_CHECKING:
    from buildsys.errors import Location
    from buildsys.kubernetes.tables import Tables
    from buildsys.opened import Session

ROOT = Path(__file__).parents[2]

FILES = {
    "context/a/BUILD.yaml": """
        default_visibility: ["//visibility:public"]
        targets:
          - {rule: template, name: plain, src: x.j2, out: x, vars: {a: "1"}}
          - {rule: filegroup, name: files, srcs: [{glob: ["*.txt"]}, x.j2]}
          - {rule: filegroup, name: "m-{cri}", matrix: {cri: [docker, containerd]},
             srcs: {select: {cri=docker: [x.j2]}}}
        """,
    "context/a/x.j2": "x",
    "context/a/one.txt": "1",
}


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the YAML files that are parsed."""
    found: list[str] = []
    real = yaml.parse

    def parse(text: str, path: str) -> Any:
        found.append(path)
        return real(text, path)

    monkeypatch.setattr(yaml, "parse", parse)
    return found


def loaded(root: Path, files: dict[str, str] | None = None, *patterns: str) -> Session:
    (root / "buildsys-out").mkdir(exist_ok=True)
    space = opened(root, files)
    session.resolve(space, patterns or ["//..."])
    return space


def told(space: Session) -> dict[str, list[object]]:
    """Return all that packages say, places included."""
    return {
        name: [
            package.globs,
            *((t.label, t.rule, t.at, dict(t.attributes), t.deps, t.values, t[6:]) for t in package.targets.values()),
        ]
        for name, package in space.loader.packages.items()
    }


def test_what_did_not_change_is_not_parsed_again_and_says_the_same(tmp_path: Path, reads: list[str]) -> None:
    first = told(loaded(tmp_path, FILES))
    assert reads == ["BUILD.yaml", "context/a/BUILD.yaml"]
    assert told(loaded(tmp_path)) == first
    assert len(reads) == 2


def test_the_workspace_of_this_repository_says_the_same_when_it_was_parsed_before(
    tmp_path: Path, reads: list[str]
) -> None:
    for name in ("BUILD.yaml", "buildsys.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "context", tmp_path / "context")
    (tmp_path / "buildsys-out").mkdir()
    first = opened(tmp_path, {"BUILD.yaml": (ROOT / "BUILD.yaml").read_text()})
    session.resolve(first, ["//..."])
    count = len(reads)
    second = opened(tmp_path, {"BUILD.yaml": (ROOT / "BUILD.yaml").read_text()})
    session.resolve(second, ["//..."])
    assert told(first) == told(second)
    assert len(reads) == count > 3
    assert [str(p) for p in second.pins().all()] == [str(p) for p in first.pins().all()]
    assert second.tables.runtimes["docker"] == first.tables.runtimes["docker"]


def test_globs_are_matched_anew(tmp_path: Path, reads: list[str]) -> None:
    loaded(tmp_path, FILES)
    space = loaded(tmp_path, {"context/a/two.txt": "2"})
    assert [str(need) for need in space.loader.packages["a"].targets["files"].needs] == [
        "//a:x.j2",
        "//a:one.txt",
        "//a:two.txt",
    ]
    assert len(reads) == 2


def test_another_text_is_parsed_and_no_other_package_with_it(tmp_path: Path, reads: list[str]) -> None:
    other = {"context/b/BUILD.yaml": "targets: [{rule: filegroup, name: b, srcs: []}]\n"}
    loaded(tmp_path, {**FILES, **other})
    reads.clear()
    loaded(tmp_path, {"context/b/BUILD.yaml": "targets: [{rule: filegroup, name: c, srcs: []}]\n"})
    assert reads == ["context/b/BUILD.yaml"]


def test_other_parameters_are_another_language(tmp_path: Path, reads: list[str]) -> None:
    loaded(tmp_path, FILES)
    reads.clear()
    text = "workspace: w\npackages: context\nparameters:\n  cri: {type: choice, values: [docker], default: docker}\n"
    found = errors_of(lambda: loaded(tmp_path, {"BUILD.yaml": text}))
    assert [error.code for error in found] == ["B207"]  # containerd is no value of the matrix any more
    assert reads == ["BUILD.yaml", "context/a/BUILD.yaml"]


def test_another_rule_of_the_workspace_is_another_language(tmp_path: Path, reads: list[str]) -> None:
    rule = (
        "from dataclasses import dataclass\nfrom typing import ClassVar\nfrom buildsys.sdk import *\n"
        "@dataclass(frozen=True, slots=True, kw_only=True)\nclass Own(Rule):\n    NAME: ClassVar[str] = 'own'\n"
        "    {} : str = attr('a word')\n    def analyse(self, ctx): return ()\n"
    )
    files = {
        "BUILD.yaml": "workspace: w\npackages: context\nrules: rules\n",
        "rules/own.py": rule.format("word"),
        "context/a/BUILD.yaml": "targets: [{rule: own, name: a, word: x}]\n",
    }
    loaded(tmp_path, files)
    reads.clear()
    found = errors_of(lambda: loaded(tmp_path, {**files, "rules/own.py": rule.format("work")}))
    assert {error.code for error in found} == {"B202"}
    assert reads == ["context/a/BUILD.yaml"]


def test_a_package_with_errors_is_parsed_each_time(tmp_path: Path, reads: list[str]) -> None:
    files = {"context/a/BUILD.yaml": "targets:\n  - {rule: filegroup, name: a, srks: []}\n"}
    first = errors_of(lambda: loaded(tmp_path, files))
    second = errors_of(lambda: loaded(tmp_path))
    assert [str(e.at) + e.message for e in first] == [str(e.at) + e.message for e in second]
    assert reads.count("context/a/BUILD.yaml") == 2


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other", "folder", "program"])
def test_what_is_damaged_or_foreign_is_parsed_again(
    tmp_path: Path, reads: list[str], damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = told(loaded(tmp_path, FILES))
    kept = sorted((tmp_path / "buildsys-out/packages").iterdir())
    assert len(kept) == 2
    contents = [path.read_bytes() for path in kept]
    for number, path in enumerate(kept):
        data = bytearray(contents[number])
        if damage == "flip":
            data[len(data) // 2] ^= 1
        damaged = {"cut": bytes(data[:-3]), "empty": b"", "other": contents[1 - number]}
        path.write_bytes(damaged.get(damage, bytes(data)))
        if damage == "folder":
            path.unlink()
            path.mkdir()
    if damage == "program":
        monkeypatch.setattr(recording, "program", lambda: [("another", 0, 0, 0, 0, 0, "")])
    reads.clear()
    assert told(loaded(tmp_path)) == first
    assert reads == ["BUILD.yaml", "context/a/BUILD.yaml"]


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "buildsys-out").mkdir()
    kept = Parsed(str(tmp_path / "buildsys-out"), ())
    kept.keep("name", "key", ("word", 1, [None]))
    (path,) = (tmp_path / "buildsys-out/packages").iterdir()
    whole = path.read_bytes()
    assert kept.find("name", "key") == ("word", 1, [None])
    assert kept.find("name", "other") is None
    assert kept.find("other", "key") is None
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        assert kept.find("name", "key") is None, position


def test_nothing_is_made_where_there_is_no_output_folder(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    session.resolve(opened(tmp_path), ["//..."])
    assert not (tmp_path / "buildsys-out").exists()


def test_the_folder_does_not_grow_forever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsed_module, "MOST", 3)
    for number in range(9):
        Parsed(str(tmp_path), ()).keep(f"name {number}", "", number)
    assert len(list((tmp_path / "packages").iterdir())) <= 4
    assert Parsed(str(tmp_path), ()).find("name 8", "") == 8


def test_clean_removes_it(tmp_path: Path) -> None:
    loaded(tmp_path, FILES)
    output_folder.remove(str(tmp_path), str(tmp_path / "buildsys-out"), expunge=False)
    assert not (tmp_path / "buildsys-out/packages").exists()


def test_a_configuration_of_kubeadm_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    real = kubeadm.documents

    def documents(tables: Tables, options: kubeadm.KubeadmOptions, at: Location | None) -> list[dict[str, object]]:
        made.append(options.cri)
        return real(tables, options, at)

    monkeypatch.setattr(kubeadm, "documents", documents)

    def rendered(repository: str, cri: str = "docker") -> str:
        options = kubeadm.KubeadmOptions(parse_version("1.23.17"), cri, image_repository=repository)
        (tmp_path / "buildsys-out").mkdir(exist_ok=True)
        return kubeadm.render(opened(tmp_path).tables, options)

    first = rendered("sea.hub:5000")
    assert rendered("sea.hub:5000") == first
    assert rendered("other:5000") == first.replace("sea.hub:5000", "other:5000")
    assert made == ["docker"]
    assert "containerd" in rendered("sea.hub:5000", "containerd")
    assert made == ["docker", "containerd"]
