from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.workspaces import SmallWorkspace

UNKNOWN = "not known before its inputs are built"


def test_an_action_as_text(small: SmallWorkspace) -> None:
    out = small.run("aquery", "//app:motd").out
    key = re.search("ActionKey: ([0-9a-f]{64})\n", out)
    tool = re.search(r"Tools: \[jinja2=[0-9.]+\]\n", out)
    assert key is not None
    assert tool is not None
    assert out == (
        "action 'Render app/etc/motd'\n"
        "  Mnemonic: Render\n"
        "  Target: //app:motd\n"
        "  Configuration: default\n"
        f"  {key[0]}"
        "  Inputs: [src/app/motd.j2]\n"
        "  Outputs: [buildsys-bin/app/etc/motd]\n"
        "  Implementation: 1\n"
        f"  {tool[0]}"
        "  Parameters:\n"
        '    template: {"$input":0}\n'
        '    variables: [["release","1.0.0"]]\n'
        "\n"
    )


def test_keys_are_known_as_far_as_they_do_not_depend_on_what_must_run(small: SmallWorkspace) -> None:
    asked = ("aquery", "deps(//app:docker)")
    before = re.findall("ActionKey: (.*)", small.run(*asked).out)
    assert before.count(UNKNOWN) == 2
    assert small.run("build", "//app:docker").code == 0
    after = re.findall("ActionKey: (.*)", small.run(*asked).out)
    assert UNKNOWN not in after
    assert set(before) - {UNKNOWN} < set(after)
    descriptors = small.run("explain").out
    assert descriptors.startswith("The last build was: buildsys --nosystem_rc build //app:docker\n3 actions ran")


def test_an_action_belongs_to_one_configured_target(small: SmallWorkspace) -> None:
    out = small.run("aquery", "outputs('.*/tree', deps(//app:all))").out
    assert re.findall("(?:Target|Configuration|Outputs): .*", out) == [
        "Target: //app:tree",
        "Configuration: cri=docker",
        "Outputs: [buildsys-bin/app/tree]",
        "Target: //app:tree",
        "Configuration: cri=containerd",
        "Outputs: [buildsys-bin/cri=containerd/app/tree]",
    ]


def test_summary(small: SmallWorkspace) -> None:
    assert small.lines("aquery", "deps(//app:all)", "--output=summary") == [
        "5 total actions.",
        "",
        "Mnemonics:",
        "  Merge: 2",
        "  Tarball: 2",
        "  Render: 1",
        "",
        "Configurations:",
        "  cri=containerd: 2",
        "  cri=docker: 2",
        "  default: 1",
    ]


def test_filters_are_joined(small: SmallWorkspace) -> None:
    def count(query: str) -> str:
        return small.lines("aquery", query, "--output=summary")[0]

    assert count("mnemonic('Render|Merge', deps(//app:docker))") == "2 total actions."
    assert count("mnemonic('Rend', deps(//app:docker))") == "0 total actions."
    assert count("inputs('src/app/.*', deps(//app:docker))") == "2 total actions."
    assert count("mnemonic(Merge, inputs('src/app/.*', deps(//app:docker)))") == "1 total action."
    assert count("//app:docker") == "1 total action."


def test_filters_stand_outside(small: SmallWorkspace) -> None:
    result = small.run("aquery", "deps(mnemonic(Render, //app:docker))")
    assert (result.code, result.out, result.err) == (
        2,
        "",
        (
            "ERROR: aquery filter functions (mnemonic, inputs, outputs) produce actions, and therefore can't be the"
            " input of other function types: deps(mnemonic(Render, //app:docker)) [B034]\n"
            "  hint: write the filters outermost: mnemonic('Render', deps(//a:b))\n"
        ),
    )


def test_jsonproto_names_everything_once(small: SmallWorkspace) -> None:
    graph = json.loads(small.run("aquery", "deps(//app:docker)", "--output=jsonproto").out)
    fragments = {row["id"]: row for row in graph["pathFragments"]}

    def path(artifact: int) -> str:
        fragment = fragments[next(row["pathFragmentId"] for row in graph["artifacts"] if row["id"] == artifact)]
        parts = [fragment["label"]]
        while "parentId" in fragment:
            fragment = fragments[fragment["parentId"]]
            parts.append(fragment["label"])
        return "/".join(reversed(parts))

    sets = {row["id"]: row["directArtifactIds"] for row in graph["depSetOfFiles"]}
    shown = {
        action["mnemonic"]: (
            [path(artifact) for number in action["inputDepSetIds"] for artifact in sets[number]],
            [path(artifact) for artifact in action["outputIds"]],
        )
        for action in graph["actions"]
    }
    assert shown == {
        "Tarball": (["buildsys-bin/app/tree"], ["buildsys-bin/app/docker.tar.zst"]),
        "Merge": (
            ["src/docker/daemon.json", "buildsys-bin/app/etc/motd", "src/app/run.sh"],
            ["buildsys-bin/app/tree"],
        ),
        "Render": (["src/app/motd.j2"], ["buildsys-bin/app/etc/motd"]),
    }
    assert len({row["label"] for row in graph["targets"]}) == len(graph["targets"]) == 3
