from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from buildsys.cli import options
from buildsys.query import actions, outputs

if TYPE_CHECKING:
    from tests.workspaces import SmallWorkspace


def test_manual_targets_and_all_branches_are_seen(small: SmallWorkspace) -> None:
    assert small.lines("query", "deps(//app:docker)") == [
        "//app:docker",
        "//app:files",
        "//app:motd",
        "//app:motd.j2",
        "//app:run.sh",
        "//app:scripts",
        "//app:tree",
        "//docker:config",
        "//docker:daemon.json",
    ]


@pytest.mark.parametrize(
    ("argv", "lines"),
    [
        (
            ["//app:all"],
            ["//app:containerd", "//app:docker", "//app:files", "//app:motd", "//app:scripts", "//app:tree"],
        ),
        (["//docker:*"], ["//docker:config", "//docker:daemon.json"]),
        (["rdeps(//...,", "//docker:config,", "1)"], ["//app:files", "//docker:config"]),
        (
            ["somepath(//app:docker, //app:run.sh)"],
            ["//app:docker", "//app:tree", "//app:files", "//app:scripts", "//app:run.sh"],
        ),
        (["labels(layers, //app:files)"], ["//app:motd", "//app:scripts", "//docker:config"]),
        (["labels(srcs, //app/...)"], ["//app:run.sh"]),
        (["attr(params, release, //...)"], ["//app:motd"]),
        (["attr(mode, '^$', //...)"], ["//app:scripts", "//docker:config"]),
        (["attr(tags, manual, //...)"], ["//app:tree"]),
        (["buildfiles(deps(//app:files))"], ["//app:BUILD.yaml", "//docker:BUILD.yaml"]),
        (["siblings(//docker:config)"], ["//docker:config", "//docker:daemon.json"]),
        (["same_pkg_direct_rdeps(//app:run.sh)"], ["//app:scripts"]),
        (
            ["kind('source file', deps(//app:files))", "--output=label_kind"],
            [
                "source file //app:motd.j2",
                "source file //app:run.sh",
                "source file //docker:daemon.json",
            ],
        ),
        (
            ["//app:motd + //app:run.sh", "--output=location"],
            [
                "src/app/BUILD.yaml:3:11: template rule //app:motd",
                "src/app/run.sh:1:1: source file //app:run.sh",
            ],
        ),
        (["deps(//app:docker)", "--output=package"], ["app", "docker"]),
        (
            ["deps(//app:docker, 3) - //app:motd", "--output=minrank"],
            [
                "0 //app:docker",
                "1 //app:tree",
                "2 //app:files",
                "3 //app:scripts",
                "3 //docker:config",
            ],
        ),
        (
            ["//app:docker + //app:files + //docker:config + //app:tree", "--output=maxrank"],
            [
                "0 //app:docker",
                "1 //app:tree",
                "2 //app:files",
                "3 //docker:config",
            ],
        ),
        (
            ["//app:tree + //app:files", "--output=graph"],
            [
                "digraph mygraph {",
                "  node [shape=box];",
                '  "//app:tree"',
                '  "//app:tree" -> "//app:files"',
                '  "//app:files"',
                "}",
            ],
        ),
        (
            ["//docker:config + //app:files + //app:tree", "--order_output=deps"],
            [
                "//app:tree",
                "//app:files",
                "//docker:config",
            ],
        ),
        (["//docker:config + //app:files", "--order_output=no"], ["//docker:config", "//app:files"]),
    ],
)
def test_answers(small: SmallWorkspace, argv: list[str], lines: list[str]) -> None:
    assert small.lines("query", *argv) == lines


def test_build_output_is_what_could_be_written(small: SmallWorkspace) -> None:
    assert small.run("query", "//app:files + //app:docker", "--output=build").out == (
        "# src/app/BUILD.yaml:25:11\n"
        "- rule: tarball\n"
        "  name: docker\n"
        "  # cri=docker\n"
        '  tree: ":tree"\n'
        "\n"
        "# src/app/BUILD.yaml:13:11\n"
        "- rule: layer\n"
        "  name: files\n"
        '  layers: [":motd", ":scripts", {select: {cri=docker: [//docker:config], //conditions:default: []}}]\n'
        "\n"
    )


def test_a_list_of_texts_is_a_list_in_json(small: SmallWorkspace) -> None:
    (line,) = small.lines("query", "//app:motd", "--output=streamed_jsonproto")
    (params,) = [found for found in json.loads(line)["rule"]["attribute"] if found["name"] == "params"]
    assert (params["type"], params["stringListValue"]) == ("STRING_LIST", ["release"])


def test_streamed_json(small: SmallWorkspace) -> None:
    lines = small.lines("query", "deps(//docker:config)", "--output=streamed_jsonproto")
    rule, source = (json.loads(line) for line in lines)
    attributes = rule["rule"].pop("attribute")
    assert [rule, source] == [
        {
            "type": "RULE",
            "rule": {
                "name": "//docker:config",
                "ruleClass": "filegroup",
                "location": "src/docker/BUILD.yaml:3:11",
                "ruleInput": ["//docker:daemon.json"],
            },
        },
        {
            "type": "SOURCE_FILE",
            "sourceFile": {"name": "//docker:daemon.json", "location": "src/docker/daemon.json:1:1"},
        },
    ]
    assert [attribute for attribute in attributes if attribute["name"] in {"name", "tags", "srcs", "mode"}] == [
        {"name": "name", "type": "STRING", "stringValue": "config", "explicitlySpecified": True},
        {"name": "tags", "type": "STRING_LIST", "stringListValue": []},
        {
            "name": "srcs",
            "type": "LABEL_LIST",
            "stringListValue": ["//docker:daemon.json"],
            "explicitlySpecified": True,
        },
        {"name": "mode", "type": "STRING", "stringValue": "", "explicitlySpecified": False},
    ]


