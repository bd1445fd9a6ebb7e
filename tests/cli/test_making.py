from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.workspaces import SmallWorkspace

ANALYZED = "INFO: Analyzed target //app:docker (2 packages loaded, 9 targets configured).\nINFO: Found 1 target...\n"


def timeless(text: str) -> str:
    """Return messages without what depends on the machine."""
    text = re.sub(r"\d+\.\d+s", "Ns", text)
    return re.sub('"[0-9.]+"}', '"N"}', text)


def test_nobuild(small: SmallWorkspace) -> None:
    result = small.run("build", "--nobuild", "//app:docker")
    assert (result.code, result.out, timeless(result.err)) == (
        0,
        "",
        f"{ANALYZED}INFO: Elapsed time: Ns\nINFO: Build completed successfully, 0 total actions\n",
    )
    assert os.listdir(small.root / "buildsys-bin") == []


def test_check_up_to_date(small: SmallWorkspace) -> None:
    check = ("build", "--check_up_to_date", "//app:docker")
    hint = "  hint: build without --check_up_to_date\n"

    def todo() -> str:
        result = small.run(*check)
        assert result.code == 1
        return result.err.removeprefix(ANALYZED).removesuffix(hint)

    assert todo() == "ERROR: not up-to-date: action 'Render app/etc/motd' of //app:motd would run [B036]\n"
    assert os.listdir(small.root / "buildsys-bin") == []
    small.run("build", "//app:docker")
    result = small.run(*check)
    assert (result.code, timeless(result.err)) == (
        0,
        f"{ANALYZED}INFO: Elapsed time: Ns\nINFO: Build completed successfully, 0 total actions\n",
    )
    os.unlink(small.root / "buildsys-bin/app/docker.tar.zst")
    expected = "ERROR: not up-to-date: action 'Tarball app/docker.tar.zst' of //app:docker would run [B036]\n"
    assert todo() == expected
    small.write("src/docker/daemon.json", "[]\n")
    assert todo() == "ERROR: not up-to-date: action 'Merge app/tree' of //app:tree would run [B036]\n"


def test_check_up_to_date_foresees_that_an_earlier_output_is_put_back(small: SmallWorkspace) -> None:
    check = ("build", "--check_up_to_date", "//app:docker")
    tarball = small.root / "buildsys-bin/app/docker.tar.zst"
    nothing = "Build completed successfully, 0 total actions"
    small.run("build", "//app:docker")
    expected = tarball.read_bytes()
    small.write("src/docker/daemon.json", "[]\n")
    assert nothing not in small.run("build", "//app:docker").err
    assert tarball.read_bytes() != expected
    small.write("src/docker/daemon.json", "{}\n")
    before = sorted((small.root / "buildsys-out").rglob("*"))
    result = small.run(*check)
    assert "ERROR: not up-to-date: the output 'app/docker.tar.zst' is not as it was built [B036]\n" in result.err
    assert tarball.read_bytes() != expected
    assert sorted((small.root / "buildsys-out").rglob("*")) == before
    assert nothing in small.run("build", "//app:docker").err
    assert tarball.read_bytes() == expected
    assert small.run(*check).code == 0


def test_check_up_to_date_looks_at_every_file_of_a_tree(small: SmallWorkspace) -> None:
    check = ("build", "--check_up_to_date", "//app:tree")
    small.run("build", "//app:tree")
    assert small.run(*check).code == 0
    tree = small.root / "buildsys-bin/app/tree"
    (tree / "stranger").write_text("")
    assert "not up-to-date: the output 'app/tree' is not as it was built [B036]" in small.run(*check).err
    (tree / "stranger").unlink()
    assert small.run(*check).code == 0
    (tree / "etc/motd").write_text("edited")
    assert small.run(*check).code == 1
    small.run("build", "//app:tree")
    assert small.run(*check).code == 0


