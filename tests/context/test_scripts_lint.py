"""Every script of context/: syntax, shellcheck, modes, and no path of the host outside of ROOT."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CONTEXT = Path(__file__).resolve().parents[2] / "context"
SCRIPTS = sorted([*CONTEXT.glob("*/scripts/*.sh"), CONTEXT / "calico/calico.sh"])
IDS = [str(path.relative_to(CONTEXT)) for path in SCRIPTS]

EXPECTED = {
    "rootfs": {"clean-kube.sh", "init-kube.sh", "kubelet-pre-start.sh", "lib.sh", "lib-cri.sh", "lib-registry.sh"},
    "docker": {"clean.sh", "docker.sh", "init-registry.sh", "init.sh", "uninstall-docker.sh"},
    "containerd": {"clean.sh", "containerd.sh", "init-registry.sh", "init.sh", "uninstall-containerd.sh"},
}


def test_the_scripts_of_both_contracts_exist() -> None:
    found = {package: {path.name for path in (CONTEXT / package / "scripts").iterdir()} for package in EXPECTED}
    assert found == EXPECTED
    assert not EXPECTED["rootfs"] & (EXPECTED["docker"] | EXPECTED["containerd"])


@pytest.mark.parametrize("path", SCRIPTS, ids=IDS)
def test_bash_reads_it(path: Path) -> None:
    done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_shellcheck_has_nothing_to_say() -> None:
    shellcheck = shutil.which("shellcheck")
    assert shellcheck is not None, "shellcheck is not installed; install it: this test does not skip"
    # One file per call: a library is judged alone as well as inside of the scripts that source it.
    for path in SCRIPTS:
        done = subprocess.run(
            [shellcheck, "-S", "style", str(path)], capture_output=True, text=True, check=False, cwd=CONTEXT.parent
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), path


@pytest.mark.parametrize("path", SCRIPTS, ids=IDS)
def test_head_and_mode(path: Path) -> None:
    lines = path.read_text().splitlines()
    if path.name.startswith("lib"):
        assert lines[0] == "# shellcheck shell=bash"
        assert os.stat(path).st_mode & 0o777 == 0o644
    else:
        assert lines[0] == "#!/usr/bin/env bash"
        assert "set -euo pipefail" in lines
        assert os.stat(path).st_mode & 0o777 == 0o755


@pytest.mark.parametrize("path", SCRIPTS, ids=IDS)
def test_no_switched_off_check_no_sudo_and_no_network(path: Path) -> None:
    text = path.read_text()
    assert "shellcheck disable" not in text
    words = set(re.findall(r"[a-z0-9-]+", re.sub(r"#.*", "", text)))
    assert not words & {"sudo", "curl", "wget", "apt", "apt-get", "yum", "dnf", "pip"}
