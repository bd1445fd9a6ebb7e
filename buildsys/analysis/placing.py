"""Where outputs stand: `PACKAGE/NAME`, below a folder that names the parameters that are not at their defaults.

    rootfs/containerd-amd64.tar.zst
    kubernetes=1.28.15/rootfs/containerd-amd64.tar.zst

Only parameters that the target or its dependencies read are named: a target that does not depend on the Kubernetes
version has one place for all versions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.analysis.configuration import Configuration, Reader
from buildsys.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildsys.model.action import Action, Artifact
    from buildsys.model.provider import ConfiguredTarget


def output_paths(targets: Iterable[ConfiguredTarget], configuration: Configuration) -> dict[Artifact, str]:
    """Return the path of every file of `targets`, relative to the output folder.

    Raises `UserError` B228 when two different files would stand at one path.
    """
    paths: dict[Artifact, str] = {}
    owners: dict[str, tuple[Artifact, ConfiguredTarget]] = {}
    for target in targets:
        folder = named_parameters(target, configuration)
        for artifact in target.files:
            path = f"{folder}/{artifact.path}" if folder and not artifact.is_source else artifact.path
            paths.setdefault(artifact, path)
            first, other = owners.setdefault(path, (artifact, target))
            if first != artifact and not artifact.is_source:
                raise UserError(
                    "B228",
                    f"'{target.label}' and '{other.label}' both have an output '{path}'",
                    at=target.at,
                    hint="give one of the outputs another name, or build the targets one after the other",
                )
    return paths


def all_paths(
    actions: Iterable[tuple[ConfiguredTarget, Iterable[Action]]], configuration: Configuration
) -> dict[Artifact, str]:
    """Return the path of every output of the actions of targets, where it would stand if a target had it as a file."""
    paths: dict[Artifact, str] = {}
    for target, own in actions:
        folder = named_parameters(target, configuration)
        for action in own:
            paths.update({output: f"{folder}/{output.path}" if folder else output.path for output in action.outputs})
    return paths


def named_parameters(target: ConfiguredTarget, configuration: Configuration) -> str:
    """Return the folder that names the parameters which set this target apart from the default, or the empty string."""
    named = []
    for name, value in sorted((target.reads or {}).items()):
        parameter = configuration.parameters[name]
        if value is not None and parameter.names_output and value != _default(name, configuration, target):
            named.append(f"{name}={value.replace('/', '%2F')}")
    return ",".join(named)


def _default(name: str, configuration: Configuration, target: ConfiguredTarget) -> str:
    others = {other: value for other, value in configuration.all_explicit().items() if other != name}
    return Reader(Configuration(configuration.parameters, configuration.tables, others), target.at).param(name)
