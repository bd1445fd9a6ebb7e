"""The files of a cluster image's rootfs, as the design document of Clusterimage rootfs lists them.

`COMMON` and `DOCKER` together are the document's first tree. It shows docker; `CONTAINERD` has, in place of docker's
files, those that its "local repo context" and "oss containerd context" list. The document's `scripts/init-kube.sh`,
`clean.sh` and so on stand under `COMMON` where both runtimes have them.
"""

from __future__ import annotations

COMMON = (
    "Kubefile",
    "README.md",
    "bin/conntrack",
    "bin/containerd-rootless-setuptool.sh",
    "bin/containerd-rootless.sh",
    "bin/crictl",
    "bin/kubeadm",
    "bin/kubectl",
    "bin/kubelet",
    "bin/nerdctl",
    "bin/seautil",
    "etc/10-kubeadm.conf",
    "etc/Clusterfile",
    "etc/kubeadm.yml",
    "etc/kubelet.service",
    "etc/registry.yml",
    "etc/registry_config.yml",
    "images/registry.tar",
    "registry/docker/registry",
    "scripts/clean-kube.sh",
    "scripts/clean.sh",
    "scripts/init-kube.sh",
    "scripts/init-registry.sh",
    "scripts/init.sh",
    "scripts/kubelet-pre-start.sh",
    "statics/audit-policy.yml",
    # of the "build directory" tree, and what the deploy tool reads:
    "etc/kubeadm.yml.tmpl",
    "imageList",
    "manifests/imageList",
    "Metadata",
)

DOCKER = ("cri/docker.tar.gz", "etc/daemon.json", "etc/docker.service", "scripts/docker.sh")
CONTAINERD = ("cri/containerd.tar.gz", "cri/lib64/libseccomp.so.2", "etc/dump-config.toml", "scripts/containerd.sh")

EXECUTABLE = tuple(name for name in COMMON if name.startswith("bin/"))


def spec_files(cri: str) -> tuple[str, ...]:
    """Return what the rootfs of a runtime must hold."""
    return (*COMMON, *(DOCKER if cri == "docker" else CONTAINERD))


def foreign_files(cri: str) -> tuple[str, ...]:
    """Return what belongs to the other runtime alone."""
    return CONTAINERD if cri == "docker" else DOCKER