def test_subcommands(small: SmallWorkspace) -> None:
    result = small.run("build", "-s", "//app:motd")
    assert [timeless(line) for line in result.err.splitlines()[2:4]] == [
        "SUBCOMMAND: # //app:motd [action 'Render app/etc/motd']",
        (
            '{"mnemonic":"Render","params":{"template":{"$input":0},"variables":[["release","1.0.0"]]},'
            '"tools":{"jinja2":"N"},"version":1}'
        ),
    ]


def test_texts_of_sources_and_of_other_targets(small: SmallWorkspace) -> None:
    small.write(
        "src/pki/BUILD.yaml",
        """
        targets:
          - {rule: template, name: conf, src: conf.j2, out: conf, texts: {ca: ca.pem, motd: //app:motd}}
          - {rule: template, name: twice, src: twice.j2, out: twice, texts: {conf: ":conf"}}
        """,
    )
    small.write("src/pki/conf.j2", "{{ motd }}{{ ca }}")
    small.write("src/pki/twice.j2", "{{ conf }}{{ conf }}")
    small.write("src/pki/ca.pem", "one\n")
    out = small.root / "buildsys-bin/pki/twice"
    small.run("build", "//pki:twice")
    assert out.read_text() == "Release 1.0.0\none\n" * 2
    small.write("src/pki/ca.pem", "two\n")
    assert "2 total actions" in small.run("build", "//pki:twice").err
    assert out.read_text() == "Release 1.0.0\ntwo\n" * 2
    explained = small.run("explain", "//pki:twice").out
    assert "//pki:conf Render conf: changed\n  input src/pki/ca.pem: " in explained


def test_verbose_failures(small: SmallWorkspace) -> None:
    small.write("src/app/motd.j2", "{{ nothing }}\n")
    plain = small.run("build", "//app:docker")
    assert plain.code == 1
    assert "Use --verbose_failures to see the descriptors of failed actions.\n" in plain.err
    verbose = small.run("build", "//app:docker", "--verbose_failures")
    key, value = re.findall("[0-9a-f]{64}", verbose.err)
    lines = timeless(verbose.err).splitlines()
    start = lines.index("Failed: //app:motd Render etc/motd")
    assert lines[start : start + 5] == [
        "Failed: //app:motd Render etc/motd",
        f"  key        sha256:{key}",
        f"  input      app/motd.j2 {value}",
        (
            '  descriptor {"mnemonic":"Render","params":{"template":{"$input":0},"variables":[["release","1.0.0"]]},'
            '"tools":{"jinja2":"N"},"version":1}'
        ),
        "Target //app:docker failed to build",
    ]


def test_no_tests(small: SmallWorkspace) -> None:
    result = small.run("test", "//app:docker")
    assert result.code == 4
    assert result.err.endswith("ERROR: No test targets were found, yet testing was requested\n")


RULES = '''
    """Test rules."""
    from dataclasses import dataclass
    from typing import ClassVar

    from buildsys.actions.render import Render
    from buildsys.model.provider import TestInfo
    from buildsys.sdk import Artifact, DefaultInfo, Rule, attr


    @dataclass(frozen=True, slots=True, kw_only=True)
    class RenderTest(Rule):
        """Passes when a template can be rendered."""

        NAME: ClassVar[str] = "render_test"
        src: Artifact = attr("The template.")

        def analyse(self, ctx):
            out = ctx.declare(ctx.label.name + ".passed")
            ctx.register(Render(template=self.src), [out])
            return DefaultInfo(()), TestInfo(out)
    '''


