"""kubeadm_config: etc/kubeadm.yml and etc/kubeadm.yml.tmpl for a Kubernetes version and a container runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from buildsys.actions.write import Write
from buildsys.adapters.versions import Version, parse_version
from buildsys.errors import BuildErrors, Location
from buildsys.kubernetes.combinations import Combination, advise, check
from buildsys.kubernetes.kubeadm import KubeadmOptions, render
from buildsys.kubernetes.networks import check_networks
from buildsys.sdk import Context, DefaultInfo, Provider, Rule, attr


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeadmConfig(Rule):
    """kubeadm's configuration: API version, CRI socket, image repositories; fields, gates and flags the release knows.

    A combination that cannot work is an error that says why and what to choose.
    """

    NAME: ClassVar[str] = "kubeadm_config"

    kubernetes: str = attr("The Kubernetes version.", "{kubernetes}")
    cri: str = attr("The container runtime: docker or containerd.", "{cri}")
    arch: str = attr("The architecture, for the check of the combination.", "{arch}")
    containerd: str = attr("The version of containerd, for the check of the combination.", "")
    docker: str = attr("The version of docker, for the check of the combination.", "")
    cri_dockerd: str = attr("The version of cri-dockerd, for the check of the combination.", "")
    image_repository: str = attr("Where the cluster's images are pulled from.", "{image_repository}")
    pod_subnet: str = attr("The network of the pods.", "{pod_subnet}")
    service_subnet: str = attr("The network of the services.", "{service_subnet}")
    api_version: str = attr("The version of kubeadm's configuration API; by default the one that fits the release.", "")
    out: str = attr("The name of the file; the template for sealer is the same with `.tmpl`.", "etc/kubeadm.yml")

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """Decide by the tables, then write both files."""
        kubernetes = parse_version(self.kubernetes, ctx.at("kubernetes"))
        wanted = Combination(
            kubernetes=kubernetes,
            cri=self.cri,
            arch=self.arch,
            containerd=_version(self.containerd, ctx.at("containerd")),
            docker=_version(self.docker, ctx.at("docker")),
            cri_dockerd=_version(self.cri_dockerd, ctx.at("cri_dockerd")),
            api_version=self.api_version,
        )
        names = ("kubernetes", "cri", "containerd", "docker", "api_version", "pod_subnet", "service_subnet")
        places = {name: ctx.at(name) for name in names}
        problems = check(ctx.tables, wanted, places)
        problems += check_networks(self.pod_subnet, self.service_subnet, places)
        if problems:
            raise BuildErrors(problems)
        for remark in advise(ctx.tables, wanted):
            ctx.remark(remark)
        options = KubeadmOptions(
            kubernetes=kubernetes,
            cri=self.cri,
            image_repository=self.image_repository,
            pod_subnet=self.pod_subnet,
            service_subnet=self.service_subnet,
            api_version=self.api_version,
        )
        plain, template = ctx.declare(self.out), ctx.declare(f"{self.out}.tmpl")
        for out, is_template in ((plain, False), (template, True)):
            text = render(ctx.tables, options, template=is_template, at=ctx.at())
            ctx.register(Write(content=text), [out], f"Write {out.path}")
        return (DefaultInfo((plain, template)),)


def _version(text: str, at: Location) -> Version | None:
    return parse_version(text, at) if text else None
