from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.workspaces import SmallWorkspace


@pytest.mark.parametrize(
    ("argv", "lines"),
    [
        (
            ["//app:all"],
            [
                "//app:containerd (cri=containerd)",
                "//app:docker (cri=docker)",
                "//app:files (default)",
                "//app:motd (default)",
                "//app:scripts (default)",
            ],
        ),
        (["//app:tree", "--param=cri=containerd"], ["//app:tree (cri=containerd)"]),
        (
            ["deps(//app:containerd)"],
            [
                "//app:containerd (cri=containerd)",
                "//app:files (cri=containerd)",
                "//app:motd (default)",
                "//app:motd.j2 (null)",
                "//app:run.sh (null)",
                "//app:scripts (default)",
                "//app:tree (cri=containerd)",
            ],
        ),
        (
            ["deps(//app:docker, 1)", "--output=label_kind"],
            [
                "tarball rule //app:docker (cri=docker)",
                "rootfs rule //app:tree (cri=docker)",
            ],
        ),
        (
            ["config(deps(//app:docker), null)"],
            [
                "//app:motd.j2 (null)",
                "//app:run.sh (null)",
                "//docker:daemon.json (null)",
            ],
        ),
        (["config(deps(//app:docker), target)"], ["//app:docker (cri=docker)"]),
        (["config(//app:tree + //app:docker, 'cri=docker')"], ["//app:docker (cri=docker)", "//app:tree (cri=docker)"]),
        (
            ["somepath(//app:containerd, //app:motd)"],
            [
                "//app:containerd (cri=containerd)",
                "//app:tree (cri=containerd)",
                "//app:files (cri=containerd)",
                "//app:motd (default)",
            ],
        ),
        (
            ["deps(//app:docker, 1)", "--output=graph"],
            [
                "digraph mygraph {",
                "  node [shape=box];",
                '  "//app:docker (cri=docker)"',
                '  "//app:docker (cri=docker)" -> "//app:tree (cri=docker)"',
                '  "//app:tree (cri=docker)"',
                "}",
            ],
        ),
        (
            ["//app:docker + //app:run.sh + //app:scripts", "--output=files"],
            [
                "buildsys-bin/app/docker.tar.zst",
                "src/app/run.sh",
            ],
        ),
        (["//app:docker", "--param=release=2.0", "--output=files"], ["buildsys-bin/release=2.0/app/docker.tar.zst"]),
    ],
)
def test_answers(small: SmallWorkspace, argv: list[str], lines: list[str]) -> None:
    assert small.lines("cquery", *argv) == lines


@pytest.mark.parametrize("params", [[], ["--param=release=2.0.0"], ["--param=cri=containerd"]])
def test_files_are_those_that_build_prints(small: SmallWorkspace, params: list[str]) -> None:
    files = small.lines("cquery", "//app:docker + //app:tree + //app:motd", "--output=files", *params)
    built = small.run("build", "//app:docker", "//app:tree", "//app:motd", *params)
    assert sorted(f"  {path}" for path in files) == sorted(
        line for line in built.err.splitlines() if line.startswith("  ")
    )
    assert all((small.root / path).exists() for path in files)


def test_jsonproto(small: SmallWorkspace) -> None:
    result = json.loads(small.run("cquery", "//app:docker", "--output=jsonproto").out)
    (entry,) = result["results"]
    assert entry["configuration"] == {"mnemonic": "cri=docker"}
    assert entry["target"]["rule"]["name"] == "//app:docker"


def test_an_unknown_target(small: SmallWorkspace) -> None:
    result = small.run("cquery", "//app:dockr")
    assert (result.code, result.out, result.err) == (
        7,
        "",
        (
            "ERROR: no such target '//app:dockr': target 'dockr' not declared in package 'app' defined by"
            " src/app/BUILD.yaml [B213]\n  hint: did you mean 'docker'?\n"
        ),
    )


def test_an_impossible_parameter(small: SmallWorkspace) -> None:
    result = small.run("cquery", "//app:docker", "--param=cri=dockr")
    assert (result.code, result.err) == (
        2,
        (
            "ERROR: --param=cri=dockr: parameter 'cri': 'dockr' is not one of docker, containerd [B207]\n"
            "  hint: did you mean 'docker'?\n"
        ),
    )


def test_what_cannot_be_analysed(small: SmallWorkspace) -> None:
    small.write(
        "src/odd/BUILD.yaml",
        """
        targets:
          - {rule: filegroup, name: x, srcs: {select: {cri=containerd: []}}}
        """,
    )
    result = small.run("cquery", "deps(//odd:x + //docker:config)")
    assert (result.code, result.out) == (7, "")
    assert result.err.startswith(
        'ERROR: src/odd/BUILD.yaml:2:47: //odd:x: Configurable attribute "srcs" doesn\'t match'
    )
    partial = small.run("cquery", "-k", "deps(//odd:x + //docker:config)")
    assert partial.code == 3
    assert partial.out == "//docker:config (default)\n//docker:daemon.json (null)\n"
    assert partial.err == (result.err + "WARNING: --keep_going specified, ignoring errors. Results may be inaccurate\n")
