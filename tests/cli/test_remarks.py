"""What a build says though nothing is wrong: remarks of rules, at the end and again by the null build."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from buildsys import snapshot

if TYPE_CHECKING:
    from tests.workspaces import SmallWorkspace

BUILD = """
targets:
  - rule: kubeadm_config
    name: config
    kubernetes: "1.28.15"
    cri: containerd
    arch: amd64
    containerd: "1.7.10"
    image_repository: sea.hub:5000
    pod_subnet: 100.64.0.0/10
    service_subnet: 10.96.0.0/22
"""


def test_a_combination_that_has_its_limits_is_remarked_upon(
    small: SmallWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "now_ns", lambda: time.time_ns() + 60_000_000_000)
    small.write("src/kube/BUILD.yaml", BUILD)
    remark = (
        "WARNING: Kubernetes 1.28.15: sealer adds flags and feature gates that Kubernetes removed in 1.25 and cannot be"
        " told not to (sealer#2245): it needs a patch to deploy this image\n"
    )
    first, second = small.run("build", "//kube:config"), small.run("build", "//kube:config")
    for result in (first, second):
        assert (result.code, result.err.count("WARNING"), result.err.count(remark)) == (0, 1, 1)
    assert "0 packages loaded" in second.err, "the second build was no null build"
    small.write("src/kube/BUILD.yaml", BUILD.replace("1.28.15", "1.23.17"))
    assert "WARNING" not in small.run("build", "//kube:config").err
