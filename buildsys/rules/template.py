"""template: render one file of the rootfs from a Jinja2 template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from buildsys.actions.render import Render
from buildsys.errors import BuildErrors, UserError
from buildsys.sdk import Artifact, ConfiguredTarget, Context, DefaultInfo, Provider, Rule, attr
from buildsys.sdk.layers import single_file


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateRule(Rule):
    """One file, rendered by Jinja2: strict (an undefined variable is an error), sandboxed, deterministic.

    A template sees the variables that its target gives it and nothing else; one that it does not use is an error, so
    that a parameter that is of no consequence causes no rebuild. Lines end in LF, whatever the template has; the texts
    of files are put in as they are.
    """

    NAME: ClassVar[str] = "template"

    src: Artifact = attr("The template.")
    out: str = attr("The name of the rendered file, and its place in a rootfs.")
    vars: Mapping[str, str] = attr("Variables and their values.", {})
    params: tuple[str, ...] = attr("Parameters that are variables of the same name.", ())
    texts: Mapping[str, ConfiguredTarget] = attr(
        "Variables, and the source file or target (with one file) whose UTF-8 text each has as its value.", {}
    )

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """One template and its texts in, one Render action, one file out."""
        self._check_names(ctx)
        out = ctx.declare(self.out)
        variables = {name: ctx.param(name, "params", name) for name in self.params} | dict(self.vars)
        texts = [
            (name, single_file(ctx, target, "texts", name, f"be the text '{name}'"))
            for name, target in sorted(self.texts.items())
        ]
        render = Render(
            template=self.src,
            variables=tuple(sorted(variables.items())),
            texts=tuple(texts),
            sources=ctx.sources,
        )
        ctx.register(render, [out], f"Render {out.path}")
        return (DefaultInfo((out,)),)

    def _check_names(self, ctx: Context) -> None:
        """Report each name that two variables have."""
        errors: list[UserError] = []
        known: dict[str, str] = {}
        for attribute, names in (("vars", self.vars), ("params", self.params), ("texts", self.texts)):
            for name in names:
                if name in known:
                    message = f"{ctx.label}: `{known[name]}` and `{attribute}` both give the variable '{name}'"
                    if known[name] == attribute:
                        message = f"{ctx.label}: `{attribute}` gives the variable '{name}' twice"
                    at = ctx.at(attribute, name)
                    errors.append(UserError("B224", message, at=at, hint="remove one of the two"))
                known.setdefault(name, attribute)
        if errors:
            raise BuildErrors(errors)
