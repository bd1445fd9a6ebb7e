"""Target patterns: `//pkg:name`, `//pkg:all`, `//pkg/...`, relative ones, and exclusions with a leading `-`.

Follows Bazel's "Specifying targets to build": order matters, and targets tagged `manual` are skipped by wildcards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.errors import BuildError, BuildErrors, UserError
from buildsys.model.label import Label, package_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buildsys.loading.loader import Loader

MANUAL = "manual"
_RULES = frozenset({"all"})
_FORMS = "patterns look like //package:name, //package:all, //package/... or :name"
_EVERYTHING = frozenset({"*", "all-targets"})


def expand(
    patterns: Sequence[str],
    loader: Loader,
    *,
    here: str = "",
    manual: bool = False,
    skipped: list[BuildError] | None = None,
) -> list[Label]:
    """Return the labels that `patterns` name, in order, each once.

    `here` is the package that relative patterns are seen from; `manual` keeps targets tagged so (queries do).
    Raises `BuildErrors` with what is wrong in any of the patterns; where `skipped` is given, it goes there instead.
    """
    found: dict[Label, None] = {}
    errors: list[BuildError] = [] if skipped is None else skipped
    for pattern in patterns:
        negative = pattern.startswith("-")
        try:
            labels = _expand_one(pattern.removeprefix("-"), loader, here, manual=manual or negative)
        except BuildError as error:
            errors.append(_malformed(pattern, error) if error.code == "B101" else error)
            continue
        except BuildErrors as several:
            errors.extend(several.errors)
            continue
        for label in labels:
            if negative:
                found.pop(label, None)
            else:
                found[label] = None
    if errors and skipped is None:
        raise BuildErrors(errors)
    return list(found)


def _malformed(pattern: str, error: BuildError) -> UserError:
    """Say what is wrong with a pattern in terms of what was typed."""
    reason = error.message.partition(": ")[2] if error.message.startswith("invalid label") else error.message
    hint = error.hint if error.hint and "label" not in error.hint else _FORMS
    return UserError("B101", f"invalid target pattern '{pattern}': {reason}", hint=hint)


def _expand_one(pattern: str, loader: Loader, here: str, *, manual: bool) -> list[Label]:
    if not pattern:
        raise UserError("B101", "it is empty")
    absolute = pattern.startswith("//")
    body = pattern.removeprefix("//")
    head, colon, name = body.partition(":")
    if not absolute:
        head = "/".join(part for part in (here, head) if part)
    if head == "..." or head.endswith("/..."):
        return _below(head[:-3].rstrip("/"), name if colon else "all", loader, manual=manual)
    if not absolute and not colon:
        return [_relative(body, here, loader)]
    if fault := package_fault(head):
        raise UserError("B101", fault)
    if colon and name in _RULES | _EVERYTHING and loader.package(head).targets.get(name) is None:
        return _in_package(head, name, loader, manual=manual)
    label = Label(head, name) if colon else Label.parse(f"//{head}")
    loader.resolve(Label.parse(str(label)))
    return [label]


def _relative(body: str, here: str, loader: Loader) -> Label:
    """Resolve `a/b` seen from a package: the package a/b's own target, else a target or file here."""
    whole = "/".join(part for part in (here, body) if part)
    if not package_fault(whole) and loader.is_package(whole):
        return _checked(Label.parse(f"//{whole}"), loader)
    head, slash, name = whole.rpartition("/")
    if slash and loader.is_package(head) and head != here:
        return _checked(Label(head, name), loader)
    try:
        return _checked(Label(here, body), loader)
    except BuildError as error:
        raise UserError(error.code, error.message, hint=error.hint or _FORMS) from error


def _checked(label: Label, loader: Loader) -> Label:
    loader.resolve(Label.parse(str(label)))
    return label


def _below(folder: str, name: str, loader: Loader, *, manual: bool) -> list[Label]:
    if name not in _RULES | _EVERYTHING:
        hint = "after `...` only :all, :* and :all-targets have a meaning"
        raise UserError("B101", f"'{name}' cannot follow `...`", hint=hint)
    packages = loader.package_names(folder)
    if not packages:
        raise UserError("B212", f"no packages below '{folder}'", hint="`buildsys query //...` lists what there is")
    return [label for package in packages for label in _in_package(package, name, loader, manual=manual)]


def _in_package(name: str, wildcard: str, loader: Loader, *, manual: bool) -> list[Label]:
    package = loader.package(name)
    labels = [target.label for target in package.targets.values() if manual or MANUAL not in target.tags]
    if wildcard in _EVERYTHING:
        sources = {
            label
            for target in package.targets.values()
            for label, _ in target.deps
            if label.package == name and label.name not in package.targets
        }
        labels += sorted(sources)
    return labels
