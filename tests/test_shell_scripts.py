"""The shell scripts of the repository itself pass shellcheck; those of the rootfs are tested in tests/context."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["buildsysw", "check", ".ci/run", "tests/environment.sh"])
def test_a_script_passes_shellcheck(name: str) -> None:
    done = subprocess.run(
        ["shellcheck", "-S", "style", "-x", name], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
    assert done.returncode == 0
