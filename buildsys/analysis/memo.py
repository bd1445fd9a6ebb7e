"""What analysis has found so far: configured targets by label and by the parameter values that they read."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from buildsys.errors import Location
from buildsys.model.action import Artifact
from buildsys.model.label import Label
from buildsys.model.provider import ConfiguredTarget, DefaultInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from buildsys.analysis.configuration import Configuration, Reads


class Known(NamedTuple):
    """A target that was looked at: what it read, and what became of it (None where it could not be analysed)."""

    reads: Reads
    target: ConfiguredTarget | None


class _Several:
    """What is known of a label under several configurations."""

    __slots__ = ("by_names", "count")

    def __init__(self) -> None:
        self.count = 0
        self.by_names: dict[tuple[str, ...], dict[tuple[str | None, ...], Known]] = {}
        """By the names that were read (of which there are few sets for one label), then by their values."""

    def add(self, known: Known) -> None:
        names = tuple(sorted(known.reads))
        self.by_names.setdefault(names, {})[tuple([known.reads[name] for name in names])] = known
        self.count += 1


class Memo:
    """Finds what holds for a configuration in a time that does not grow with the configurations seen."""

    def __init__(self) -> None:
        self._packages: dict[str, dict[str, ConfiguredTarget | Known | _Several]] = {}
        """By package and name, which hash faster and lie closer than labels do."""

    def find(self, label: Label, configuration: Configuration) -> Known | None:
        """Return what is known of a target under all configurations that agree with this one on what it read."""
        known = self._packages.get(label.package, _NOTHING).get(label.name)
        if known is None:
            return None
        if not isinstance(known, _Several):
            known = _known(known)
            return known if all(configuration.explicit(n) == v for n, v in known.reads.items()) else None
        for names, by_values in known.by_names.items():
            found = by_values.get(tuple([configuration.explicit(name) for name in names]))
            if found is not None:
                return found
        return None

    def add(self, label: Label, reads: Reads, target: ConfiguredTarget | None) -> None:
        """Remember what became of a target that read `reads`."""
        names = self._packages.setdefault(label.package, {})
        before = names.get(label.name)
        if before is None:
            names[label.name] = target if target is not None and target.reads is reads else Known(reads, target)
            return
        if not isinstance(before, _Several):
            several = names[label.name] = _Several()
            several.add(_known(before))
        else:
            several = before
        several.add(Known(reads, target))

    def count(self, label: Label) -> int:
        """Return how many results are known for a label."""
        known = self._packages.get(label.package, _NOTHING).get(label.name)
        return known.count if isinstance(known, _Several) else int(known is not None)


_NOTHING: Mapping[str, ConfiguredTarget | Known | _Several] = MappingProxyType({})


def _known(held: ConfiguredTarget | Known) -> Known:
    return held if isinstance(held, Known) else Known(held.reads or _NOTHING_READ, held)


_NOTHING_READ: Reads = MappingProxyType({})


class ConfiguredTargets:
    """The configured targets of an analysis, in order. A source file is held as its artifact alone."""

    def __init__(self) -> None:
        self._found: list[ConfiguredTarget | Artifact] = []
        self._sources: dict[str, dict[str, Artifact]] = {}

    def append(self, target: ConfiguredTarget) -> None:
        """Add a target, after those that it depends on."""
        self._found.append(target)

    def known_source(self, label: Label) -> Artifact | None:
        """Return a source file that has been added."""
        return self._sources.get(label.package, _NO_SOURCES).get(label.name)

    def add_source(self, label: Label) -> Artifact:
        """Add a source file and return it."""
        made = Artifact(label.package, label.name)
        self._sources.setdefault(label.package, {})[label.name] = made
        self._found.append(made)
        return made

    def __len__(self) -> int:
        return len(self._found)

    def declared(self) -> Iterator[ConfiguredTarget]:
        """Yield those that are no source files."""
        return (found for found in self._found if not isinstance(found, Artifact))

    def __iter__(self) -> Iterator[ConfiguredTarget]:
        for found in self._found:
            yield source_target(found) if isinstance(found, Artifact) else found


_NO_SOURCES: Mapping[str, Artifact] = MappingProxyType({})


def source_target(artifact: Artifact) -> ConfiguredTarget:
    """Return a source file as a configured target, which reads nothing and says nothing but its name."""
    label = Label(artifact.package, artifact.name)
    return ConfiguredTarget(label, "source file", "", (DefaultInfo((artifact,)),), Location("", 0))
