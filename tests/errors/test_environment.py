"""A full disk and a folder that cannot be written: exit code 36, a next step, and the next build is right.

The mounts are made in a mount namespace of their own and vanish with it; where no namespace can be made, the tests of
mounts are skipped.
"""

from __future__ import annotations

import os
import random
import re
import shlex
import subprocess
import sys

import pytest

from tests.errors import process

NAMESPACE = ["unshare", "--map-root-user", "--mount"]
LARGE = 3 << 20


def _namespaces() -> bool:
    try:
        done = subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True)
    except FileNotFoundError:
        return False
    return done.returncode == 0


needs_mounts = pytest.mark.skipif(not _namespaces(), reason="no mount namespaces here")


@pytest.fixture
def workspace(root: str) -> str:
    """A workspace with a rootfs of three megabytes that do not compress, and its tarball."""
    written = {
        "BUILD.yaml": b"workspace: test\npackages: pkg\n",
        "pkg/a/large.bin": random.Random(7).randbytes(LARGE),
        "pkg/a/BUILD.yaml": b"targets:\n"
        b"  - {rule: placed_files, name: files, files: {bin/large: large.bin}}\n"
        b"  - {rule: rootfs, name: tree, layers: [files]}\n"
        b"  - {rule: tarball, name: x, tree: tree, format: tar}\n",
    }
    for path, data in written.items():
        os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
        with open(os.path.join(root, path), "wb") as stream:
            stream.write(data)
    os.makedirs(os.path.join(root, "small"))
    return root


def _in_namespace(root: str, script: str) -> str:
    """Run a shell script with mounts of its own; give all that it prints, without the workspace's path."""
    build = f"{shlex.quote(sys.executable)} -m buildsys"
    text = f'build() {{ code=0; {build} "$@" 2>&1 || code=$?; echo "exit $code"; }}\nset -e\n{script}'
    done = subprocess.run(
        [*NAMESPACE, "sh", "-c", text],
        cwd=root,
        env=process.environment(),
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return re.sub(r"Elapsed time: .*", "Elapsed time: X", done.stdout.replace(root, "@ROOT@"))


@needs_mounts
@pytest.mark.parametrize(("option", "what"), [("--disk_cache", "store"), ("--output_base", "output")])
def test_a_full_disk_is_reported_and_the_next_build_is_right(workspace: str, option: str, what: str) -> None:
    argv = "build //a:x --disk_cache=small" if what == "store" else "--output_base=small build //a:x"
    printed = _in_namespace(
        workspace,
        f"""
mount -t tmpfs -o size=1m tmpfs small
build {argv}
find small -type f -path '*tmp/*'
mount -o remount,size=64m small
build {argv}
tar -xOf buildsys-bin/a/x.tar bin/large | cmp - pkg/a/large.bin && echo same
""",
    )
    first, _, second = printed.partition("exit 36\n")
    assert re.search(r"^ERROR: no space left on the disk that holds @ROOT@/small\S* \[B501\]$", first, re.MULTILINE)
    assert f"  hint: free some space, or give another folder: {option}=DIR; nothing half-written was kept\n" in first
    assert "Traceback" not in printed
    assert second.startswith("INFO: Analyzed"), "rubbish was left, or the second build failed"
    assert second.endswith("exit 0\nsame\n")


@needs_mounts
@pytest.mark.parametrize("argv", ["build //a:x --disk_cache=small", "--output_base=small build //a:x"])
def test_a_read_only_folder_is_reported(workspace: str, argv: str) -> None:
    option = "--disk_cache" if "--disk_cache" in argv else "--output_base"
    printed = _in_namespace(
        workspace, f"mount -t tmpfs tmpfs small\nmount -o remount,ro small\nbuild {argv}\nbuild build //a:x\n"
    )
    first, _, second = printed.partition("exit 36\n")
    assert re.search(r"^ERROR: @ROOT@/small\S* is not writable: Read-only file system \[B502\]$", first, re.MULTILINE)
    assert f"give another folder: {option}=DIR" in first
    assert second.endswith("exit 0\n")


@needs_mounts
def test_a_store_that_becomes_read_only_is_reported(workspace: str) -> None:
    printed = _in_namespace(
        workspace,
        """
mount -t tmpfs tmpfs small
build build //a:x --disk_cache=small
mount -o remount,ro small
echo changed >> pkg/a/large.bin
build build //a:x --disk_cache=small
""",
    )
    assert printed.endswith("exit 36\n")
    assert "[B502]" in printed
    assert "--disk_cache=DIR" in printed
    assert "Traceback" not in printed


def test_a_source_file_that_cannot_be_read_is_reported(workspace: str) -> None:
    source = os.path.join(workspace, "pkg/a/large.bin")
    os.unlink(source)
    os.symlink("/proc/self/mem", source)  # a file whose first byte not even root can read
    code, errors = process.run(workspace, "build", "//a:x")
    assert code == 36
    assert "cannot read 'pkg/a/large.bin': Input/output error [B504]" in errors


def test_a_source_file_that_goes_during_the_build_is_reported(workspace: str) -> None:
    with open(os.path.join(workspace, "pkg/a/large.bin"), "wb") as stream:
        stream.write(b"x")
    assert process.run(workspace, "build", "//a:x")[0] == 0
    os.unlink(os.path.join(workspace, "pkg/a/large.bin"))
    code, errors = process.run(workspace, "build", "//a:x")
    assert code == 1
    assert "missing input file 'pkg/a/large.bin'" in errors


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("command", "code"), [("build //a:x", 0), ("info", 0), ("build //a:gone", 1)])
def test_standard_streams_may_be_closed(workspace: str, closed: str, command: str, code: int) -> None:
    script = f"{shlex.quote(sys.executable)} -m buildsys {command} {closed}"
    for _ in range(2):
        done = subprocess.run(["sh", "-c", script], cwd=workspace, env=process.environment(), check=False)
        assert done.returncode == code