def test_tests(small: SmallWorkspace) -> None:
    with (small.root / "BUILD.yaml").open("a") as stream:
        stream.write("rules: rules\n")
    small.write("rules/testing.py", RULES)
    small.write("src/checks/good.j2", "fine\n")
    small.write("src/checks/bad.j2", "{{ missing }}\n")
    small.write(
        "src/checks/BUILD.yaml",
        """
        targets:
          - {rule: render_test, name: good, src: good.j2}
          - {rule: render_test, name: bad, src: bad.j2}
          - {rule: template, name: made, src: bad.j2, out: made}
          - {rule: render_test, name: stuck, src: ":made", tags: [manual]}
        """,
    )
    passed = small.run("test", "//checks:good")
    assert (passed.code, passed.err.splitlines()[-1]) == (0, "//checks:good  PASSED")
    failed = small.run("test", "//checks:good", "//checks:bad", "-k")
    assert (failed.code, failed.err.splitlines()[-2:]) == (3, ["//checks:good  PASSED", "//checks:bad  FAILED"])
    stuck = small.run("test", "//checks:stuck")
    assert (stuck.code, stuck.err.splitlines()[-1]) == (1, "//checks:stuck  NO STATUS")
    broken = small.run("test", "//checks:all", "-k")
    assert (broken.code, broken.err.splitlines()[-2:]) == (1, ["//checks:good  PASSED", "//checks:bad  FAILED"])
    assert small.lines("query", "tests(//...)") == ["//checks:bad", "//checks:good", "//checks:stuck"]


def test_run(small: SmallWorkspace) -> None:
    small.write("src/tool/BUILD.yaml", "targets:\n  - {rule: template, name: tool, src: tool.j2, out: tool}\n")
    small.write(
        "src/tool/tool.j2", '#!/bin/sh\necho "$# $1 $2 $BUILD_WORKSPACE_DIRECTORY $BUILD_WORKING_DIRECTORY"\nexit 5\n'
    )
    os.chmod(small.root / "src/tool/tool.j2", 0o755)
    result = small.run("run", "//tool", "--", "a b", "-c")
    assert (result.code, result.out) == (5, f"2 a b -c {small.root} {small.root}\n")
    assert result.err.endswith("INFO: Running command line: buildsys-bin/tool/tool\n")


@pytest.mark.parametrize("target", ["//app:docker", "//app:motd", "//app:tree", "//app:scripts"])
def test_run_what_cannot_be_run(small: SmallWorkspace, target: str) -> None:
    result = small.run("run", target)
    assert (result.code, result.out) == (1, "")
    assert result.err.endswith(f"ERROR: Cannot run target {target}: Not executable\n")


def test_run_wants_one_target(small: SmallWorkspace) -> None:
    assert small.run("run").err == (
        "ERROR: Must specify a target to run [B039]\n  hint: buildsys run //package:name -- ARGUMENT...\n"
    )
    several = small.run("run", "//app:all")
    assert (several.code, several.err.splitlines()[-2:]) == (
        2,
        ["ERROR: Only a single target can be run. Found 5 targets [B039]", "  hint: name one: //package:name"],
    )


FETCHING = """
    targets:
      - rule: http_file
        name: file
        urls: ["file://{root}/upstream"]
        arch: any
        sha256: {digest}
      - rule: template
        name: rendered
        src: ":file"
        out: rendered
      - rule: template
        name: other
        src: missing-variable.j2
        out: other
      - rule: layer
        name: both
        layers: [":rendered", ":other"]
    """


def test_fetch_downloads_and_makes_nothing_else(small: SmallWorkspace) -> None:
    from buildsys.model.digest import digest_bytes

    content = "upstream text\n"
    (small.root / "dist").mkdir()
    (small.root / "dist/upstream").write_text(content)
    digest = digest_bytes(content.encode())
    small.write("src/net/BUILD.yaml", FETCHING.replace("{root}", str(small.root)).replace("{digest}", digest))
    small.write("src/net/missing-variable.j2", "{{ missing }}\n")
    fetch = ("fetch", "//net:rendered", "//net:other", "--distdir=dist")
    analyzed = "INFO: Analyzed 2 targets (1 package loaded, 4 targets configured).\nINFO: Found 2 targets...\n"
    first = small.run(*fetch)
    assert (first.code, first.out, first.err) == (
        0,
        "",
        f"{analyzed}INFO: All external files are here: 1 download ran, 0 had a result already.\n",
    )
    assert (
        small.run(*fetch).err
        == f"{analyzed}INFO: All external files are here: 0 downloads ran, 1 had a result already.\n"
    )
    assert os.listdir(small.root / "buildsys-bin") == []
    os.unlink(small.root / "dist/upstream")
    built = small.run("build", "//net:rendered")
    assert built.code == 0
    assert (small.root / "buildsys-bin/net/rendered").read_text() == content


