from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.workspaces import SmallWorkspace

HEAD = "The last build was: buildsys --nosystem_rc build "


def explained(small: SmallWorkspace, *targets: str) -> str:
    """Return an explanation without digests, which depend on the machine's umask and libraries."""
    result = small.run("explain", *targets)
    assert (result.code, result.err) == (0, "")
    return re.sub("sha256:[0-9a-f]{12}", "sha256:...", result.out)


def test_before_the_first_build(small: SmallWorkspace) -> None:
    assert explained(small) == "Nothing was built in this workspace yet.\n"


def test_new_actions(small: SmallWorkspace) -> None:
    small.run("build", "//app:docker")
    assert explained(small) == (
        f"{HEAD}//app:docker\n"
        "3 actions ran, 0 had a result already.\n"
        "\n"
        "//app:motd Render etc/motd: new\n"
        "  it was never needed here before\n"
        "\n"
        "//app:tree Merge tree [cri=docker]: new\n"
        "  it was never needed here before\n"
        "\n"
        "//app:docker Tarball docker.tar.zst [cri=docker]: new\n"
        "  it was never needed here before\n"
    )


def test_a_source_file_that_has_changed(small: SmallWorkspace) -> None:
    small.run("build", "//app:docker")
    small.write("src/app/motd.j2", "Version {{ release }}\n")
    small.run("build", "//app:docker")
    assert explained(small) == (
        f"{HEAD}//app:docker\n"
        "3 actions ran, 0 had a result already.\n"
        "\n"
        "//app:motd Render etc/motd: changed\n"
        "  input src/app/motd.j2: sha256:... -> sha256:...\n"
        "    --- before\n"
        "    +++ after\n"
        "    @@ -1 +1 @@\n"
        "    -Release {{ release }}\n"
        "    +Version {{ release }}\n"
        "\n"
        "//app:tree Merge tree [cri=docker]: changed\n"
        "  input //app:motd etc/motd: sha256:... -> sha256:...\n"
        "    --- before\n"
        "    +++ after\n"
        "    @@ -1 +1 @@\n"
        "    -Release 1.0.0\n"
        "    +Version 1.0.0\n"
        "\n"
        "//app:docker Tarball docker.tar.zst [cri=docker]: changed\n"
        "  input //app:tree tree: tree sha256:... -> tree sha256:...\n"
        "    ~ etc/motd\n"
    )


def test_a_parameter_that_has_changed(small: SmallWorkspace) -> None:
    small.run("build", "//app:motd")
    small.run("build", "//app:motd", "--param=release=2.0.0")
    assert explained(small) == (
        f"{HEAD}//app:motd --param=release=2.0.0\n"
        "1 action ran, 0 had a result already.\n"
        "\n"
        "//app:motd Render etc/motd: changed\n"
        "  parameter variables.release: '1.0.0' -> '2.0.0'\n"
    )


def test_a_file_that_has_become_executable(small: SmallWorkspace) -> None:
    small.run("build", "//app:tree")
    os.chmod(small.root / "src/docker/daemon.json", 0o755)
    small.run("build", "//app:tree")
    assert explained(small) == (
        f"{HEAD}//app:tree\n"
        "1 action ran, 1 had a result already.\n"
        "\n"
        "//app:tree Merge tree: changed\n"
        "  input src/docker/daemon.json: sha256:... -> sha256:... executable\n"
        "    the content is the same\n"
    )


