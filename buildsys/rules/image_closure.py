"""image_closure: a rootfs whose images are all in its registry, proved before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from buildsys.actions.closure import Allowed, Closure
from buildsys.adapters.versions import parse_version
from buildsys.kubernetes.asked import kubeadm_of
from buildsys.kubernetes.releases import release
from buildsys.model.provider import LayerEntry
from buildsys.oci.reference import Reference, ReferenceFault
from buildsys.sdk import ConfiguredTarget, Context, DefaultInfo, LayerInfo, Provider, Rule, TreeEntry, TreeInfo, attr


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageClosure(Rule):
    """The tree of a rootfs, as it is, once it is proved that nodes find in its registry all that its files name.

    Looked at is every text: YAML and JSON of any depth, the configurations of kubeadm and containerd, units, scripts,
    image lists. Programs must be of the rootfs's architecture. The output is a report, one line of JSON for each file
    and for each place that names an image; the tree is for rules that take one: `tree: ":checked"`.
    """

    NAME: ClassVar[str] = "image_closure"

    tree: ConfiguredTarget = attr("The tree: a rootfs.")
    arch: str = attr("The architecture that its images and programs must have.", "{arch}")
    kubernetes: str = attr(
        'The Kubernetes version, for the images of kubeadm; "" for a tree without one.', "{kubernetes}"
    )
    registry: str = attr("The name of the cluster's registry.", "{registry_domain}:{registry_port}")
    path: str = attr("Where the registry's storage stands in the tree.", "registry")
    allow: Mapping[str, str] = attr("Images that may be missing, each with the reason.", {})

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """One CheckClosure action; the tree and the report out."""
        info = self.tree.get(TreeInfo)
        if info is None:
            ctx.fail("B227", f"'{self.tree.label}' is no tree", attribute="tree", hint="name a rootfs")
        for image, reason in self.allow.items():
            self._check(ctx, image, reason)
        kubeadm = None
        if self.kubernetes:
            known = release(ctx.tables, parse_version(self.kubernetes, ctx.at("kubernetes")), ctx.at("kubernetes"))
            kubeadm = kubeadm_of(ctx.tables, known)
        layer = self.tree.get(LayerInfo)
        tree, report = ctx.declare(ctx.label.name), ctx.declare(f"{ctx.label.name}.report.jsonl")
        operation = Closure(
            tree=info.tree,
            arch=self.arch,
            registry=self.registry,
            folder=self.path,
            kubeadm=kubeadm,
            allowed=tuple(Allowed(image, reason) for image, reason in self.allow.items()),
            places=tuple(ctx.at("allow", image) for image in self.allow),
            origins=tuple((entry.path, _origin(ctx, entry)) for entry in layer.entries) if layer else (),
            owner=str(ctx.label),
        )
        ctx.register(operation, [tree, report], f"Check images of {info.tree.path}")
        placed = TreeEntry("", tree, ctx.label, ctx.at())
        return DefaultInfo((report,)), TreeInfo(tree), LayerInfo((), (placed,))

    def _check(self, ctx: Context, image: str, reason: str) -> None:
        """Raise an error for an entry of `allow` that is no reference, or gives no reason."""
        try:
            Reference.parse(image)
        except ReferenceFault as fault:
            hint = "write the name as it stands in the file, such as docker.io/library/nginx:1.25"
            ctx.fail("B435", f"no image: {fault}", attribute="allow", item=image, hint=hint)
        if not reason.strip():
            hint = f'say why no node will ask for it: {{"{image}": "the demo is removed on site"}}'
            ctx.fail("B435", f"'{image}' is allowed without a reason", attribute="allow", item=image, hint=hint)


def _origin(ctx: Context, entry: LayerEntry) -> str:
    """Say who put a file into the tree: the file itself, where it is a source."""
    if entry.artifact is not None and entry.artifact.is_source:
        return f"{entry.origin}, the file {ctx.shown(entry.artifact)}"
    return f"{entry.origin} ({entry.at})"
