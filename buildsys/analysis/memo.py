"""What analysis has found so far: configured targets by label and by the parameter values that they read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from buildsys.analysis.configuration import Configuration, Reads
    from buildsys.model.label import Label
    from buildsys.model.provider import ConfiguredTarget


class Known(NamedTuple):
    """A target that was looked at: what it read, and what became of it (None where it could not be analysed)."""

    reads: Reads
    target: ConfiguredTarget | None


class Memo:
    """Finds what holds for a configuration in a time that does not grow with the configurations seen."""

    def __init__(self) -> None:
        self._known: dict[Label, dict[tuple[str, ...], dict[tuple[str | None, ...], Known]]] = {}
        """By the names that were read (of which there are few sets for one label), then by their values."""

    def find(self, label: Label, configuration: Configuration) -> Known | None:
        """Return what is known of a target under all configurations that agree with this one on what it read."""
        for names, by_values in self._known.get(label, {}).items():
            found = by_values.get(tuple([configuration.explicit(name) for name in names]))
            if found is not None:
                return found
        return None

    def add(self, label: Label, reads: Reads, target: ConfiguredTarget | None) -> None:
        """Remember what became of a target that read `reads`."""
        names = tuple(sorted(reads))
        by_values = self._known.setdefault(label, {}).setdefault(names, {})
        by_values[tuple([reads[name] for name in names])] = Known(reads, target)

    def count(self, label: Label) -> int:
        """Return how many results are known for a label."""
        return sum(map(len, self._known.get(label, {}).values()))