def test_a_file_more(small: SmallWorkspace) -> None:
    small.run("build", "//app:tree")
    small.write("src/docker/other.json", "{}\n")
    small.write(
        "src/docker/BUILD.yaml", "targets:\n  - {rule: filegroup, name: config, srcs: [daemon.json, other.json]}\n"
    )
    small.run("build", "//app:tree")
    assert explained(small) == (
        f"{HEAD}//app:tree\n"
        "1 action ran, 1 had a result already.\n"
        "\n"
        "//app:tree Merge tree: changed\n"
        "  parameter files:\n"
        "    --- before\n"
        "    +++ after\n"
        "    @@ -1,3 +1,4 @@\n"
        '     ["daemon.json", {"$input": "src/docker/daemon.json"}, -1]\n'
        '     ["etc/motd", {"$input": "//app:motd etc/motd"}, -1]\n'
        '    +["other.json", {"$input": "src/docker/other.json"}, -1]\n'
        '     ["run.sh", {"$input": "src/app/run.sh"}, -1]\n'
        "  input src/docker/other.json: (none) -> sha256:...\n"
    )


def test_a_result_that_was_lost(small: SmallWorkspace) -> None:
    small.run("build", "//app:docker")
    os.unlink(small.root / "buildsys-bin/app/docker.tar.zst")
    small.run("build", "//app:docker")
    assert explained(small) == (
        f"{HEAD}//app:docker\n"
        "1 action ran, 2 had a result already.\n"
        "\n"
        "//app:docker Tarball docker.tar.zst [cri=docker]: lost\n"
        "  its key is still sha256:..., but its result was lost\n"
    )


def test_a_mended_action_is_compared_with_its_last_result(small: SmallWorkspace) -> None:
    small.write("src/app/motd.j2", "{{ nothing }}\n")
    assert small.run("build", "//app:motd").code == 1
    small.write("src/app/motd.j2", "Release {{ release }}\n")
    small.run("build", "//app:motd")
    assert "//app:motd Render etc/motd: new\n" in explained(small)
    small.write("src/app/motd.j2", "{{ nothing }}\n")
    assert small.run("build", "//app:motd").code == 1
    assert "0 actions ran" in explained(small)
    small.write("src/app/motd.j2", "Version {{ release }}\n")
    small.run("build", "//app:motd")
    assert "    -Release {{ release }}\n    +Version {{ release }}\n" in explained(small)


def test_a_build_that_ran_nothing(small: SmallWorkspace) -> None:
    small.run("build", "//app:docker")
    small.run("build", "//app:docker", "-j1")
    assert explained(small) == (
        f"{HEAD}//app:docker -j1\n"
        "0 actions ran, 3 had a result already.\n"
        "Nothing ran: nothing that its outputs depend on had changed.\n"
    )


def test_only_what_a_target_needs(small: SmallWorkspace) -> None:
    small.run("build", "//app:motd", "//app:docker")
    assert [line for line in explained(small, "//app:files").splitlines() if line.endswith(": new")] == [
        "//app:motd Render etc/motd: new"
    ]
    assert explained(small, "//docker:all").endswith("None of them is needed by the targets asked about.\n")


def test_an_unknown_target(small: SmallWorkspace) -> None:
    result = small.run("explain", "//app:dockr")
    assert (result.code, result.out, result.err) == (
        1,
        "",
        (
            "ERROR: no such target '//app:dockr': target 'dockr' not declared in package 'app' defined by"
            " src/app/BUILD.yaml [B213]\n  hint: did you mean 'docker'?\n"
        ),
    )


def test_long_differences_are_cut(small: SmallWorkspace) -> None:
    small.write("src/app/motd.j2", "{{ release }}\n" + "old\n" * 100)
    small.run("build", "//app:motd")
    small.write("src/app/motd.j2", "{{ release }}\n" + "new\n" * 100)
    small.run("build", "//app:motd")
    lines = explained(small).splitlines()
    assert lines[-2:] == ["    -old", "    (164 more lines)"]


def test_binary_contents_are_not_shown(small: SmallWorkspace) -> None:
    small.run("build", "//app:tree")
    (small.root / "src/docker/daemon.json").write_bytes(b"\0\xff")
    small.run("build", "//app:tree")
    assert explained(small).endswith("input src/docker/daemon.json: sha256:... -> sha256:...\n")
