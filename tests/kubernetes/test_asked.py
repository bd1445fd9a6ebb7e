"""Which images a kubeadm asks for: those of the image list under our configuration; else as kubeadm's code has it."""

from __future__ import annotations

from buildsys.kubernetes.asked import asked_images, kubeadm_of
from buildsys.kubernetes.kubeadm import dns_image_repository
from buildsys.kubernetes.releases import images, images_at
from buildsys.kubernetes.tables import Tables

TABLES = Tables.load()
RELEASES = tuple(TABLES.releases.values())


def test_our_configuration_asks_for_the_images_of_the_list_in_every_release() -> None:
    for of in RELEASES:
        said = {"imageRepository": "sea.hub:5000"}
        said["dns.imageRepository"] = dns_image_repository(TABLES, of.version, "sea.hub:5000")
        assert tuple(asked_images(kubeadm_of(TABLES, of), said).values()) == images_at(TABLES, of, "sea.hub:5000")


def test_without_a_configuration_kubeadm_asks_for_what_it_lists_in_every_release() -> None:
    for of in RELEASES:
        assert tuple(asked_images(kubeadm_of(TABLES, of), {}).values()) == images(TABLES, of)


def test_each_key_decides_its_images() -> None:
    kubeadm = kubeadm_of(TABLES, TABLES.releases["1.28.15"])
    own = asked_images(kubeadm, {"imageRepository": "a/b"})
    assert own["coredns"] == "a/b/coredns:v1.10.1", "kubeadm adds /coredns to its own repository alone"
    said = {
        "dns.imageRepository": "d",
        "dns.imageTag": "1",
        "etcd.local.imageRepository": "e",
        "etcd.local.imageTag": "2",
    }
    found = asked_images(kubeadm, said)
    assert (found["coredns"], found["etcd"]) == ("d/coredns:1", "e/etcd:2")
    assert found["pause"] == "registry.k8s.io/pause:3.9"
    assert "etcd" not in asked_images(kubeadm, said, ("etcd",))
