"""Networks of a cluster: what kubeadm and the API server take."""

from __future__ import annotations

import pytest

from buildsys.errors import Location
from buildsys.kubernetes.networks import check_networks

PLACES = {"pod_subnet": Location("a", 1, 1), "service_subnet": Location("a", 2, 1)}


@pytest.mark.parametrize(
    ("pods", "services"),
    [
        ("100.64.0.0/10", "10.96.0.0/22"),
        ("10.244.1.7/16", "10.96.0.0/12"),
        ("192.168.0.0/16,fd00:10:244::/56", "10.96.0.0/22,fd00:10:96::/112"),
        ("fd00:10:244::/56", "fd00:10:96::/108"),
        ("10.0.0.0/28", "10.0.0.16/28"),
    ],
)
def test_networks_of_a_cluster(pods: str, services: str) -> None:
    assert check_networks(pods, services) == []


@pytest.mark.parametrize(
    ("pods", "services", "name", "reason"),
    [
        ("foo", "10.96.0.0/22", "pod_subnet", "'foo' is not a network"),
        ("", "10.96.0.0/22", "pod_subnet", "'' is not a network"),
        ("10.0.0.0", "10.96.0.0/22", "pod_subnet", "'10.0.0.0' is not a network"),
        ("10.0.0.0/255.0.0.0", "10.96.0.0/22", "pod_subnet", "is not a network"),
        ("100.64.0.0/10, fd00::/56", "10.96.0.0/22", "pod_subnet", "' fd00::/56' is not a network"),
        ("100.64.0.0/10", "10.96.0.0/40", "service_subnet", "'10.96.0.0/40' is not a network"),
        ("100.64.0.0/10,10.1.0.0/16", "10.96.0.0/22", "pod_subnet", "one network of each family"),
        ("100.64.0.0/10", "10.0.0.0/11", "service_subnet", "10.0.0.0/11 is too large"),
        ("100.64.0.0/10", "10.0.0.0/29", "service_subnet", "10.0.0.0/29 is too small"),
        ("100.64.0.0/10", "fd00::/64", "service_subnet", "fd00::/64 is too large"),
        ("10.0.0.0/8", "10.96.0.0/22", "service_subnet", "10.96.0.0/22 overlaps 10.0.0.0/8"),
    ],
)
def test_networks_that_cannot_be(pods: str, services: str, name: str, reason: str) -> None:
    (error,) = check_networks(pods, services, PLACES)
    assert (error.code, error.at) == ("B617", PLACES[name])
    assert error.message.startswith(f"{name}: ")
    assert reason in error.message
    assert error.hint