def test_line_terminator(small: SmallWorkspace) -> None:
    assert small.run("query", "//docker:*", "--line_terminator_null").out == "//docker:config\0//docker:daemon.json\0"


def test_query_file(small: SmallWorkspace) -> None:
    small.write("asked", "//docker:all\n  except\n//docker:config\n+ //app:tree\n")
    assert small.lines("query", "--query_file=asked") == ["//app:tree"]
    result = small.run("query", "//app:tree", "--query_file=asked")
    assert (result.code, result.err) == (
        2,
        "ERROR: a query on the command line and --query_file exclude each other [B035]\n  hint: give one\n",
    )


def test_relative_patterns(small: SmallWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small.root / "src/docker")
    assert small.lines("query", "config + daemon.json + ...") == ["//docker:config", "//docker:daemon.json"]


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (
            ["deps(//app:g"],
            2,
            (
                "ERROR: Error while parsing 'deps(//app:g': premature end of input [B030]\n"
                "  hint: `buildsys help query` shows the language\n"
            ),
        ),
        (
            ["deps(//app:dockr)"],
            7,
            (
                "ERROR: no such target '//app:dockr': target 'dockr' not declared in package 'app' defined by"
                " src/app/BUILD.yaml [B213]\n  hint: did you mean 'docker'?\n"
            ),
        ),
        (
            ["//ap:all"],
            7,
            "ERROR: no such package 'ap': BUILD.yaml not found in src/ap [B212]\n  hint: did you mean 'app'?\n",
        ),
        (
            [],
            2,
            (
                "ERROR: missing query expression. Type 'buildsys help query' [B035]\n"
                "  hint: write a query: buildsys query 'deps(//package:name)'\n"
            ),
        ),
        (
            ["//...", "--output=xml"],
            2,
            (
                "ERROR: --output: 'xml' is not one of its values [B011]\n  hint: the values are label, label_kind,"
                " location, package, build, graph, minrank, maxrank, streamed_jsonproto\n"
            ),
        ),
        (
            ["//...", "--output=minrnk"],
            2,
            "ERROR: --output: 'minrnk' is not one of its values [B011]\n  hint: did you mean 'minrank'?\n",
        ),
        (
            ["//...", "--param=cri=docker"],
            2,
            (
                "ERROR: --param :: Unrecognized option: --param [B010]\n"
                "  hint: --param goes with build, test, run, fetch, lock, cquery, aquery\n"
            ),
        ),
    ],
)
def test_failures(small: SmallWorkspace, argv: list[str], code: int, message: str) -> None:
    result = small.run("query", *argv)
    assert (result.code, result.out, result.err) == (code, "", message)


def test_only_what_is_asked_about_has_to_be_right(small: SmallWorkspace) -> None:
    small.write("src/broken/BUILD.yaml", "targets:\n  - {rule: filegroup, name: x, srcs: [//gone:y]}\n")
    assert small.lines("query", "//broken:x") == ["//broken:x"]
    assert small.lines("query", "deps(//docker:config)") == ["//docker:config", "//docker:daemon.json"]
    result = small.run("query", "deps(//broken:x)")
    assert (result.code, result.out) == (7, "")
    assert result.err == (
        "ERROR: src/broken/BUILD.yaml:2:39: no such package 'gone': BUILD.yaml not found in src/gone [B212]\n"
        "     2 |   - {rule: filegroup, name: x, srcs: [//gone:y]}\n"
        "       |                                       ^^^^^^^^\n"
        "  hint: add a BUILD.yaml to a folder to make it a package\n"
    )


def test_keep_going_answers_in_part(small: SmallWorkspace) -> None:
    small.write("src/broken/BUILD.yaml", "targets:\n  - {rule: filegroup, name: x, srcs: [//gone:y]}\n")
    result = small.run("query", "-k", "deps(//broken:x + //docker:config) + //nope:a")
    assert result.code == 3
    assert result.out.splitlines() == ["//broken:x", "//docker:config", "//docker:daemon.json"]
    assert result.err == (
        "ERROR: src/broken/BUILD.yaml:2:39: no such package 'gone': BUILD.yaml not found in src/gone [B212]\n"
        "     2 |   - {rule: filegroup, name: x, srcs: [//gone:y]}\n"
        "       |                                       ^^^^^^^^\n"
        "  hint: add a BUILD.yaml to a folder to make it a package\n"
        "ERROR: no such package 'nope': BUILD.yaml not found in src/nope [B212]\n"
        "  hint: add a BUILD.yaml to a folder to make it a package\n"
        "WARNING: --keep_going specified, ignoring errors. Results may be inaccurate\n"
    )


def test_options_name_the_forms_that_there_are() -> None:
    assert set(options.QUERY_FORMS) == {*outputs.FORMS, *outputs.GRAPHS}
    assert set(options.CQUERY_FORMS) - {"files", "jsonproto"} <= {*outputs.FORMS, *outputs.GRAPHS}
    assert set(options.AQUERY_FORMS) == set(actions.FORMS)
