"""Providers: what a configured target tells the targets that depend on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from buildsys.model.label import Label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildsys.errors import Location
    from buildsys.model.action import Artifact


class DefaultInfo(NamedTuple):
    """The files that `build` makes when it is asked for the target."""

    files: tuple[Artifact, ...]


class LayerEntry(NamedTuple):
    """One path of a layer: a file (`artifact`), a symbolic link (`link`) or, with neither, a directory.

    `mode` is None where it follows from the artifact's executable bit. `origin` and `at` say who put it there.
    """

    path: str
    artifact: Artifact | None
    origin: Label
    at: Location
    mode: int | None = None
    link: str = ""


class TreeEntry(NamedTuple):
    """A whole tree artifact, placed below `prefix` of a layer."""

    prefix: str
    artifact: Artifact
    origin: Label
    at: Location


class LayerInfo(NamedTuple):
    """What a target puts into a rootfs, path by path."""

    entries: tuple[LayerEntry, ...] = ()
    trees: tuple[TreeEntry, ...] = ()


class TreeInfo(NamedTuple):
    """A target's output as one tree artifact."""

    tree: Artifact


class TestInfo(NamedTuple):
    """A target that is a test: the artifact that exists when it has passed."""

    passed: Artifact


class ImageListInfo(NamedTuple):
    """A list of images that tells of each who names it (`actions.image_list`)."""

    images: Artifact


class ImageInfo(NamedTuple):
    """A container image for one architecture: the tree of its image layout."""

    layout: Artifact
    arch: str


class LayoutInfo(NamedTuple):
    """A container image, or an index of several: the tree of its image layout, and what it is called there."""

    layout: Artifact
    ref: str


class RunInfo(NamedTuple):
    """What `run` does with the image in a layout: push it to registries, or load it under `tags` into a runtime."""

    kind: Literal["push", "load"]
    layout: Artifact
    tags: tuple[str, ...] = ()


Provider = DefaultInfo | LayerInfo | TreeInfo | TestInfo | ImageInfo | ImageListInfo | LayoutInfo | RunInfo
P = TypeVar("P", DefaultInfo, LayerInfo, TreeInfo, TestInfo, ImageInfo, ImageListInfo, LayoutInfo, RunInfo)


class ConfiguredTarget(NamedTuple):
    """A target under the parameter values that it and its dependencies read (`config`, canonical text).

    `needs` are the labels (the artifacts, of source files) that it depends on, `configs` the configurations of these.
    `origins` says of each file of another target what that target read: it decides where the file stands.
    """

    label: Label
    kind: str
    config: str
    providers: tuple[Provider, ...]
    at: Location
    needs: tuple[Label | Artifact, ...] = ()
    configs: tuple[str, ...] = ()
    reads: Mapping[str, str | None] | None = None
    origins: Mapping[Artifact, Mapping[str, str | None]] | None = None

    @property
    def deps(self) -> tuple[tuple[Label, str], ...]:
        """The labels that the target depends on, each with its configuration."""
        labels = [Label(need.package, need.name) for need in self.needs]
        return tuple(zip(labels, self.configs, strict=True))

    def get(self, kind: type[P]) -> P | None:
        """Return the provider of `kind`, if the target has one."""
        for provider in self.providers:
            if isinstance(provider, kind):
                return provider
        return None

    @property
    def files(self) -> tuple[Artifact, ...]:
        """The files of `DefaultInfo`; none when the target has no such provider."""
        info = self.get(DefaultInfo)
        return info.files if info else ()
