"""The closure of the shipped rootfs: all that another scan finds is checked, and each fault fails at its line."""

from __future__ import annotations

import io
import json
import re
import tarfile
from typing import TYPE_CHECKING

import pytest
import zstandard

from tests.e2e.workspace import ARCHES, RUNTIMES, SAMPLE, Workspace, copy_workspace

if TYPE_CHECKING:
    from pathlib import Path

VERSIONS = ("1.15.11", "1.18.20", "1.23.17", "1.28.15", "1.31.14")
ANYTHING_TAGGED = re.compile(r"(?<![\w./:@-])(?:[a-z0-9.-]+(?::[0-9]+)?/)+[a-z0-9-]+:v?[0-9][\w.-]*")
"""What looks like an image, wherever it stands: the other scan."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return copy_workspace(tmp_path_factory.mktemp("closure") / "work")


def texts(tarball: Path) -> dict[str, str]:
    """Return the text files of a rootfs, but for its registry and what only humans read."""
    data = zstandard.ZstdDecompressor().stream_reader(tarball.read_bytes(), read_across_frames=True).read()
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            stream = archive.extractfile(member)
            path = member.name.removeprefix("./")
            if stream is None or path.startswith("registry/") or path in {"Kubefile", "README.md"}:
                continue
            content = stream.read()
            if b"\0" not in content[:8192]:
                found[path] = content.decode()
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_what_another_scan_finds_was_checked(workspace: Workspace, version: str) -> None:
    for cri in RUNTIMES:
        for arch in ARCHES:
            parameters = [f"--param={name}={value}" for name, value in (("cri", cri), ("arch", arch))]
            parameters.append(f"--param=kubernetes={version}")
            report, tarball = workspace.build(
                SAMPLE, "//rootfs:checked", f"//rootfs:{cri}-{arch}", *parameters
            ).outputs  # fmt: skip
            lines = [json.loads(line) for line in (workspace.root / report).read_text().splitlines()]
            checked = {tuple(line["at"].rsplit(":", 2)[:2]) for line in lines if "link" in line}
            files = texts(workspace.root / tarball)
            assert {line["file"] for line in lines if line.get("is") == "text"} >= set(files)
            found = {
                (path, str(number))
                for path, text in files.items()
                for number, line in enumerate(text.splitlines(), 1)
                if ANYTHING_TAGGED.search(line)
            }
            assert len(found) >= 18
            assert found <= checked
            asked = {line["asked"] for line in lines if line.get("by") == "kubeadm"}
            assert len(asked) == 7


def test_each_fault_fails_at_its_line(tmp_path: Path) -> None:
    workspace = copy_workspace(tmp_path / "work")
    workspace.edit("context/calico/imageList.j2", "quay.io/tigera/operator:v{{ tigera_operator }}\n", "")
    workspace.edit(
        "context/calico/BUILD.yaml", "params: [calico, tigera_operator]\n    vars:", "params: [calico]\n    vars:"
    )
    workspace.edit("context/containerd/BUILD.yaml", "{pause.image}", "sea.hub:5000/pause:9.9")
    workspace.edit("context/calico/custom-resources.yaml.j2", "spec: {}", "spec: {}\n---\nimage: nginx:latest")
    result = workspace.run("build", SAMPLE, "//rootfs:containerd-arm64")
    assert result.code == 1
    errors = re.findall(r"^ERROR: (\S+):(\d+):\d+: (\S+) .* for arm64, .*\[B431\]$", result.stderr, re.MULTILINE)
    assert [(path, image.partition(":v")[0]) for path, _, image in errors] == [
        ("etc/dump-config.toml", "sea.hub:5000/pause:9.9"),
        ("manifests/calico/custom-resources.yaml", "nginx:latest"),
        ("manifests/calico/tigera-operator.yaml", "quay.io/tigera/operator"),
    ]
    assert not workspace.output("containerd-arm64").exists()
    of_image = workspace.run("build", SAMPLE, "//images:containerd-arm64")
    assert of_image.code == 1
    assert of_image.stderr.count("[B431]") == len(errors), "a cluster image is made of what was checked, too"
    workspace.run("build", SAMPLE, "//rootfs:tree", "//containerd:config", "//calico:resources", "//calico:operator")
    for (_, line, image), file in zip(
        errors,
        ("containerd/etc/dump-config.toml", "calico/custom-resources.yaml", "calico/tigera-operator.yaml"),
        strict=True,
    ):
        path = next((workspace.root / "buildsys-bin").rglob(file))
        assert image in path.read_text().splitlines()[int(line) - 1]
