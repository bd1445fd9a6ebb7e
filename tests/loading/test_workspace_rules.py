"""A workspace's own rules: found, usable beside the built-in ones, and their source in the keys of their operations."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import pytest

from buildsys.cli.dispatch import dispatch
from tests.loading.workspaces import ROOT, analysed, errors_of, opened, write

if TYPE_CHECKING:
    from pathlib import Path

RULE = '''\
from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from buildsys.sdk import ActionIO, Artifact, BaseOperation, Context, DefaultInfo, Provider, Rule, attr


@dataclass(frozen=True, slots=True, kw_only=True)
class Shout(BaseOperation):
    MNEMONIC: ClassVar[str] = "Shout"
    VERSION: ClassVar[int] = 1
    src: Artifact

    def execute(self, io: ActionIO) -> None:
        io.write(io.read(self.src).upper())


@dataclass(frozen=True, slots=True, kw_only=True)
class ShoutRule(Rule):
    """A file in capitals."""

    NAME: ClassVar[str] = "shout"
    src: Artifact = attr("The file.")

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        out = ctx.declare(ctx.label.name + ".txt")
        ctx.register(Shout(src=self.src), [out])
        return (DefaultInfo((out,)),)
'''
FILES = {
    "BUILD.yaml": ROOT + "rules: rules\n",
    "rules/shout.py": RULE,
    "rules/README": "not Python",
    "context/p/BUILD.yaml": "targets: [{rule: shout, name: x, src: file}, {rule: filegroup, name: y, srcs: [':x']}]\n",
    "context/p/file": "text",
}


def build(root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(root)
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert dispatch(["--ignore_all_rc_files", "build", "//p:y"]) == 0, said.getvalue()
    return said.getvalue()


def test_they_are_rules_like_the_built_in_ones(tmp_path: Path) -> None:
    rules = opened(tmp_path, FILES).rules
    assert "shout" in rules
    assert {"shout", "filegroup", "rootfs"} <= set(rules.names())
    assert list(rules.schema("shout")) == ["src"]


def test_what_they_make_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, FILES)
    assert "1 total action" in build(tmp_path, monkeypatch)
    assert (tmp_path / "buildsys-bin/p/x.txt").read_text() == "TEXT"
    assert "0 total actions" in build(tmp_path, monkeypatch)
    (tmp_path / "rules/shout.py").write_text(RULE.replace(".upper()", ".title()"))
    assert "1 total action" in build(tmp_path, monkeypatch)
    assert (tmp_path / "buildsys-bin/p/x.txt").read_text() == "Text"


def test_their_source_is_in_the_key_of_their_operations_alone(tmp_path: Path) -> None:
    statics = []
    for text in (RULE, RULE + "# changed\n"):
        files = {
            **FILES,
            "rules/shout.py": text,
            "context/p/BUILD.yaml": FILES["context/p/BUILD.yaml"].replace(
                "{rule: filegroup, name: y, srcs: [':x']}", "{rule: template, name: t, src: file, out: t}"
            ),
        }
        graph = analysed(tmp_path, files, "//p:x", "//p:t").analyser.graph
        statics.append({action.operation.MNEMONIC: action.static for action in graph.actions})
    assert statics[0]["Shout"] != statics[1]["Shout"]
    assert statics[0]["Render"] == statics[1]["Render"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("import nonsense_module\n", 1, "No module named 'nonsense_module'"),
        ("x = 1\ny = x +\n", 2, "SyntaxError"),
        ("x = 1\n\nraise ValueError('odd')\n", 3, "ValueError: odd"),
    ],
)
def test_one_that_cannot_be_imported_is_an_error_with_its_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    (error,) = errors_of(lambda: opened(tmp_path, {**FILES, "rules/shout.py": text}))
    assert error.code == "B214"
    assert error.at is not None
    assert (error.at.path, error.at.line) == ("rules/shout.py", line)
    assert words in error.message


def test_no_bytecode_is_left_in_the_workspace(tmp_path: Path) -> None:
    opened(tmp_path, FILES)
    assert sorted(path.name for path in (tmp_path / "rules").iterdir()) == ["README", "shout.py"]


def test_a_rule_that_is_not_there_is_suggested(tmp_path: Path) -> None:
    files = {**FILES, "context/p/BUILD.yaml": "targets: [{rule: shoot, name: x}]\n"}
    space = opened(tmp_path, files)
    space.loader.package("p")
    (error,) = space.loader.errors()
    assert (error.code, error.hint) == ("B201", "did you mean 'shout'?")
