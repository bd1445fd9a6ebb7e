from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.workspaces import SmallWorkspace


def test_info(small: SmallWorkspace) -> None:
    root = small.root
    assert small.lines("info") == [
        f"buildsys-bin: {root}/buildsys-out/bin",
        f"disk_cache: {root}/cache",
        f"execution_root: {root}",
        f"output_base: {root}/buildsys-out",
        f"output_path: {root}/buildsys-out/bin",
        "release: release 0.1.0",
        f"repository_cache: {root}/cache",
        f"workspace: {root}",
    ]
    assert small.lines("info", "workspace") == [str(root)]
    assert small.lines("info", "workspace", "release") == [f"workspace: {root}", "release: release 0.1.0"]
    assert small.lines("info", "--disk_cache=elsewhere", "disk_cache") == [f"{root}/elsewhere"]
    assert small.lines("--output_base=there", "info", "output_base") == [f"{root}/there"]


def test_paths_that_are_printed_are_relative_to_the_execution_root(small: SmallWorkspace) -> None:
    small.run("build", "//app:docker")
    (root,), (path,) = small.lines("info", "execution_root"), small.lines("cquery", "//app:docker", "--output=files")
    assert os.path.isfile(os.path.join(root, path))


def test_info_of_nothing_known(small: SmallWorkspace) -> None:
    result = small.run("info", "outputbase")
    assert (result.code, result.out, result.err) == (
        2,
        "",
        "ERROR: unknown key: 'outputbase' [B037]\n  hint: did you mean 'output_base'?\n",
    )


def test_clean(small: SmallWorkspace) -> None:
    store = f"INFO: The store {small.root}/cache was left as it is.\n"
    small.run("build", "//app:docker")
    os.chmod(small.root / "buildsys-out/bin/app", 0o555)
    result = small.run("clean")
    assert (result.code, result.out) == (0, "")
    folders = ("bin", "snapshots", "packages", "tmp")
    removed = "".join(f"INFO: Removed buildsys-out/{name}\n" for name in folders)
    assert result.err == f"{removed}INFO: Removed buildsys-bin\n{store}"
    assert sorted(os.listdir(small.root / "buildsys-out")) == ["lock", "state.sqlite"]
    assert small.run("clean").err == f"INFO: There was nothing to remove.\n{store}"
    assert small.run("build", "//app:docker").code == 0
    assert os.path.isfile(small.root / "buildsys-bin/app/docker.tar.zst")


def test_clean_expunge_forgets_what_was_built(small: SmallWorkspace) -> None:
    small.run("build", "//app:docker")
    (small.root / "buildsys-out/mine").write_text("not made by buildsys")
    result = small.run("clean", "--expunge")
    assert result.err == (
        "INFO: Removed buildsys-out/bin\n"
        "INFO: Removed buildsys-out/snapshots\n"
        "INFO: Removed buildsys-out/packages\n"
        "INFO: Removed buildsys-out/tmp\n"
        "INFO: Removed buildsys-out/state.sqlite\n"
        "INFO: Removed buildsys-bin\n"
        f"INFO: The store {small.root}/cache was left as it is.\n"
    )
    assert sorted(os.listdir(small.root / "buildsys-out")) == ["lock", "mine"]
    assert small.run("explain").out == "Nothing was built in this workspace yet.\n"


def test_clean_takes_no_targets(small: SmallWorkspace) -> None:
    result = small.run("clean", "//app:docker")
    assert (result.code, result.err) == (
        2,
        (
            "ERROR: clean takes no targets, but was given '//app:docker' [B038]\n"
            "  hint: outputs need no cleaning to be rebuilt; leave the targets out to remove those of all\n"
        ),
    )


def test_version(small: SmallWorkspace) -> None:
    first, *others = small.lines("version")
    assert first == "Build label: 0.1.0"
    assert [re.sub(r"[0-9.]+\w*$", "N", line) for line in others] == [
        "jinja2: N",
        "pyyaml: N",
        "zlib: N",
        "zstd: N",
        "python: N",
    ]


def test_shutdown(small: SmallWorkspace) -> None:
    assert small.run("shutdown") == (0, "", "")


@pytest.mark.parametrize("command", ["info", "build", "query", "clean", "explain"])
def test_outside_of_a_workspace(small: SmallWorkspace, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    result = small.run(command, *(["//x"] if command in {"build", "query"} else []))
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"ERROR: The '{command}' command is only supported from within a workspace")
