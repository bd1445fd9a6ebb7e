"""Layers in the form zstd:chunked: podman fetches the files that it does not have, from a real registry."""

from __future__ import annotations

import os
import random
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.packages import host_arch
from tests.e2e.test_oci_images import TEMPLATE, entries, manifests, prepared, unpacked_tarball
from tests.e2e.test_push import push
from tests.e2e.workspace import SAMPLE
from tests.engines import Podman, podman
from tests.registries import registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.workspace import Workspace
    from tests.registries import Registry

OPTIONS = """[storage.options]
pull_options = {enable_partial_images = "true", use_hard_links = "false", ostree_repos = ""}
[storage.options.overlay]
skip_mount_home = "true"
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Podman]:
    """A podman that fetches parts of layers, which it does with the driver `overlay` alone."""
    with podman(tmp_path / "podman") as made:
        config = Path(made.env["CONTAINERS_STORAGE_CONF"])
        config.write_text(config.read_text().replace('"vfs"', '"overlay"') + OPTIONS)
        environment = {**os.environ, **made.env}
        if subprocess.run(["podman", "info"], capture_output=True, check=False, env=environment).returncode:
            pytest.skip("podman has no driver `overlay` here")
        yield made


def pull(engine: Podman, name: str) -> str:
    """Pull an image; return what podman says of it."""
    done = subprocess.run(
        ["podman", "--log-level=debug", "pull", "-q", "--tls-verify=false", name],
        capture_output=True, text=True, check=False, env={**os.environ, **engine.env},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


def sent(running: Registry) -> int:
    """Return how many bytes of blobs the registry has sent so far."""
    log = (running.folder / "registry.log").read_text()
    rows = [row for row in log.splitlines() if "http.request.method=GET" in row and "/blobs/" in row]
    return sum(int(found[1]) for row in rows if (found := re.search(r"http\.response\.written=(\d+)", row)))


def check(engine: Podman, name: str, workspace: Workspace, folder: Path) -> None:
    """The image that was pulled is the rootfs, but for times: podman 4.3.1 drops them, also in what it has pushed."""

    def timeless(lines: list[str]) -> list[str]:
        return [re.sub(r"(?<= )\d{9,10}(?= )", "", line) for line in lines]

    workspace.build(SAMPLE, f"//rootfs:containerd-{host_arch()}")
    with engine.mounted(name) as root:
        found = unpacked_tarball(workspace, f"containerd-{host_arch()}", folder)
        assert timeless(entries(Path(root))) == timeless(found)


def test_podman_fetches_what_it_does_not_have(engine: Podman, tmp_path: Path) -> None:
    workspace = prepared(tmp_path / "work", "zstd:chunked")
    noise = random.Random(4)
    large = workspace.root / "context/rootfs/scripts/large.sh"
    large.write_text("".join(f"# {noise.randbytes(32).hex()}\n" for _ in range(150_000)))
    with registry(tmp_path / "registry") as running:
        first, second = (f"{running.host}/clusters/containerd:{number}" for number in (1, 2))
        push(workspace, "containerd", first)
        said = pull(engine, first)
        workspace.build(SAMPLE, "//images:containerd")
        layers = manifests(workspace, "containerd")[host_arch()]["layers"]
        for layer in layers:
            assert f"Retrieved partial blob {layer['digest']}" in said
        assert "Failed to retrieve" not in said
        check(engine, first, workspace, tmp_path / "first")
        before = sent(running)
        assert before > 5_000_000

        workspace.edit(TEMPLATE, "#", "# one more line\n#")
        large.write_text(large.read_text() + "# the end\n")
        push(workspace, "containerd", second)
        said = pull(engine, second)
        assert said.count("Retrieved partial blob") == 1, "the other layers are there"
        assert sent(running) - before < 1_000_000, "the last slice of the large file, and small things"
        check(engine, second, workspace, tmp_path / "second")
