"""Jinja2: a strict, sandboxed, deterministic environment."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from jinja2 import StrictUndefined, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from buildsys.adapters.templates import Rendered, TemplateFault

if TYPE_CHECKING:
    from collections.abc import Mapping


def render(template: str, variables: Mapping[str, str]) -> Rendered:
    """Render `template`; every variable it refers to must be given. Raises `TemplateFault`."""
    environment = _environment()
    try:
        tree = environment.parse(template)
        used = frozenset(meta.find_undeclared_variables(tree)) - _globals(environment)
    except TemplateSyntaxError as error:
        raise TemplateFault("syntax", error.message or "syntax error", error.lineno) from error
    for name in sorted(used - set(variables)):
        raise TemplateFault("undefined", f"'{name}' is undefined", _line_of(tree, name), name)
    try:
        return Rendered(environment.from_string(tree).render(variables), used)
    except UndefinedError as error:
        raise TemplateFault("undefined", error.message or "undefined", _runtime_line(error)) from error
    except SecurityError as error:
        raise TemplateFault("runtime", f"not allowed in a template: {error}", _runtime_line(error)) from error
    except (TemplateError, ArithmeticError, ValueError, TypeError, LookupError, RecursionError, MemoryError) as error:
        raise TemplateFault("runtime", str(error) or type(error).__name__, _runtime_line(error)) from error


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False, newline_sequence="\n"
    )
    environment.globals.pop("lipsum", None)  # random text has no place in a build
    environment.filters.pop("random", None)
    return environment


def _globals(environment: ImmutableSandboxedEnvironment) -> frozenset[str]:
    return frozenset(environment.globals)


def _line_of(tree: nodes.Template, name: str) -> int:
    return min((node.lineno for node in tree.find_all(nodes.Name) if node.name == name), default=1)


def _runtime_line(error: BaseException) -> int:
    """Return the template's line in a traceback that Jinja2 has rewritten."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
