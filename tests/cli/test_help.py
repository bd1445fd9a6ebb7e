from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildsys import rules
from buildsys.cli import rc
from buildsys.cli.options import options_of

if TYPE_CHECKING:
    from tests.workspaces import SmallWorkspace

TOPICS = ("target-syntax", "startup_options", "info-keys", "parameters", "rules", "rc")


def test_overview_lists_every_command_and_topic(small: SmallWorkspace) -> None:
    lines = small.lines("help")
    assert lines == small.lines()
    shown = [line.split()[0] for line in lines[lines.index("Commands:") + 1 : lines.index("More:") - 1]]
    assert shown == sorted(rc.COMMANDS)
    assert all(any(f"buildsys help {topic} " in line for line in lines) for topic in TOPICS)


@pytest.mark.parametrize("command", rc.COMMANDS)
def test_help_of_a_command_lists_its_options(small: SmallWorkspace, command: str) -> None:
    lines = small.lines("help", command)
    assert lines[0].startswith(f"Usage: buildsys {command} ")
    for option in options_of(command):
        assert any(
            line.strip().startswith((f"--{option}", f"--[no]{option}", "-")) and option in line for line in lines
        )


@pytest.mark.parametrize("topic", [*TOPICS, *rules.names()])
def test_everything_has_a_page(small: SmallWorkspace, topic: str) -> None:
    assert len(small.lines("help", topic)) > 1


def test_startup_options(small: SmallWorkspace) -> None:
    assert small.lines("help", "startup_options")[:4] == [
        "  --output_base=DIR",
        "      where results of this workspace go (default: buildsys-out)",
        "  --buildsysrc=FILE",
        "      another rc file; /dev/null ends the search for further ones (may be repeated)",
    ]


def test_parameters_are_those_of_the_workspace(small: SmallWorkspace) -> None:
    assert small.lines("help", "parameters") == [
        "--param=cri=docker|containerd (default: docker)",
        "    The runtime.",
        "--param=release=VERSION (default: 1.0.0)",
        "",
        "Of a VERSION there may be several; every target that depends on it is then built once for each:",
        "--param=kubernetes=1.30.1,1.30.2           these versions",
        "--param='kubernetes=>=1.30,<1.31,!=1.30.3' every version in this range that the lock file has pins of",
    ]


def test_outside_of_a_workspace_the_rules_are_the_built_in_ones(
    small: SmallWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    assert [line.split()[0] for line in small.lines("help", "rules")] == sorted(rules.names())


def test_the_rules_of_the_workspace_are_among_them(small: SmallWorkspace) -> None:
    small.write("BUILD.yaml", "workspace: small\npackages: src\nrules: rules\n")
    small.write(
        "rules/own.py",
        '''
        """Rules of our own."""
        from dataclasses import dataclass
        from typing import ClassVar

        from buildsys.sdk import DefaultInfo, Rule, attr


        @dataclass(frozen=True, slots=True, kw_only=True)
        class Own(Rule):
            """What we need."""

            NAME: ClassVar[str] = "own"
            text: str = attr("What it says.")

            def analyse(self, ctx):
                return (DefaultInfo(()),)
        ''',
    )
    assert small.lines("help", "own")[:3] == ["## own", "", "What we need."]


def test_help_on_nothing_known(small: SmallWorkspace) -> None:
    result = small.run("help", "biuld")
    assert (result.code, result.err) == (
        2,
        "ERROR: 'biuld' is neither a command nor a topic nor a rule [B040]\n  hint: did you mean 'build'?\n",
    )


def test_what_everybody_tries_first(small: SmallWorkspace) -> None:
    from buildsys.cli.main import run

    assert [run(["--help"]), run(["-h"]), run(["--help", "build"]), run(["--version"])] == [0, 0, 0, 0]
