"""`--profile`: what the file holds, that it holds together, and that it is written however a build ends."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.errors.process import environment

if TYPE_CHECKING:
    from tests.workspaces import SmallWorkspace

FILE = "buildsys-out/profile.json"
PROFILE = f"--profile={FILE}"
PHASE, CRITICAL = "build phase", "critical path component"
BUILD = [
    *("start Python", "import", "options", "check the snapshot", "import the command", "open the workspace"),
    *("loading", "analysis", "wait for the lock", "open the store", "schedule", "execution", "delivery", "journal"),
]


@dataclass
class Trace:
    """A profile that was read and found to hold together."""

    about: dict[str, Any]
    events: list[dict[str, Any]]

    def phases(self) -> list[str]:
        return [event["name"] for event in self.events if event.get("cat") == PHASE][1:]

    def actions(self, result: str) -> dict[str, dict[str, Any]]:
        """Return the actions with a result, by name."""
        return {e["name"]: e for e in self.events if e.get("args", {}).get("result") == result}

    def critical(self) -> list[str]:
        return [event["name"] for event in self.events if event.get("cat") == CRITICAL]


def read(path: Path) -> Trace:
    """Read a profile and check what holds for every one."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    document = json.loads(data)
    events = document["traceEvents"]
    threads = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert threads[0] == "Critical Path"
    assert threads[1] == "Main Thread"
    for thread in threads:
        check_nesting([e for e in events if e["ph"] == "X" and e["tid"] == thread])
    spans = [event for event in events if event["ph"] == "X"]
    root = spans[0]
    assert all(root["ts"] <= e["ts"] and e["ts"] + e["dur"] <= root["ts"] + root["dur"] for e in spans)
    assert sum(e["dur"] for e in spans[1:] if e["cat"] == PHASE) <= root["dur"]
    ran = [e for e in spans if e["tid"] > 1]
    assert all(e["cat"] == e["args"]["mnemonic"] for e in ran)
    counted = [e["args"]["actions"] for e in events if e["ph"] == "C"]
    assert len(counted) == 2 * len(ran)
    assert not counted or (min(counted) == counted[-1] == 0)
    return Trace(document["otherData"], events)


def check_nesting(spans: list[dict[str, Any]]) -> None:
    """Check that of two events of a thread one contains the other, or one begins when the other has ended."""
    open_until: list[int] = []
    for event in sorted(spans, key=lambda e: (e["ts"], -e["dur"])):
        while open_until and open_until[-1] <= event["ts"]:
            open_until.pop()
        end = event["ts"] + event["dur"]
        assert not open_until or end <= open_until[-1], event
        open_until.append(end)


def test_a_build(small: SmallWorkspace) -> None:
    result = small.run("build", "//app:docker", PROFILE)
    assert result.code == 0
    trace = read(small.root / FILE)
    assert trace.phases() == [*BUILD, "write the snapshot"]
    ran = trace.actions("ran")
    assert set(ran) == {"Render app/etc/motd", "Merge app/tree", "Tarball app/docker.tar.zst"}
    merge = ran["Merge app/tree"]
    assert (merge["cat"], merge["args"]["target"], merge["args"]["out"]) == ("Merge", "//app:tree", "app/tree")
    assert (len(merge["args"]["key"]), merge["args"]["configuration"]) == (64, "cri=docker")
    assert trace.critical() == list(ran)
    assert trace.about["exit_code"] == 0
    assert trace.about["command_line"] == f"--nosystem_rc build //app:docker {PROFILE}"
    assert trace.about["machine"]["cpus"] >= 1
    assert os.listdir(small.root / "buildsys-out").count("profile.json") == 1

    small.write("src/docker/daemon.json", "[]\n")
    small.run("build", "//app:docker", PROFILE)
    again = read(small.root / FILE)
    assert not again.actions("hit"), "what the edit does not reach is not even asked for"
    assert set(again.actions("ran")) == {"Merge app/tree", "Tarball app/docker.tar.zst"}

    small.run("build", "//app:containerd", PROFILE)
    other = read(small.root / FILE)
    assert set(other.actions("hit")) == {"Render app/etc/motd"}
    assert set(other.actions("ran")) == {"Merge app/tree", "Tarball app/containerd.tar.zst"}


def test_the_critical_path_that_is_printed_is_the_sum_of_its_parts(small: SmallWorkspace) -> None:
    result = small.run("build", "//app:docker", PROFILE)
    printed = float(result.err.partition("Critical Path: ")[2].partition("s")[0])
    parts = [e["dur"] for e in read(small.root / FILE).events if e.get("cat") == CRITICAL]
    assert abs(printed - sum(parts) / 1e6) < 0.006


