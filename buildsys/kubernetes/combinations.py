"""Combinations of versions that cannot work: why, and what to choose instead."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from buildsys.adapters.versions import Version, parse_range
from buildsys.errors import Location, UserError
from buildsys.kubernetes.kubeadm import accepted_api_versions, api_version
from buildsys.kubernetes.runtimes import recommended

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from buildsys.kubernetes.tables import Tables

_NOWHERE: Mapping[str, Location] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Combination:
    """What a rootfs is to be made of; None or empty where a thing is not chosen."""

    kubernetes: Version
    cri: str
    arch: str
    containerd: Version | None = None
    docker: Version | None = None
    cri_dockerd: Version | None = None
    api_version: str = ""


def check(tables: Tables, wanted: Combination, places: Mapping[str, Location] = _NOWHERE) -> list[UserError]:
    """Return an error for each reason why `wanted` cannot work, none if it can.

    `places` says where a field of `wanted` was written.
    B610 docker without cri-dockerd, B611 a runtime that does not speak this kubelet's CRI, B612 no build for the
    architecture, B613 a Kubernetes that is too old, B614 a configuration API that kubeadm refuses.
    Sources: the rows of data/combinations.yaml.
    """
    return [
        *_too_old(tables, wanted, places),
        *_refused_api(tables, wanted, places),
        *_no_shim(tables, wanted, places),
        *_no_common_cri(tables, wanted, places),
        *_no_build(tables, wanted, places),
    ]


def check_layers(
    tables: Tables, cri: str, version: Version, layer_format: str, at: Location | None = None
) -> list[UserError]:
    """Return an error B618 when `version` of the runtime `cri` cannot read image layers of a format."""
    family = layer_format.partition(":")[0]
    for row in tables.combinations["layers"].rows:
        if (row.text("component"), row.text("format")) == (cri, family) and not row.range.contains(version):
            message = f"{_spelt(cri)} {version} cannot read image layers compressed with {family}"
            hint = f"choose `layer_format: gzip`, or {_spelt(cri)} {row.range}"
            return [UserError("B618", message, at=at, hint=hint, notes=[f"source: {row.source}"])]
    return []


def advise(tables: Tables, wanted: Combination) -> list[str]:
    """Return remarks on a combination that can work.

    Below what is recommended, not for unpatched sealer, or resting on an inferred list of images.
    """
    notes = []
    release = tables.releases.get(str(wanted.kubernetes))
    if release and release.certainty == "inferred":
        notes.append(
            f"the images of Kubernetes {release.version} are inferred, not asked from kubeadm ({release.source})"
        )
    row = tables.combinations["containerd_advised"].find(wanted.kubernetes)
    if wanted.cri == "containerd" and wanted.containerd and row:
        lines = [parse_range(text) for text in row.texts()]
        if not any(line.contains(wanted.containerd) for line in lines):
            better = recommended(tables, "containerd", wanted.kubernetes).version
            notes.append(
                f"containerd {wanted.containerd} is not recommended for Kubernetes {wanted.kubernetes}: "
                f"use {' or '.join(row.texts())}, for instance {better} ({row.source})"
            )
    row = tables.combinations["sealer"].find(wanted.kubernetes)
    if row and row.text() != "deploys":
        notes.append(f"Kubernetes {wanted.kubernetes}: {row.text()}")
    return notes


def _runtimes(wanted: Combination) -> dict[str, Version]:
    """Return the chosen versions of what runs containers here, by the name of their parameter."""
    chosen = {"containerd": wanted.containerd} if wanted.cri == "containerd" else {}
    if wanted.cri == "docker":
        chosen = {"docker": wanted.docker, "cri_dockerd": wanted.cri_dockerd}
    return {name: version for name, version in chosen.items() if version}


def _too_old(tables: Tables, wanted: Combination, places: Mapping[str, Location]) -> Iterator[UserError]:
    if not tables.oldest_kubernetes.contains(wanted.kubernetes):
        yield UserError(
            "B613",
            f"Kubernetes {wanted.kubernetes} is too old: buildsys makes images for {tables.oldest_kubernetes}",
            at=places.get("kubernetes"),
            hint="choose a newer version",
        )


def _refused_api(tables: Tables, wanted: Combination, places: Mapping[str, Location]) -> Iterator[UserError]:
    accepted = accepted_api_versions(tables, wanted.kubernetes)
    if wanted.api_version and wanted.api_version not in accepted:
        yield UserError(
            "B614",
            f"kubeadm {wanted.kubernetes} does not read kubeadm.k8s.io/{wanted.api_version}",
            at=places.get("api_version"),
            hint=f"it reads {' and '.join(accepted)}; without a choice it is {api_version(tables, wanted.kubernetes)}",
        )


def _no_shim(tables: Tables, wanted: Combination, places: Mapping[str, Location]) -> Iterator[UserError]:
    row = tables.combinations["dockershim"]
    if wanted.cri == "docker" and not wanted.cri_dockerd and not row.find(wanted.kubernetes):
        suggestion = recommended(tables, "cri_dockerd", wanted.kubernetes)
        yield UserError(
            "B610",
            f"Kubernetes {wanted.kubernetes} does not talk to docker without cri-dockerd",
            at=places.get("cri"),
            hint=f"add cri-dockerd {suggestion.version}, or choose containerd",
            notes=[f"source: {row.rows[0].source}"],
        )


def _no_common_cri(tables: Tables, wanted: Combination, places: Mapping[str, Location]) -> Iterator[UserError]:
    for component, version in _runtimes(wanted).items():
        table = tables.combinations.get(component)
        row = table.find(wanted.kubernetes) if table else None
        if row and not parse_range(row.text("needs")).contains(version):
            better = recommended(tables, component, wanted.kubernetes).version
            reason = row.text("reason")
            yield UserError(
                "B611",
                f"{_spelt(component)} {version} does not work with Kubernetes {wanted.kubernetes}: {reason}",
                at=places.get(component),
                hint=f"choose {_spelt(component)} {row.text('needs')}, for instance {better}",
                notes=[f"source: {row.source}"],
            )


def _no_build(tables: Tables, wanted: Combination, places: Mapping[str, Location]) -> Iterator[UserError]:
    for component, version in _runtimes(wanted).items():
        for row in tables.combinations["builds"].rows:
            concerns = row.text("component") == component and row.text("arch") == wanted.arch
            if concerns and not row.range.contains(version):
                better = recommended(tables, component, wanted.kubernetes).version
                yield UserError(
                    "B612",
                    f"{_spelt(component)} {version} has no build for {wanted.arch}",
                    at=places.get(component),
                    hint=f"choose {_spelt(component)} {row.range}, for instance {better}",
                    notes=[f"source: {row.source}"],
                )


def _spelt(component: str) -> str:
    return component.replace("_", "-")
