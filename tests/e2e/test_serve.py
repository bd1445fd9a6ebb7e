"""`buildsys serve --registry`: clients pull what was built straight out of the store."""

from __future__ import annotations

import hashlib
import subprocess
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_images import copied
from tests.e2e.workspace import SAMPLE, Workspace, copy_workspace
from tests.registry_clients import client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAUSE = "pause:3.6"


@contextmanager
def serving(workspace: Workspace, *targets: str) -> Iterator[str]:
    """Serve targets; gives host and port."""
    process = subprocess.Popen(
        workspace.command("serve", "--registry", "--port=0", SAMPLE, *targets),
        cwd=workspace.root,
        env=workspace.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), process.communicate()[1]
        yield url.removeprefix("http://")
    finally:
        process.terminate()
        said = process.communicate(timeout=20)[1]
    assert process.returncode == 0, said


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    workspace = copy_workspace(tmp_path_factory.mktemp("serve") / "work")
    with serving(workspace, "//rootfs:registry") as host:
        yield host


def test_skopeo_and_our_client_pull_by_tag_and_by_digest(site: str, tmp_path: Path) -> None:
    with client(site) as reader:
        top = reader.head_manifest(site, "pause", "3.6")
        assert top is not None
        assert reader.manifest(site, "pause", top.digest).digest == top.digest
    digest = copied(site, PAUSE, "amd64", tmp_path / "tag")
    assert copied(site, f"pause@{digest}", "amd64", tmp_path / "digest") == digest
    for path in (tmp_path / "tag").iterdir():
        if len(path.name) == 64:
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    listed = subprocess.run(
        ["skopeo", "list-tags", "--tls-verify=false", f"docker://{site}/pause"], check=True, capture_output=True
    ).stdout
    assert b'"3.6"' in listed


def ask(site: str, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    request = urllib.request.Request(f"http://{site}{path}", method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read(), dict(error.headers)


def test_parts_of_blobs_and_what_is_not_there(site: str) -> None:
    with client(site) as reader:
        top = reader.manifest(site, "pause", "3.6")
    status, body, headers = ask(site, f"/v2/pause/manifests/{top.digest}")
    assert (status, body, headers["Content-Type"]) == (200, top.data, top.media_type)
    assert ask(site, "/v2/pause/manifests/3.6", "HEAD")[1:2] == (b"",)
    assert ask(site, "/v2/")[0] == 200
    assert b'"pause"' in ask(site, "/v2/_catalog")[1]
    for path in (
        "/v2/pause/manifests/9",
        "/v2/none/manifests/1",
        f"/v2/pause/blobs/sha256:{'0' * 64}",
        "/x",
        "/v2/a/b",
    ):
        assert ask(site, path)[0] == 404
    assert ask(site, f"/v2/coredns/coredns/blobs/{top.digest}")[0] == 404, "a blob of another repository"
    assert ask(site, "/v2/pause/manifests/3.6", "DELETE")[0] == 405
    assert ask(site, "/v2/pause/blobs/uploads/", "POST")[0] == 405


def test_a_port_that_is_taken_and_targets_without_images_are_told(site: str, tmp_path: Path) -> None:
    workspace = copy_workspace(tmp_path / "work")
    port = site.partition(":")[2]
    done = workspace.run("serve", "--registry", f"--port={port}", SAMPLE, "//rootfs:registry")
    assert done.code == 36
    assert f"ERROR: cannot listen on 127.0.0.1:{port}: Address already in use [B507]\n" in done.stderr
    done = workspace.run("serve", "--registry", "--port=0", SAMPLE, "//rootfs:image-list")
    assert done.code == 1
    assert "//rootfs:image-list holds no images [B438]" in done.stderr
    done = workspace.run("serve", "//rootfs:registry")
    assert done.code == 2
    assert "[B043]" in done.stderr
