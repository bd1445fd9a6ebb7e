"""Which fields a kubeadm, kubelet or kube-proxy configuration document may have in a release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.adapters.versions import Version, parse_version
from buildsys.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from buildsys.errors import Location
    from buildsys.kubernetes.tables import Tables

KUBEADM_KINDS = ("InitConfiguration", "ClusterConfiguration", "JoinConfiguration")
COMPONENT_KINDS = ("KubeletConfiguration", "KubeProxyConfiguration")
KINDS = (*KUBEADM_KINDS, *COMPONENT_KINDS)


def known_fields(tables: Tables, type_: str, version: Version) -> frozenset[str]:
    """Return the fields of the configuration kind or type `type_`.

    `version` is the API version for kubeadm's types (`v1beta3` parses as a version) and the Kubernetes version for
    kubelet's and kube-proxy's. Source: the types.go files that data/fields.yaml names.
    """
    return frozenset[str]().union(*(names for range_, names in tables.fields[type_] if range_.contains(version)))


def unknown_fields(
    tables: Tables, kind: str, document: Mapping[str, object], api: str, kubernetes: Version, at: Location | None = None
) -> list[UserError]:
    """Return an error B604 for each field of `document` that this release does not know or reads otherwise.

    kubeadm's documents are checked in depth, kubelet's and kube-proxy's at their top level.
    """
    if kind in KUBEADM_KINDS:
        version, reader = parse_version(api), f"kubeadm.k8s.io/{api}"
    else:
        version, reader = kubernetes, f"Kubernetes {kubernetes}"
    body = {field: value for field, value in document.items() if field not in {"apiVersion", "kind"}}
    return [
        UserError("B604", f"{place} {what} {reader}", at=at, hint=hint)
        for place, what, hint in _wrong(tables, kind, body, version, kind)
    ]


def _wrong(
    tables: Tables, type_: str, value: Mapping[str, object], version: Version, path: str
) -> Iterator[tuple[str, str, str]]:
    """Yield place, complaint and hint for each field that is unknown, or that is not the mapping it should be."""
    known = known_fields(tables, type_, version)
    types = tables.types.get(type_, {})
    for field, inner in value.items():
        place = f"{path}.{field}"
        if field not in known:
            yield place, "is unknown to", _hint(tables, type_, field, known)
        elif field in types and isinstance(inner, dict):
            yield from _wrong(tables, types[field], inner, version, place)
        elif field in types:
            inside = ", ".join(sorted(known_fields(tables, types[field], version)))
            yield place, "must be a mapping for", f"its fields are {inside}"


def _hint(tables: Tables, type_: str, field: str, known: frozenset[str]) -> str:
    ranges = [str(range_) for range_, names in tables.fields[type_] if field in names]
    if ranges:
        return f"it is known for {' and '.join(ranges)}; leave it out, or choose a release that knows it"
    return did_you_mean(field, sorted(known)) or f"{type_} has {', '.join(sorted(known))}"
