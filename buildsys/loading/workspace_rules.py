"""A workspace's own rules: Python modules in the folder that the workspace file names."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from buildsys import rules
from buildsys.errors import Location, UserError
from buildsys.model.digest import digest_bytes
from buildsys.sdk import foreign
from buildsys.sdk.rule import Rule, RuleSet, schema

if TYPE_CHECKING:
    from buildsys.loading.files import FileReader
    from buildsys.model.target import Workspace


def load_rules(workspace: Workspace, files: FileReader) -> RuleSet:
    """Return the built-in rules and those of the workspace.

    Raises `UserError` B214 when a module of the workspace cannot be imported.
    """
    own: dict[str, type[Rule]] = {}
    digests: dict[str, str] = {}
    if workspace.rules:
        for name in files.listing(workspace.rules)[0]:
            if name.endswith(".py"):
                path = f"{workspace.rules}/{name}"
                source = files.text(path)
                module_name = f"{foreign.PREFIX}{name.removesuffix('.py')}"
                digests[module_name] = digest_bytes(source.encode())
                own.update(_import(module_name, path, source))
    return RuleSet(rules.names(), rules.load, own, digests)


def _import(module_name: str, path: str, source: str) -> dict[str, type[Rule]]:
    """Run a module and return its rules. Its code knows its file by the path that messages show."""
    module = ModuleType(module_name)
    module.__file__ = path
    sys.modules[module_name] = module
    try:
        exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - a module of the workspace
    except SyntaxError as error:
        at = Location(error.filename or path, error.lineno or 1, error.offset or 1)
        raise _fault(path, f"SyntaxError: {error.msg}", at) from error
    except (Exception, SystemExit) as error:  # whatever a foreign module raises is an error in that module
        at = foreign.place(error, ModuleType, "")
        raise _fault(path, foreign.described(error), at if at.line else Location(path, 1)) from error
    found = rules.rules_in(module)
    for rule in found.values():
        _check(rule, path)
    return found


def _check(rule: type[Rule], path: str) -> None:
    at = Location(path, 1)
    if rule.analyse is Rule.analyse:
        raise _fault(path, f"the rule '{rule.NAME}' has no method `analyse`", at)
    at = foreign.defined(rule, "analyse")
    try:
        schema(rule)
    except Exception as error:  # annotations are foreign code
        raise _fault(path, f"the attributes of the rule '{rule.NAME}': {foreign.described(error)}", at) from error


def _fault(path: str, reason: str, at: Location) -> UserError:
    hint = "mend the module, or move it out of the folder that `rules:` of the workspace file names"
    return UserError("B214", f"cannot import {path}: {reason}", at=at, hint=hint)
