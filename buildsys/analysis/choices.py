"""What `--param` chooses: values, and for versions also ranges and lists, which stand for a configuration each.

    kubernetes=1.28.15              a value
    kubernetes=1.28.14,1.28.15      a list: these versions, in this order
    kubernetes=>=1.26,<1.31,!=1.28.0   a range: all versions in it that are locked, oldest first

A version is locked when the lock file has a pin of it for every file that is pinned by the parameter: those whose
`version` is `{kubernetes}`, among what the targets may need. Of `kubernetes` only releases count that the tables know.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from buildsys.adapters.versions import Range, parse_range, parse_version, try_version
from buildsys.analysis.configuration import Configuration, canonical
from buildsys.errors import BuildError, BuildErrors, UsageError, UserError
from buildsys.model.condition import unknown_parameter
from buildsys.model.parameter import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from buildsys.adapters.versions import Version
    from buildsys.kubernetes.pins import Pins
    from buildsys.kubernetes.tables import Tables
    from buildsys.model.label import Label
    from buildsys.model.parameter import Parameter
    from buildsys.model.target import Target

KUBERNETES = "kubernetes"
"""The parameter whose versions the tables know."""
_OPERATORS = "<>=!~"
SHOWN = 3
"""Versions that are named; the others are counted."""


class Wanted(NamedTuple):
    """A target as it was asked for: `choice` names the values that tell it from the same target of other versions."""

    label: Label
    choice: str = ""

    def __str__(self) -> str:
        return f"{self.label} ({self.choice})" if self.choice else str(self.label)


class Choices(NamedTuple):
    """What was asked for: parameters with one value, and those with several."""

    values: Mapping[str, str]
    several: Mapping[str, Range | tuple[str, ...]]


def configuration(
    parameters: Mapping[str, Parameter], tables: Tables, given: Mapping[str, str], varied: tuple[str, ...] = ()
) -> Configuration:
    """Return a configuration; `varied` are the parameters that others of the same request have other values of.

    Raises `BuildErrors` of unknown parameters and impossible values.
    """
    explicit: dict[str, str] = {}
    errors: list[BuildError] = []
    for name, text in given.items():
        try:
            if name not in parameters:
                raise unknown_parameter(name, parameters, None)
            explicit[name] = canonical(parameters[name], text)
        except UserError as error:
            errors.append(_of_option(name, text, error))
    if errors:
        raise BuildErrors(errors)
    return Configuration(parameters, tables, explicit, varied)


def choose(parameters: Mapping[str, Parameter], tables: Tables, given: Mapping[str, str]) -> Choices:
    """Tell values from ranges and lists. Raises `BuildErrors` of all that is wrong with them."""
    values: dict[str, str] = {}
    several: dict[str, Range | tuple[str, ...]] = {}
    errors: list[BuildError] = []
    for name, text in given.items():
        try:
            found = _several(name, text, parameters)
        except UserError as error:
            errors.append(_of_option(name, text, error))
            continue
        if found is None:
            values[name] = text
        else:
            several[name] = found
    try:
        configuration(parameters, tables, values)
    except BuildErrors as others:
        errors = [*others.errors, *errors]
    if errors:
        raise BuildErrors(errors)
    return Choices(values, several)


def _of_option(name: str, text: str, error: UserError) -> UsageError:
    return UsageError(error.code, f"--param={name}={text}: {error.message}", hint=error.hint)


def _several(name: str, text: str, parameters: Mapping[str, Parameter]) -> Range | tuple[str, ...] | None:
    """Return a range or a list; None for a value. Raises `UsageError` B020, `UserError` B600 or B605."""
    parameter = parameters.get(name)
    if parameter is None:
        inner = name.rstrip(_OPERATORS + " ")
        if inner != name and inner in parameters:
            hint = f"write --param='{inner}={name[len(inner) :].strip()}={text}'"
            raise UsageError("B020", f"the range of '{inner}' has no equals sign before it", hint=hint)
        return None
    is_range = text.lstrip()[:1] in _OPERATORS if text.strip() else False
    if parameter.kind == VERSION:
        if is_range:
            return parse_range(text)
        if "," in text:
            return tuple(dict.fromkeys(str(parse_version(part.strip())) for part in text.split(",")))
    elif is_range and _is_range(text):
        raise UsageError("B020", f"'{name}' is a {parameter.kind}; only versions have ranges", hint="give one value")
    return None


def _is_range(text: str) -> bool:
    try:
        parse_range(text)
    except UserError:
        return False
    return True


class Spread:
    """What parameters with several values stand for; `pins` reads the lock file when it is needed."""

    def __init__(self, parameters: Mapping[str, Parameter], tables: Tables, pins: Callable[[], Pins]) -> None:
        self.lines: list[str] = []
        """What the ranges stand for, in words."""
        self._parameters = parameters
        self._tables = tables
        self._pins = pins

    def configurations(self, choices: Choices, targets: Callable[[], Iterable[Target]]) -> list[Configuration]:
        """Return every configuration that is asked for; `targets` are what may have to be built.

        Raises `UsageError` B021 of a range without a version that is locked.
        """
        axes: list[list[tuple[str, str]]] = []
        for name, found in choices.several.items():
            versions = found if isinstance(found, tuple) else self._locked(name, found, targets())
            axes.append([(name, version) for version in versions])
        varied = tuple(sorted(choices.several))
        return [
            configuration(self._parameters, self._tables, {**choices.values, **dict(point)}, varied)
            for point in product(*axes)
        ]

    def _locked(self, name: str, range_: Range, targets: Iterable[Target]) -> tuple[str, ...]:
        """Return the versions in a range that are locked, oldest first, and say which they are."""
        from buildsys.rules.http_file import pinned_by

        names = sorted({pin for target in targets if (pin := pinned_by(target, name))})
        pins = self._pins()
        pinned = [set(pins.versions(pin)) for pin in names]
        known = list(self._tables.releases) if name == KUBERNETES else list(set().union(*pinned))
        versions = sorted(version for text in known if (version := try_version(text)) is not None)
        inside = [version for version in versions if range_.contains(version)]
        locked = [str(version) for version in inside if all(version.text in found for found in pinned)]
        others = [str(version) for version in inside if not all(version.text in found for found in pinned)]
        if not locked:
            raise _empty(f"--param={name}={range_}", versions, others, names, pins.path)
        text = locked[0] if len(locked) == 1 else f"{len(locked)} versions, {locked[0]} to {locked[-1]}"
        self.lines.append(f"{name}={range_}: {text}" + (f" (not locked: {few(others)})" if others else ""))
        return tuple(locked)


def _empty(option: str, versions: list[Version], others: list[str], names: list[str], lockfile: str) -> UsageError:
    """Say why no version is in a range."""
    if others:
        reason = f"no version in this range is locked: {few(others)}"
        hint = f"add pins of {', '.join(names)} to {lockfile}; a build of one version says which are missing"
    elif versions:
        reason, hint = "no version is in this range", f"the versions go from {versions[0]} to {versions[-1]}"
    else:
        reason = "nothing says which versions there are: no file that is needed is pinned by this parameter"
        hint = "name the versions: 1.0.0,1.1.0"
    return UsageError("B021", f"{option}: {reason}", hint=hint)


def few(names: list[str]) -> str:
    """Return names in a row, of many the first ones and how many more there are."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
