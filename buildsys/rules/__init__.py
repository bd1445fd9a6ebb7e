"""The built-in rules: one file each; the name of the file is the word in BUILD.yaml."""

from __future__ import annotations

import os
from importlib import import_module

from buildsys.sdk.rule import Rule


def names() -> list[str]:
    """Return the names of the built-in rules."""
    files = os.listdir(os.path.dirname(__file__))
    return sorted(name.removesuffix(".py") for name in files if name.endswith(".py") and name != "__init__.py")


def load(name: str) -> type[Rule]:
    """Import the built-in rule called `name`, which must exist."""
    return rules_in(import_module(f"buildsys.rules.{name}"))[name]


def rules_in(module: object) -> dict[str, type[Rule]]:
    """Return the rules that a module defines, by name."""
    name = getattr(module, "__name__", "")
    return {
        value.NAME: value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Rule) and value.NAME and value.__module__ == name
    }
