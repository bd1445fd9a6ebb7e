"""Named facts for `{fact.name}` in BUILD.yaml: what each means, and how it follows from the parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from buildsys.adapters.versions import Version, parse_version
from buildsys.errors import UserError, did_you_mean
from buildsys.kubernetes import kubeadm
from buildsys.kubernetes.lookup import at_version
from buildsys.kubernetes.releases import Release, release
from buildsys.kubernetes.runtimes import ContainerdConfig, containerd_config, recommended

if TYPE_CHECKING:
    from buildsys.errors import Location
    from buildsys.kubernetes.tables import Tables

Get = Callable[[str], str]
"""Reads a parameter's value; the empty string for one that is not declared or not set."""

_ARCHES = {"amd64": "x86_64", "arm64": "aarch64"}


class Fact(NamedTuple):
    """A value that follows from the tables and the parameters; `compute` raises UserError when it has none."""

    doc: str
    compute: Callable[[Tables, Get], str]


def fact(name: str, at: Location | None = None) -> Fact:
    """Return the fact called `name`. Raises UserError B602 when there is none."""
    found = FACTS.get(name)
    if found is None:
        group = [known for known in FACTS if known.partition(".")[0] == name.partition(".")[0]]
        hint = did_you_mean(name, FACTS) or f"the facts are {', '.join(group or FACTS)}"
        raise UserError("B602", f"there is no fact '{name}'", at=at, hint=hint)
    return found


def _needed(get: Get, parameter: str) -> str:
    value = get(parameter)
    if not value:
        hint = f"declare the parameter in the workspace file, or give --param={parameter}=VALUE"
        raise UserError("B608", f"this fact needs the parameter '{parameter}', which is not set", hint=hint)
    return value


def _kubernetes(get: Get) -> Version:
    return parse_version(_needed(get, "kubernetes"))


def _optional(get: Get, parameter: str) -> Version | None:
    value = get(parameter)
    return parse_version(value) if value else None


def _release(doc: str, read: Callable[[Release], str]) -> Fact:
    return Fact(doc, lambda tables, get: read(release(tables, _kubernetes(get))))


def _containerd(doc: str, read: Callable[[ContainerdConfig], str]) -> Fact:
    def compute(tables: Tables, get: Get) -> str:
        version = _optional(get, "containerd")
        if version is None:
            version = parse_version(recommended(tables, "containerd", _kubernetes(get)).version)
        return read(containerd_config(tables, version))

    return Fact(doc, compute)


def _recommended(component: str, companion: str = "") -> Fact:
    def compute(tables: Tables, get: Get) -> str:
        beside = _optional(get, companion) if companion else None
        return recommended(tables, component, _kubernetes(get), companion=beside).version

    goes_with = f"that {companion}" if companion else "this Kubernetes"
    return Fact(f"version of {component.replace('_', '-')} for {goes_with}", compute)


def _pause_image(tables: Tables, get: Get) -> str:
    return f"{_needed(get, 'image_repository')}/pause:{release(tables, _kubernetes(get)).pause}"


def _dns_image_repository(tables: Tables, get: Get) -> str:
    return kubeadm.dns_image_repository(tables, _kubernetes(get), _needed(get, "image_repository"))


def _kubelet_extra_args(tables: Tables, get: Get) -> str:
    flags = at_version(tables.kubeadm, "kubelet_flags", _kubernetes(get)).texts(_cri(get))
    return " ".join(flag.format(pause=_pause_image(tables, get)) for flag in flags)


def _docker_file_version(tables: Tables, get: Get) -> str:
    version = _optional(get, "docker") or parse_version(recommended(tables, "docker", _kubernetes(get)).version)
    return at_version(tables.runtimes, "docker_file_version", version).text().format(version=version)


def _cri_version(tables: Tables, get: Get) -> str:
    """Return the version of the runtime that is chosen, else the recommended one."""
    cri = _cri(get)
    return get(cri) or recommended(tables, cri, _kubernetes(get)).version


def _certs_dir(tables: Tables, get: Get) -> str:
    return tables.runtimes["certs_dir"].rows[0].text(_cri(get))


