"""The networks of a cluster: which ones kubeadm and the API server take, and which cannot stand side by side."""

from __future__ import annotations

import ipaddress
from itertools import combinations
from types import MappingProxyType
from typing import TYPE_CHECKING

from buildsys.errors import Location, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NOWHERE: Mapping[str, Location] = MappingProxyType({})
_FORM = "write it like 10.96.0.0/22, or for both families like 10.96.0.0/22,fd00:10:96::/112"
_HOST_BITS = range(4, 21)
"""Bits that a service network leaves for addresses: kubeadm wants ten of these, the API server maps at most 2^20."""


def check_networks(pods: str, services: str, places: Mapping[str, Location] = _NOWHERE) -> list[UserError]:
    """Return an error B617 for each reason why no cluster can have these networks, none if one can.

    `places` says where `pod_subnet` and `service_subnet` were written. Source: kubeadm validation.go
    (ValidateNetworking), kube-apiserver validation.go (validateClusterIPFlags).
    """
    errors: list[UserError] = []
    networks: dict[str, list[_Network]] = {}
    for name, given in (("pod_subnet", pods), ("service_subnet", services)):
        networks[name] = []
        for text in given.split(","):
            try:
                networks[name].append(_parsed(text))
            except ValueError:
                errors.append(UserError("B617", f"{name}: '{text}' is not a network", at=places.get(name), hint=_FORM))
    if not errors:
        for name, reason, hint in (*_families(networks), *_sizes(networks), *_overlaps(networks)):
            errors.append(UserError("B617", f"{name}: {reason}", at=places.get(name), hint=hint))
    return errors


def _parsed(text: str) -> _Network:
    """Read ADDRESS/BITS, as Go does: a mask of another form is none, and an address within the network will do."""
    address, slash, bits = text.partition("/")
    if not (slash and bits.isascii() and bits.isdecimal()) or "%" in address:
        raise ValueError(text)
    return ipaddress.ip_network(text, strict=False)


def _families(networks: Mapping[str, list[_Network]]) -> Iterator[tuple[str, str, str]]:
    for name, given in networks.items():
        if len({network.version for network in given}) < len(given):
            yield name, "a cluster has one network of each family, IPv4 and IPv6, at most", _FORM


def _sizes(networks: Mapping[str, list[_Network]]) -> Iterator[tuple[str, str, str]]:
    for network in networks["service_subnet"]:
        longest, shortest = (network.max_prefixlen - bits for bits in (_HOST_BITS[0], _HOST_BITS[-1]))
        if network.max_prefixlen - network.prefixlen not in _HOST_BITS:
            size = "small" if network.prefixlen > longest else "large"
            yield "service_subnet", f"{network} is too {size} for services", f"choose /{shortest} to /{longest}"


def _overlaps(networks: Mapping[str, list[_Network]]) -> Iterator[tuple[str, str, str]]:
    named = [(name, network) for name, given in networks.items() for network in given]
    for (first, one), (second, other) in combinations(named, 2):
        if first != second and one.version == other.version and one.overlaps(other):
            hint = "choose networks that have no address in common"
            yield second, f"{other} overlaps {one}, the network of the pods", hint
