"""Command-line flags and feature gates in configuration documents, and which of them a release does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from buildsys.adapters.versions import Version
    from buildsys.errors import Location
    from buildsys.kubernetes.tables import Tables

# Where a document holds the arguments of a component: kind, field, field of the arguments, component.
_ARGUMENTS = (
    ("ClusterConfiguration", "apiServer", "extraArgs", "kube-apiserver"),
    ("ClusterConfiguration", "controllerManager", "extraArgs", "kube-controller-manager"),
    ("ClusterConfiguration", "scheduler", "extraArgs", "kube-scheduler"),
    ("InitConfiguration", "nodeRegistration", "kubeletExtraArgs", "kubelet"),
    ("JoinConfiguration", "nodeRegistration", "kubeletExtraArgs", "kubelet"),
)
_GATES = {"KubeletConfiguration": "kubelet", "KubeProxyConfiguration": "kube-proxy"}


def unknown_flags(
    tables: Tables, kubernetes: Version, documents: Iterable[Mapping[str, object]], at: Location | None = None
) -> list[UserError]:
    """Return an error for each flag (B616) and feature gate (B615) in `documents` that this release does not know.

    A flag or gate that the tables do not list is not judged.
    Source: an unknown one makes the component exit at start (kubekey#1593, sealer#2245).
    """
    errors: list[UserError] = []
    for document in documents:
        for component, flag, value in _flags(document):
            errors += _flag(tables, kubernetes, component, flag, at)
            if flag == "feature-gates":
                gates = [gate.partition("=")[0].strip() for gate in value.split(",")]
                errors += _gates(tables, kubernetes, component, gates, at)
        gates_of = document.get("featureGates")
        component = _GATES.get(str(document.get("kind")), "")
        if component and isinstance(gates_of, dict):
            errors += _gates(tables, kubernetes, component, gates_of, at)
    return errors


def _flags(document: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
    for kind, holder, arguments, component in _ARGUMENTS:
        inner = document.get(holder) if document.get("kind") == kind else None
        found = inner.get(arguments) if isinstance(inner, dict) else None
        if isinstance(found, dict):
            yield from ((component, str(flag), str(value)) for flag, value in found.items())
        elif isinstance(found, list):
            yield from (
                (component, str(item.get("name")), str(item.get("value"))) for item in found if isinstance(item, dict)
            )


def _flag(tables: Tables, kubernetes: Version, component: str, flag: str, at: Location | None) -> Iterator[UserError]:
    known = tables.flags[component].get(flag)
    if known and not known.range.contains(kubernetes):
        yield UserError(
            "B616",
            f"{component} {kubernetes} does not know the flag --{flag}: it is known for {known.range}",
            at=at,
            hint=f"use {known.instead}",
            notes=[f"source: {known.source}"],
        )


def _gates(
    tables: Tables, kubernetes: Version, component: str, gates: Iterable[str], at: Location | None
) -> Iterator[UserError]:
    for gate in gates:
        known = tables.feature_gates.get(gate)
        if known and not known.range.contains(kubernetes):
            yield UserError(
                "B615",
                f"{component} {kubernetes} does not know the feature gate {gate}: it is known for {known.range}",
                at=at,
                hint=f"leave it out; where it is gone, use {known.instead}",
                notes=[f"source: {known.source}"],
            )
