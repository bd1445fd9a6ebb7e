"""Interrupts in the middle of work: exit code 8, nothing half-written, and the next build is right."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import time

import pytest

from tests.errors import process
from tests.errors.injector import content

WORKSPACE = "workspace: test\npackages: pkg\nparameters: {oss: {type: url, default: ''}, arch: {default: amd64}}\n"
LARGE = 12 << 20


def _write(root: str, path: str, data: str | bytes) -> None:
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "wb") as stream:
        stream.write(data.encode() if isinstance(data, str) else data)


def _download(root: str) -> None:
    digest = hashlib.sha256(content("kubectl")).hexdigest()
    _write(root, "BUILD.yaml", WORKSPACE)
    rule = f"{{rule: http_file, name: x, urls: [kubectl], mirror: oss, sha256: {digest}}}"
    _write(root, "pkg/a/BUILD.yaml", f"targets:\n  - {rule}\n")


def _compression(root: str) -> None:
    _write(root, "BUILD.yaml", WORKSPACE)
    _write(root, "pkg/a/large", random.Random(7).randbytes(LARGE))
    _write(root, "pkg/a/f.txt", "small\n")
    _write(
        root,
        "pkg/a/BUILD.yaml",
        "targets:\n"
        "  - {rule: placed_files, name: files, files: {bin/large: large, etc/f.txt: f.txt}}\n"
        "  - {rule: rootfs, name: tree, layers: [files]}\n"
        "  - {rule: tarball, name: x, tree: tree, level: 19}\n",
    )


def _rubbish(root: str) -> list[str]:
    return [*process.files(os.path.join(root, "cache/v1/tmp")), *process.files(os.path.join(root, "buildsys-out/tmp"))]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_download_is_interrupted_while_the_server_is_silent(root: str, http: str, number: signal.Signals) -> None:
    _download(root)
    with process.start(root, "build", "//a:x", f"--param=oss={http}/stall") as running:
        process.wait_for(lambda: process.files(os.path.join(root, "cache/v1/tmp")))
        running.send_signal(number)
        began = time.monotonic()
        _, errors = running.communicate(timeout=process.PATIENCE)
    assert running.returncode == 8
    assert time.monotonic() - began < 15  # a read would wait for 30 seconds
    assert errors.endswith(
        "ERROR: build interrupted [B801]\n"
        "  hint: run it again: what was finished is kept\n"
        "FAILED: Build did NOT complete successfully\n"
    )
    assert process.files(os.path.join(root, "buildsys-out/bin")) == []
    assert _rubbish(root) == []

    code, _ = process.run(root, "build", "//a:x", f"--param=oss={http}/ok")
    with open(os.path.join(root, "buildsys-out/bin/a/x"), "rb") as stream:
        assert (code, stream.read()) == (0, content("kubectl"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_compression_is_interrupted(root: str, number: signal.Signals) -> None:
    _compression(root)
    with process.start(root, "build", "//a:x") as running:
        process.wait_for(lambda: _rubbish(root))
        running.send_signal(number)
        _, errors = running.communicate(timeout=process.PATIENCE)
    assert running.returncode == 8, errors
    assert process.files(os.path.join(root, "buildsys-out/bin")) == []
    assert _rubbish(root) == []


def test_the_build_after_a_kill_cleans_up(root: str, http: str) -> None:
    _download(root)
    with process.start(root, "build", "//a:x", f"--param=oss={http}/stall") as running:
        process.wait_for(lambda: process.files(os.path.join(root, "cache/v1/tmp")))
        running.kill()
        running.communicate(timeout=process.PATIENCE)
    assert _rubbish(root) != []
    assert process.run(root, "build", "//a:x", f"--param=oss={http}/ok")[0] == 0
    assert _rubbish(root) == []


def test_an_interrupted_build_leaves_its_profile(root: str, http: str) -> None:
    _download(root)
    with process.start(root, "build", "//a:x", f"--param=oss={http}/stall", "--profile=p/p.json") as running:
        process.wait_for(lambda: process.files(os.path.join(root, "cache/v1/tmp")))
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=process.PATIENCE)
    assert os.listdir(os.path.join(root, "p")) == ["p.json"]
    with open(os.path.join(root, "p/p.json"), encoding="utf-8") as stream:
        profile = json.load(stream)
    assert profile["otherData"]["exit_code"] == running.returncode == 8
    downloads = [event for event in profile["traceEvents"] if event.get("cat") == "Download"]
    assert [event["args"]["result"] for event in downloads] == ["failed"]
