"""The workspace file: the BUILD.yaml at the root that declares packages' folder, parameters, constraints, platforms."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from buildsys.adapters.versions import parse_version
from buildsys.errors import BuildError, BuildErrors, Location, UserError, did_you_mean
from buildsys.loading.fields import Fields, mapping_of
from buildsys.loading.place import WORKSPACE_FILE
from buildsys.model.document import Scalar
from buildsys.model.parameter import CHOICE, KINDS, STRING, VERSION, Constraint, Parameter
from buildsys.model.platform import Platform
from buildsys.model.target import Workspace
from buildsys.sdk.conditions import condition

if TYPE_CHECKING:
    from buildsys.loading.files import FileReader
    from buildsys.model.document import Node

WORKSPACE_KEYS = ("workspace", "packages", "parameters", "constraints", "platforms", "rules", "lockfile")
PACKAGE_KEYS = ("targets", "default_visibility", "default_tags")
"""The keys of a package; the workspace file has them too where packages begin at the root."""


def load_workspace(root: str, files: FileReader) -> Workspace:
    """Read the workspace file. Raises `BuildErrors` with everything that is wrong in it."""
    document = mapping_of(files.document(WORKSPACE_FILE), "the workspace file", Location(WORKSPACE_FILE, 1))
    errors: list[BuildError] = []
    packages = document.get("packages")
    at_root = packages is None or (isinstance(packages, Scalar) and os.path.normpath(packages.text) == ".")
    keys = WORKSPACE_KEYS + PACKAGE_KEYS if at_root else WORKSPACE_KEYS
    fields = Fields(document, "the workspace file", keys, errors)
    parameters: dict[str, Parameter] = {}
    for key, node in fields.entries("parameters"):
        parameters[key.text] = Parameter(key.text, STRING, "", key.at)  # known by name, should it be at fault
        with fields.collecting():
            parameters[key.text] = _parameter(key.text, key.at, node)
    constraints: list[Constraint] = []
    for node in fields.items("constraints"):
        with fields.collecting():
            constraints.append(_constraint(node, parameters))
    platforms: list[Platform] = []
    for word, at in fields.strings("platforms"):
        os_name, slash, arch = word.partition("/")
        if not slash or not os_name or not arch:
            errors.append(UserError("B205", f"'{word}' is no platform", at=at, hint="write linux/amd64 or linux/arm64"))
        platforms.append(Platform(os_name, arch))
    for word in ("packages", "rules"):
        with fields.collecting():
            _check_folder(fields.text(word, ""), word, fields.at(word), files)
    if errors:
        raise BuildErrors(errors)
    return Workspace(
        name=fields.text("workspace", ""),
        root=root,
        packages=os.path.normpath(fields.text("packages", ".")),
        parameters=parameters,
        constraints=tuple(constraints),
        platforms=tuple(platforms),
        rules=fields.text("rules", ""),
        lockfile=fields.text("lockfile", "buildsys.lock"),
    )


def _check_folder(folder: str, key: str, at: Location, files: FileReader) -> None:
    inside = os.path.normpath(folder)
    if folder and (os.path.isabs(folder) or inside.split("/")[0] == ".."):
        message = f"'{key}' is '{folder}', which is not below the workspace"
        raise UserError("B205", message, at=at, hint="name a folder relative to this file")
    if folder and inside != "." and not files.is_folder(inside):
        raise UserError("B205", f"'{key}' is '{folder}', which is no folder", at=at, hint="make it, or name another")


def _parameter(name: str, at: Location, node: Node) -> Parameter:
    errors: list[BuildError] = []
    what = f"parameter '{name}'"
    fields = Fields(mapping_of(node, what, at), what, ("type", "default", "values", "doc", "names_output"), errors)
    kind = fields.text("type", STRING)
    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS) or f"the types are {', '.join(KINDS)}"
        raise UserError("B205", f"unknown parameter type '{kind}'", at=fields.at("type"), hint=hint)
    parameter = Parameter(
        name=name,
        kind=kind,
        default=fields.text("default", "false" if kind == "bool" else "", wanted=kind),
        at=fields.at("default") if fields.document.get("default") is not None else at,
        choices=tuple(word for word, _ in fields.strings("values")),
        doc=fields.text("doc", ""),
        names_output=fields.boolean("names_output", kind != "url"),
    )
    if errors:
        raise BuildErrors(errors)
    if kind == CHOICE and not parameter.choices:
        raise UserError("B205", f"{what} is a choice of nothing", at=at, hint="list its `values`")
    if "{" not in parameter.default and (fault := parameter.fault(parameter.default)):
        raise UserError(
            "B205", f"the default of {what}: {fault}", at=fields.at("default"), hint=parameter.hint(parameter.default)
        )
    if "{" not in parameter.default and kind == VERSION and parameter.default:
        parse_version(parameter.default, fields.at("default"))
    return parameter


def _constraint(node: Node, parameters: dict[str, Parameter]) -> Constraint:
    errors: list[BuildError] = []
    fields = Fields(mapping_of(node, "a constraint"), "a constraint", ("forbid", "reason", "instead"), errors)
    if fields.document.get("forbid") is None:
        hint = "write `forbid: cri=docker,kubernetes>=1.24`"
        errors.append(UserError("B205", "a constraint needs a `forbid`", at=fields.document.at, hint=hint))
        raise BuildErrors(errors)
    forbid = condition(fields.text("forbid", ""), parameters, fields.at("forbid"))
    constraint = Constraint(forbid, fields.text("reason", ""), fields.text("instead", ""), fields.at("forbid"))
    if not errors and not constraint.reason:
        raise UserError("B205", "a constraint needs a `reason`", at=constraint.at, hint="say why")
    if errors:
        raise BuildErrors(errors)
    return constraint
