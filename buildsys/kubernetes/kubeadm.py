"""kubeadm's configuration: which API a release reads, what buildsys writes for it, and the text of kubeadm.yml."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from buildsys.adapters.versions import Version, parse_version
from buildsys.errors import BuildErrors, UserError, did_you_mean
from buildsys.kubernetes import overrides
from buildsys.kubernetes.fields import KINDS, KUBEADM_KINDS, unknown_fields
from buildsys.kubernetes.flags import unknown_flags
from buildsys.kubernetes.lookup import at_version
from buildsys.kubernetes.releases import release

if TYPE_CHECKING:
    from buildsys.errors import Location
    from buildsys.kubernetes.tables import Tables

_GROUPS = {
    "KubeletConfiguration": "kubelet.config.k8s.io/v1beta1",
    "KubeProxyConfiguration": "kubeproxy.config.k8s.io/v1alpha1",
}
_REPOSITORY = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
_PLACEHOLDER = "image-repository.placeholder.invalid"


@dataclass(frozen=True, slots=True)
class KubeadmOptions:
    """What decides the contents of kubeadm.yml.

    `api_version` empty means the one that both kubeadm and sealer read; `join` includes JoinConfiguration; `overrides`
    maps a kind to what is merged into its document (null removes a field).
    """

    kubernetes: Version
    cri: str
    image_repository: str = "sea.hub:5000"
    pod_subnet: str = "100.64.0.0/10"
    service_subnet: str = "10.96.0.0/22"
    api_version: str = ""
    join: bool = True
    overrides: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


def api_version(tables: Tables, kubernetes: Version) -> str:
    """Return the configuration API to write, `v1beta3`: the newest that both that kubeadm and sealer read.

    Source: design note 1, with its third line read as `< 1.15`; kubernetes#136016 for 1.37.
    """
    return at_version(tables.kubeadm, "api_version", kubernetes).text()


def accepted_api_versions(tables: Tables, kubernetes: Version) -> tuple[str, ...]:
    """Return the configuration APIs that kubeadm of this release reads. Source: kubernetes#101129, #114540, #136016."""
    return at_version(tables.kubeadm, "accepted_api_versions", kubernetes).texts()


def cri_socket(tables: Tables, kubernetes: Version, cri: str, at: Location | None = None) -> str:
    """Return nodeRegistration.criSocket for `cri`, `docker` or `containerd`.

    Raises UserError B609 for another runtime. Source: design note 2; kubernetes#107295 for the scheme from 1.24 on.
    """
    row = at_version(tables.kubeadm, "cri_socket", kubernetes)
    if cri not in row.values:
        raise UserError("B609", f"'{cri}' is not a container runtime that buildsys knows", at=at, hint=_runtimes(cri))
    return row.text(cri)


def dns_image_repository(tables: Tables, kubernetes: Version, repository: str) -> str:
    """Return dns.imageRepository when images stand under `repository`. Source: design note 4; sealerio/sealer#1299."""
    row = at_version(tables.kubeadm, "dns_image_repository", kubernetes)
    return row.text().format(repository=repository)


def documents(tables: Tables, options: KubeadmOptions, at: Location | None = None) -> list[dict[str, object]]:
    """Return the documents of kubeadm.yml, one for each kind that kubeadm and sealer read.

    JoinConfiguration comes last. sealer completes it with a token, and without one of ours nodes would join with the
    socket of sealer's own, dockershim's (sealer join_nodes.go v0.8.6..v0.9.3). Leave it out (`join`) for consumers that
    read the file as it is: `kubeadm config migrate` refuses a JoinConfiguration without a token.
    Raises UserError B601 (unknown release), B604 (kind), B609 (runtime), B614 (API version), and
    BuildErrors of B604 (field), B615 (gate), B616 (flag) for overrides that this release does not know.
    """
    api = _api(tables, options, at)
    made = _written(tables, options, at)
    for kind, changes in options.overrides.items():
        if kind not in KINDS or not isinstance(changes, Mapping):
            raise UserError("B604", f"'{kind}' is not a document of kubeadm.yml with fields", at=at, hint=_kinds(kind))
        for fixed in ("apiVersion", "kind"):
            if fixed in changes:
                raise UserError(
                    "B604", f"{kind}.{fixed} is not yours to set here", at=at, hint="set api_version instead"
                )
        made[kind] = overrides.merge(made.get(kind, {}), overrides.plain_mapping(changes))
    for row in tables.kubeadm["moved"].rows:
        if row.range.contains(parse_version(api)):
            overrides.move(made, row.text("from"), row.text("to"))
    form = at_version(tables.kubeadm, "extra_args_form", parse_version(api)).text()
    for kind in KUBEADM_KINDS:
        if kind in made:
            made[kind] = overrides.spell_arguments(made[kind], form, at, kind)
    finished = [
        {"apiVersion": _GROUPS.get(kind, f"kubeadm.k8s.io/{api}"), "kind": kind, **made[kind]}
        for kind in (*KUBEADM_KINDS[:2], *_GROUPS, KUBEADM_KINDS[2])
        if kind in made
    ]
    errors = [
        error
        for document in finished
        for error in unknown_fields(tables, str(document["kind"]), document, api, options.kubernetes, at)
    ]
    errors += unknown_flags(tables, options.kubernetes, finished, at)
    if errors:
        raise BuildErrors(errors)
    return finished