@pytest.mark.parametrize("form", [["--profile=x/y/profile.json.gz"], ["--profile", "x/y/profile.json.gz"]])
def test_a_name_in_gz_is_compressed_and_folders_are_made(small: SmallWorkspace, form: list[str]) -> None:
    small.run("build", *form, "//app:docker")
    file = small.root / "x/y/profile.json.gz"
    assert file.read_bytes()[:2] == b"\x1f\x8b"
    assert len(read(file).actions("ran")) == 3
    assert os.listdir(file.parent) == ["profile.json.gz"]


def test_a_failure(small: SmallWorkspace) -> None:
    small.write("src/app/motd.j2", "{{ nothing }}\n")
    assert small.run("build", "//app:docker", PROFILE).code == 1
    trace = read(small.root / FILE)
    assert trace.phases() == BUILD
    assert set(trace.actions("failed")) == {"Render app/etc/motd"}
    assert trace.about["exit_code"] == 1


def test_what_fails_before_anything_runs(small: SmallWorkspace) -> None:
    assert small.run("build", "//gone:x", PROFILE).code == 1
    trace = read(small.root / FILE)
    assert trace.phases() == BUILD[: BUILD.index("loading") + 1]
    assert trace.about["exit_code"] == 1


def test_a_null_build_is_answered_from_the_same_snapshot(small: SmallWorkspace) -> None:
    plain = ("build", "//app:docker")
    small.run(*plain)
    time.sleep(0.1)  # until then, times may not tell whether a file has changed
    small.run(*plain)
    answer = small.run(*plain)
    assert "(0 packages loaded" in answer.err
    profiled = small.run(*plain, PROFILE)
    assert profiled.err.splitlines()[0] == answer.err.splitlines()[0]
    trace = read(small.root / FILE)
    assert trace.phases() == ["start Python", "import", "options", "check the snapshot"]
    assert (trace.critical(), trace.about["exit_code"]) == ([], 0)
    assert "(0 packages loaded" in small.run(*plain).err

    small.write("src/app/run.sh", "#!/bin/sh\n")
    small.run(*plain, PROFILE)
    edited = read(small.root / FILE)
    assert edited.phases() == [*BUILD[:5], "wait for the lock", "read the plan", *BUILD[9:], "write the snapshot"]
    assert set(edited.actions("ran")) == {"Merge app/tree", "Tarball app/docker.tar.zst"}
    assert len(edited.critical()) == 2


def test_an_rc_file_that_asks_for_a_profile_gets_one_every_time(small: SmallWorkspace) -> None:
    small.write(".buildsysrc", f"build {PROFILE}\n")
    for _ in range(3):
        time.sleep(0.1)  # until then, times may not tell whether a file has changed
        small.run("build", "//app:docker")
        assert read(small.root / FILE).phases()[:2] == ["start Python", "import"]
        (small.root / FILE).unlink()
    small.run("build", "//app:docker", "--profile=buildsys-out/other.json")
    assert not (small.root / FILE).exists()
    small.run("build", "//app:docker")
    assert (small.root / FILE).exists()


def test_a_word_that_only_looks_like_the_option(small: SmallWorkspace) -> None:
    small.run("build", "//app:docker", "--distdir", PROFILE)
    assert not (small.root / FILE).exists()


@pytest.mark.parametrize("command", ["fetch", "test"])
def test_other_commands_that_make_targets(small: SmallWorkspace, command: str) -> None:
    small.run(command, "//app:docker", PROFILE)
    assert "execution" in read(small.root / FILE).phases()


def test_what_is_no_file_is_written_to_and_stays(small: SmallWorkspace) -> None:
    pipe = small.root / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        assert small.run("build", "//app:motd", "--profile=pipe").code == 0
        assert reader.stdout
        assert json.loads(reader.stdout.read())["otherData"]["exit_code"] == 0
    assert pipe.is_fifo()


def test_a_disk_that_is_full_at_the_end_is_said(small: SmallWorkspace) -> None:
    result = small.run("build", "//app:motd", "--profile=/dev/full")
    assert result.code == 36
    assert "Build completed successfully" in result.err
    assert "ERROR: no space left on the disk that holds /dev/full [B501]\n" in result.err
    assert "--profile=FILE" in result.err.splitlines()[-1]


def test_a_build_without_one_knows_nothing_of_profiles(small: SmallWorkspace) -> None:
    code = "import sys; from buildsys.cli.main import run; run(['build', '//app:docker']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=small.root, env=environment(), capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "buildsys.execution.executor" in loaded
    assert not loaded & {"buildsys.cli.profiling", "buildsys.report.profile"}