def _cri(get: Get) -> str:
    cri = _needed(get, "cri")
    if cri not in {"docker", "containerd"}:
        raise UserError("B609", f"'{cri}' is not a container runtime that buildsys knows", hint="docker or containerd")
    return cri


def _arch(get: Get) -> str:
    arch = _needed(get, "arch")
    if arch not in _ARCHES:
        raise UserError("B608", f"'{arch}' is not an architecture that buildsys knows", hint="choose amd64 or arm64")
    return _ARCHES[arch]


FACTS: Mapping[str, Fact] = MappingProxyType(
    {
        "release.minor": _release("minor line of the Kubernetes version: 1.23", lambda of: of.version.minor),
        "release.pause": _release("tag of the pause image that kubeadm asks for: 3.6", lambda of: of.pause),
        "release.etcd": _release("tag of kubeadm's etcd image: 3.5.6-0", lambda of: of.etcd),
        "release.coredns": _release("tag of kubeadm's coredns image: v1.8.6", lambda of: of.coredns),
        "release.default_repository": _release(
            "image repository built into kubeadm: registry.k8s.io", lambda of: of.default_repository
        ),
        "kubeadm.api_version": Fact(
            "configuration API of kubeadm.yml: v1beta3",
            lambda tables, get: kubeadm.api_version(tables, _kubernetes(get)),
        ),
        "kubeadm.dns_image_repository": Fact("dns.imageRepository: sea.hub:5000/coredns", _dns_image_repository),
        "kubelet.extra_args": Fact(
            "kubelet flags that kubeadm does not write itself; may be empty", _kubelet_extra_args
        ),
        "pause.image": Fact("the pause image as nodes ask for it: sea.hub:5000/pause:3.6", _pause_image),
        "cri.socket": Fact(
            "criSocket of kubeadm.yml: /run/containerd/containerd.sock",
            lambda tables, get: kubeadm.cri_socket(tables, _kubernetes(get), _cri(get)),
        ),
        "cri.certs_dir": Fact("where the runtime looks for registry certificates: /etc/containerd/certs.d", _certs_dir),
        "docker.file_version": Fact("the version in the name of docker's tarball: 18.06.3-ce", _docker_file_version),
        "cri.version": Fact("version of the container runtime: 1.7.28", _cri_version),
        "containerd.config_version": _containerd("format of config.toml: 2", lambda c: c.config_version),
        "containerd.pause_table": _containerd("TOML table header that holds the pause image", lambda c: c.pause_table),
        "containerd.pause_key": _containerd("key of the pause image: sandbox_image", lambda c: c.pause_key),
        "containerd.registry_table": _containerd("TOML table header of the registry", lambda c: c.registry_table),
        "containerd.runtime_table": _containerd("TOML table header of the runc runtime", lambda c: c.runtime_table),
        "containerd.cgroup_table": _containerd("TOML table header that holds SystemdCgroup", lambda c: c.cgroup_table),
        "recommended.containerd": _recommended("containerd"),
        "recommended.docker": _recommended("docker"),
        "recommended.cri_dockerd": _recommended("cri_dockerd"),
        "recommended.runc": _recommended("runc", "containerd"),
        "recommended.crictl": _recommended("crictl"),
        "recommended.nerdctl": _recommended("nerdctl", "containerd"),
        "recommended.cni_plugins": _recommended("cni_plugins"),
        "recommended.libseccomp": _recommended("libseccomp"),
        "recommended.conntrack": _recommended("conntrack"),
        "recommended.registry": _recommended("registry"),
        "recommended.lvscare": _recommended("lvscare"),
        "recommended.calico": _recommended("calico"),
        "calico.registry": _recommended("calico_registry", "calico"),
        "calico.images": _recommended("calico_images", "calico"),
        "recommended.tigera_operator": _recommended("tigera_operator", "calico"),
        "arch.alt": Fact("the architecture as uname spells it: x86_64", lambda _, get: _arch(get)),
        "arch.multiarch": Fact(
            "the architecture as a multiarch path: x86_64-linux-gnu", lambda _, get: f"{_arch(get)}-linux-gnu"
        ),
    }
)
