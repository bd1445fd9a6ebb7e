"""Where outputs stand: `PACKAGE/NAME`, below a folder that names the parameters that are not at their defaults.

    rootfs/containerd-amd64.tar.zst
    kubernetes=1.28.15/rootfs/containerd-amd64.tar.zst

Only parameters that the maker of a file or its dependencies read are named: a target that does not depend on the
Kubernetes version has one place for all versions, and a file stands where it does whoever asked for it. A name that is
too long for a file system is cut, and ends in a digest of all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.analysis.configuration import Configuration, Reader
from buildsys.errors import UserError
from buildsys.model.digest import digest_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from buildsys.analysis.configuration import Reads
    from buildsys.errors import Location
    from buildsys.model.action import Action, Artifact
    from buildsys.model.provider import ConfiguredTarget

_APART = "give one of the outputs another name, or build the targets one after the other"

LONGEST_NAME = 255
"""Bytes of the name of a folder that every common file system takes."""


def output_paths(targets: Iterable[ConfiguredTarget], configuration: Configuration) -> dict[Artifact, str]:
    """Return the path of every file of `targets`, relative to the output folder.

    Raises `UserError` B228 when two different files would stand at one path, or one below the other.
    """
    paths: dict[Artifact, str] = {}
    owners: dict[str, tuple[Artifact, ConfiguredTarget, Reads]] = {}
    for target in targets:
        for artifact in target.files:
            if artifact.is_source:
                paths[artifact] = artifact.path
                continue
            reads = (target.origins or {}).get(artifact, target.reads or {})
            folder = _named_parameters(reads, configuration, target.at)
            path = paths[artifact] = f"{folder}/{artifact.path}" if folder else artifact.path
            first, other, first_reads = owners.setdefault(path, (artifact, target, reads))
            if first != artifact and not _same(first, first_reads, artifact, reads, configuration):
                raise UserError(
                    "B228",
                    f"'{target.label}' and '{other.label}' both have an output '{path}'",
                    at=target.at,
                    hint=_APART,
                )
    for path, (_, target, _) in owners.items():
        for above in _folders(path):
            if above in owners:
                owner = owners[above][1].label
                raise UserError(
                    "B228",
                    f"'{target.label}' has an output '{path}' below '{above}', which is one of '{owner}'",
                    at=target.at,
                    hint=_APART,
                )
    return paths


def _folders(path: str) -> Iterator[str]:
    """Return the folders that a path is in."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def all_paths(
    actions: Iterable[tuple[ConfiguredTarget, Iterable[Action]]], configuration: Configuration
) -> dict[Artifact, str]:
    """Return the path of every output of the actions of targets, where it would stand if a target had it as a file."""
    paths: dict[Artifact, str] = {}
    for target, own in actions:
        folder = _named_parameters(target.reads or {}, configuration, target.at)
        for action in own:
            paths.update({output: f"{folder}/{output.path}" if folder else output.path for output in action.outputs})
    return paths


def _same(one: Artifact, one_reads: Reads, other: Artifact, other_reads: Reads, configuration: Configuration) -> bool:
    """Tell whether two outputs are one: asked for by default, and by a value that is the default."""
    names = {*one_reads, *other_reads}
    return one._replace(variant="") == other._replace(variant="") and _values(
        names, one_reads, configuration
    ) == _values(names, other_reads, configuration)


def _values(names: Iterable[str], reads: Reads, configuration: Configuration) -> dict[str, str]:
    reader = _reader(reads, configuration, None)
    return {name: reader.param(name) for name in names}


def _named_parameters(reads: Reads, configuration: Configuration, at: Location) -> str:
    """Return the folder that names the values which set an output apart from the default, or the empty string."""
    named = []
    for name, value in sorted(reads.items()):
        if value is None or not configuration.parameters[name].names_output:
            continue
        others = {other: given for other, given in reads.items() if other != name}
        if value != _reader(others, configuration, at).param(name):
            named.append(f"{name}={value.replace('/', '%2F')}")
    return _short(",".join(named))


def _short(name: str) -> str:
    """Return a name as it is, or, when it is too long, its beginning and a digest of all of it."""
    data = name.encode()
    if len(data) <= LONGEST_NAME:
        return name
    end = f"...{digest_bytes(data)[:16]}"
    return data[: LONGEST_NAME - len(end)].decode(errors="ignore") + end


def _reader(reads: Reads, configuration: Configuration, at: Location | None) -> Reader:
    """Return a reader of a configuration in which only what was read explicitly is explicit."""
    explicit = {name: value for name, value in reads.items() if value is not None}
    where = at or next(iter(configuration.parameters.values())).at
    return Reader(Configuration(configuration.parameters, configuration.tables, explicit), where)
