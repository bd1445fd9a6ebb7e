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
    """Return an error B604 for each field of `document` that this release does not know.

    kubeadm's documents are checked in depth, kubelet's and kube-proxy's at their top level.
    """
    if kind in KUBEADM_KINDS:
        version, reader = parse_version(api), f"kubeadm.k8s.io/{api}"
    else:
        version, reader = kubernetes, f"Kubernetes {kubernetes}"
    body = {field: value for field, value in document.items() if field not in {"apiVersion", "kind"}}
    return [
        UserError("B604", f"{path} is not a field that {reader} knows", at=at, hint=_hint(tables, path, known))
        for path, known in _unknown(tables, kind, body, version, kind)
    ]


def _unknown(
    tables: Tables, type_: str, value: Mapping[str, object], version: Version, path: str
) -> Iterator[tuple[str, frozenset[str]]]:
    known = known_fields(tables, type_, version)
    types = tables.types.get(type_, {})
    for field, inner in value.items():
        if field not in known:
            yield f"{path}.{field}", known
        elif field in types and isinstance(inner, dict):
            yield from _unknown(tables, types[field], inner, version, f"{path}.{field}")


def _hint(tables: Tables, path: str, known: frozenset[str]) -> str:
    field = path.rpartition(".")[2]
    top = path.count(".") == 1
    ranges = [str(range_) for range_, names in tables.fields[path.partition(".")[0]] if field in names] if top else []
    if ranges:
        return f"it is known for {ranges[0]}; leave it out or choose a release that knows it"
    return did_you_mean(field, sorted(known)) or f"known are {', '.join(sorted(known)[:12])}"
