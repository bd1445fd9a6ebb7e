"""A workspace's own rules: Python modules in the folder that the workspace file names."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING

from buildsys import rules
from buildsys.errors import Location, UserError
from buildsys.model.digest import digest_bytes
from buildsys.sdk.rule import Rule, RuleSet

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
                module_name = f"buildsys_workspace_rules.{name.removesuffix('.py')}"
                digests[module_name] = digest_bytes(source.encode())
                own.update(_import(module_name, path, workspace.root))
    return RuleSet(rules.names(), rules.load, own, digests)


def _import(module_name: str, path: str, root: str) -> dict[str, type[Rule]]:
    spec = importlib.util.spec_from_file_location(module_name, os.path.join(root, path))
    if spec is None or spec.loader is None:
        raise UserError("B214", f"{path} cannot be imported", at=Location(path, 1))
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a foreign module raises is an error in that module
        line = _line_of(error, os.path.join(root, path))
        message = f"{type(error).__name__}: {error}"
        raise UserError("B214", f"cannot import {path}: {message}", at=Location(path, line)) from error
    finally:
        sys.dont_write_bytecode = before
    return rules.rules_in(module)


def _line_of(error: Exception, path: str) -> int:
    """Return the last line of the module that took part in the error."""
    if isinstance(error, SyntaxError) and error.lineno:
        return error.lineno
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
