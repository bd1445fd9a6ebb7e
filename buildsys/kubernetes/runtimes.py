"""Container runtimes and their companions: which version goes with a release, and how containerd is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buildsys.adapters.versions import Version, parse_version
from buildsys.kubernetes.lookup import at_version

if TYPE_CHECKING:
    from buildsys.errors import Location
    from buildsys.kubernetes.tables import Tables


class Recommendation(NamedTuple):
    """A version for a component, how sure that is, and who says so."""

    component: str
    version: str
    certainty: str
    source: str


class ContainerdConfig(NamedTuple):
    """The format of a containerd's config.toml and the TOML tables where a cluster image sets something."""

    config_version: str
    pause_table: str
    pause_key: str
    registry_table: str
    runtime_table: str
    cgroup_table: str


def recommended(
    tables: Tables,
    component: str,
    kubernetes: Version,
    *,
    companion: Version | None = None,
    at: Location | None = None,
) -> Recommendation:
    """Return the version of `component` (a table of data/runtimes.yaml) for a Kubernetes version.

    runc and nerdctl go with a containerd, tigera_operator with a Calico: `companion` is the version of that one, if
    it is not the recommended one. Raises UserError B606 when nothing is known to fit.
    Source: containerd RELEASES.md, kubernetes/system-validators, the components' own support statements (the rows).
    """
    by = tables.runtimes[component].by
    version = kubernetes
    if by != "kubernetes":
        version = companion or parse_version(recommended(tables, by, kubernetes, at=at).version)
    row = at_version(tables.runtimes, component, version, at)
    return Recommendation(component=component, version=row.text(), certainty=row.certainty, source=row.source)


def containerd_config(tables: Tables, containerd: Version, at: Location | None = None) -> ContainerdConfig:
    """Return how `containerd` is configured. Source: its version/version.go and default configuration at the tags."""
    row = at_version(tables.runtimes, "containerd_config", containerd, at)
    return ContainerdConfig(
        config_version=row.text("config_version"),
        pause_table=row.text("pause_table"),
        pause_key=row.text("pause_key"),
        registry_table=row.text("registry_table"),
        runtime_table=row.text("runtime_table"),
        cgroup_table=row.text("cgroup_table"),
    )