def render(tables: Tables, options: KubeadmOptions, *, template: bool = False, at: Location | None = None) -> str:
    """Return the text of etc/kubeadm.yml, or of etc/kubeadm.yml.tmpl, which sealer renders over it.

    In the template the image repository is `{{or .RegistryURL "<repository>"}}`; rendered with nothing set, it is
    kubeadm.yml to the byte. Raises UserError B607 for what is no image repository, else as `documents` does.
    Source: sealer renders etc/*.tmpl with Go's text/template.
    """
    if not _REPOSITORY.fullmatch(options.image_repository):
        raise UserError(
            "B607",
            f"'{options.image_repository}' is not an image repository",
            at=at,
            hint="write it like sea.hub:5000 or registry.example.com/mirror",
        )
    neutral = replace(options, image_repository=_PLACEHOLDER)

    def dumped() -> str:
        return "---\n".join(_as_yaml(json.dumps(document)) for document in documents(tables, neutral, at))

    text = tables.derived(f"kubeadm.yml {neutral!r}", dumped)
    if not template:
        return text.replace(_PLACEHOLDER, options.image_repository)
    text = text.replace("{{", '{{"{{"}}')
    return text.replace(_PLACEHOLDER, f'{{{{or .RegistryURL "{options.image_repository}"}}}}')


@lru_cache(maxsize=1024)
def _as_yaml(document: str) -> str:
    """Return a document, given as JSON, as YAML; most are the same for many releases, and writing YAML is slow."""
    from buildsys.adapters import yaml

    return yaml.dump(json.loads(document))


def _api(tables: Tables, options: KubeadmOptions, at: Location | None) -> str:
    known = release(tables, options.kubernetes, at)
    if not options.api_version:
        return api_version(tables, known.version)
    accepted = accepted_api_versions(tables, known.version)
    if options.api_version not in accepted:
        raise UserError(
            "B614",
            f"kubeadm {known.version} does not read kubeadm.k8s.io/{options.api_version}",
            at=at,
            hint=f"it reads {' and '.join(accepted)}; without api_version it is {api_version(tables, known.version)}",
        )
    return options.api_version


def _written(tables: Tables, options: KubeadmOptions, at: Location | None) -> dict[str, dict[str, object]]:
    """Return what buildsys writes before any override, by kind, arguments as mappings."""
    words = {
        "kubernetes": str(options.kubernetes),
        "cri_socket": cri_socket(tables, options.kubernetes, options.cri, at),
        "image_repository": options.image_repository,
        "dns_image_repository": dns_image_repository(tables, options.kubernetes, options.image_repository),
        "pod_subnet": options.pod_subnet,
        "service_subnet": options.service_subnet,
    }
    made: dict[str, dict[str, object]] = {}
    for setting in tables.settings:
        wanted = options.join or setting.kind != "JoinConfiguration" or setting.kind in options.overrides
        if wanted and (setting.range is None or setting.range.contains(options.kubernetes)):
            value = (
                setting.value.format_map(words) if isinstance(setting.value, str) else overrides.plain(setting.value)
            )
            overrides.put(made.setdefault(setting.kind, {}), setting.path, value)
    return made


def _runtimes(cri: str) -> str:
    return did_you_mean(cri, ("docker", "containerd")) or "choose docker or containerd"


def _kinds(kind: str) -> str:
    return did_you_mean(kind, KINDS) or f"the kinds are {', '.join(KINDS)}"