def test_without_targets(small: SmallWorkspace) -> None:
    for command in ("build", "test", "fetch"):
        assert small.run(command) == (
            0,
            "",
            (
                f"WARNING: Usage: buildsys {command} <options> <targets>.\n"
                f"Invoke `buildsys help {command}` for full description of usage and options.\n"
            ),
        )


def test_every_command_there_is_is_a_function(small: SmallWorkspace) -> None:
    from buildsys.cli import rc
    from buildsys.cli.dispatch import command

    assert all(callable(command(name)) for name in rc.COMMANDS)


def test_a_child_that_is_killed(small: SmallWorkspace) -> None:
    small.write("src/tool/BUILD.yaml", "targets:\n  - {rule: template, name: tool, src: tool.j2, out: tool}\n")
    small.write("src/tool/tool.j2", "#!/bin/sh\nkill -9 $$\n")
    os.chmod(small.root / "src/tool/tool.j2", 0o755)
    assert small.run("run", "//tool").code == 128 + 9


def test_what_needs_something_missing_is_not_built(small: SmallWorkspace) -> None:
    small.write(
        "src/broken/BUILD.yaml",
        """
        targets:
          - {rule: filegroup, name: x, srcs: [//gone:y, //docker:daemon.json]}
          - {rule: filegroup, name: ok, srcs: [//docker:daemon.json]}
        """,
    )
    result = small.run("build", "-k", "//broken:x", "//broken:ok")
    assert (result.code, result.out, timeless(result.err)) == (
        1,
        "",
        (
            "INFO: Analyzed 2 targets (2 packages loaded, 2 targets configured).\n"
            "INFO: Found 1 target...\n"
            "ERROR: src/broken/BUILD.yaml:2:39: no such package 'gone': BUILD.yaml not found in src/gone [B212]\n"
            "     2 |   - {rule: filegroup, name: x, srcs: [//gone:y, //docker:daemon.json]}\n"
            "       |                                       ^^^^^^^^\n"
            "  hint: add a BUILD.yaml to a folder to make it a package\n"
            "WARNING: errors encountered while analyzing target '//broken:x': it will not be built\n"
            "INFO: Analysis succeeded for only 1 of 2 top-level targets\n"
            "Target //broken:ok up-to-date:\n"
            "  src/docker/daemon.json\n"
            "INFO: Elapsed time: Ns, Critical Path: Ns\n"
            "INFO: 0 processes.\n"
            "ERROR: command succeeded, but not all targets were analyzed\n"
            "FAILED: Build did NOT complete successfully\n"
        ),
    )
    only = small.run("build", "-k", "//broken:x")
    assert (only.code, only.err.count("ERROR:"), "up-to-date" in only.err) == (1, 1, False)


def test_a_downloader_config_is_read(small: SmallWorkspace) -> None:
    small.write("rules.cfg", "# nothing\n")
    assert small.run("build", "//app:motd", "--downloader_config=rules.cfg").code == 0
    result = small.run("build", "//app:motd", "--downloader_config=gone.cfg")
    assert (result.code, "ERROR: --downloader_config=gone.cfg: No such file or directory [B018]" in result.err) == (
        2,
        True,
    )


def test_a_digest_may_be_written_in_capitals(small: SmallWorkspace) -> None:
    small.write("up/x", "x\n")
    digest = hashlib.sha256(b"x\n").hexdigest()
    target = "  - {rule: http_file, name: %s, arch: any, sha256: '%s', urls: ['file://%s/up/x']}\n"
    rows = [target % (name, text, small.root) for name, text in (("a", digest.upper()), ("b", digest))]
    small.write("src/files/BUILD.yaml", f"targets:\n{''.join(rows)}")
    assert small.run("build", "//files:a").code == 0
    assert "0 total actions" in small.run("build", "//files:b").err
