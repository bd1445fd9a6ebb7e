"""Which images a kubeadm asks for under a configuration, name by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buildsys.kubernetes.lookup import at_version

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from buildsys.kubernetes.releases import Release
    from buildsys.kubernetes.tables import Tables


class Kubeadm(NamedTuple):
    """What a kubeadm brings along: the tags of its images, and the repository where it looks if it is told none."""

    kubernetes: str
    names: tuple[str, ...]
    pause: str
    etcd: str
    coredns: str
    default_repository: str


def kubeadm_of(tables: Tables, of: Release) -> Kubeadm:
    """Return what the kubeadm of a release brings along, its images in the order in which it lists them."""
    names = at_version(tables.kubeadm, "image_order", of.version).texts()
    return Kubeadm(str(of.version), names, of.pause, of.etcd, of.coredns, of.default_repository)


def asked_images(kubeadm: Kubeadm, said: Mapping[str, str], without: Container[str] = ()) -> dict[str, str]:
    """Return the images that a kubeadm pulls, by name (`kube-proxy`, `etcd`, ...), in kubeadm's order.

    `said` are the keys of a ClusterConfiguration that have a value, such as `dns.imageTag`; `without` are names.
    Source: kubernetes cmd/kubeadm/app/images/images.go; its GetDNSImage adds `/coredns` to kubeadm's own repository
    since 1.21, where the tag of coredns has a `v`.
    """
    repository = said.get("imageRepository", kubeadm.default_repository)
    dns = said.get("dns.imageRepository", repository)
    if dns == kubeadm.default_repository and kubeadm.coredns.startswith("v"):
        dns += "/coredns"
    etcd = said.get("etcd.local.imageRepository", repository)
    special = {
        "pause": f"{repository}/pause:{kubeadm.pause}",
        "etcd": f"{etcd}/etcd:{said.get('etcd.local.imageTag', kubeadm.etcd)}",
        "coredns": f"{dns}/coredns:{said.get('dns.imageTag', kubeadm.coredns)}",
    }
    tag = f"v{kubeadm.kubernetes}".replace("+", "_")
    return {name: special.get(name, f"{repository}/{name}:{tag}") for name in kubeadm.names if name not in without}
