"""template: render one file of the rootfs from a Jinja2 template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from buildsys.actions.render import Render
from buildsys.sdk import Artifact, Context, DefaultInfo, Provider, Rule, attr


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateRule(Rule):
    """One file, rendered by Jinja2: strict (an undefined variable is an error), sandboxed, deterministic.

    A template sees the variables that its target gives it and nothing else; one that it does not use is an error, so
    that a parameter that is of no consequence causes no rebuild. Lines end in LF, whatever the template has.
    """

    NAME: ClassVar[str] = "template"

    src: Artifact = attr("The template.")
    out: str = attr("The name of the rendered file, and its place in a rootfs.")
    vars: Mapping[str, str] = attr("Variables and their values.", {})
    params: tuple[str, ...] = attr("Parameters that are variables of the same name.", ())

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """One template in, one Render action, one file out."""
        out = ctx.declare(self.out)
        variables = {name: ctx.param(name, "params", name) for name in self.params} | dict(self.vars)
        shown = ctx.shown(self.src)
        ctx.register(
            Render(template=self.src, variables=tuple(sorted(variables.items())), shown=shown),
            [out],
            f"Render {out.path}",
        )
        return (DefaultInfo((out,)),)
