"""Render: a Jinja2 template and its variables, some of which are the texts of files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from buildsys.adapters import templates
from buildsys.errors import ActionFailed, Location, did_you_mean
from buildsys.model.action import ActionIO, Artifact, BaseOperation, added, exempt, shown_path

_SYNTAX_HINT = "what opens must close; a brace for the file itself is written {{ '{{' }}"
_RUNTIME_HINT = "mend the expression: templates see their variables alone, and include no other files"


@dataclass(frozen=True, slots=True, kw_only=True)
class Render(BaseOperation):
    """`template` with `variables` substituted; the output is executable when the template is.

    `texts` are variables whose values are the contents of files. Fails with B401 (syntax), B402 (undefined variable),
    B403 (a variable that the template does not use), B404 (other, such as a file that is no UTF-8 text).
    """

    MNEMONIC: ClassVar[str] = "Render"
    VERSION: ClassVar[int] = 1

    template: Artifact
    variables: tuple[tuple[str, str], ...] = ()
    texts: tuple[tuple[str, Artifact], ...] = added(())
    sources: str = exempt("the folder that messages show source files below", default="")

    @property
    def tools(self) -> tuple[str, ...]:
        """The library that renders."""
        return ("jinja2",)

    def execute(self, io: ActionIO) -> None:
        """Render into the one output."""
        shown = shown_path(self.template, self.sources)
        text = _text(io, self.template, shown)
        given = dict(self.variables)
        for name, artifact in self.texts:
            given[name] = _text(io, artifact, shown_path(artifact, self.sources))
        try:
            rendered = templates.render(text, given)
        except templates.TemplateFault as fault:
            raise self._failure(fault, text, shown) from fault
        if unused := ", ".join(f"'{name}'" for name in sorted(set(given) - rendered.used)):
            hint = f"remove {unused} from its `vars`, `params` or `texts`: what is not used must not cause a rebuild"
            raise ActionFailed("B403", f"the template {shown} does not use {unused}", at=Location(shown, 1), hint=hint)
        io.write(rendered.text.encode(), executable=io.value(self.template).executable)

    def _failure(self, fault: templates.TemplateFault, text: str, shown: str) -> ActionFailed:
        line = text.splitlines()[fault.line - 1] if 0 < fault.line <= text.count("\n") + 1 and text else ""
        column, width = 1, max(1, len(line))
        if fault.name and fault.name in line:
            column, width = line.index(fault.name) + 1, len(fault.name)
        at = Location(shown, fault.line, column, width)
        if fault.kind == "syntax":
            hint = _SYNTAX_HINT if "unexpected" in fault.message else "mend the template (jinja.palletsprojects.com)"
            return ActionFailed("B401", f"template syntax: {fault.message}", at=at, hint=hint)
        if fault.kind == "undefined":
            known = [name for name, _ in (*self.variables, *self.texts)]
            hint = did_you_mean(fault.name, known) or f'add `{fault.name}: "..."` to the `vars` of the target'
            if not fault.name:
                hint = "variables are texts: give what is missing a variable of its own in `vars`"
            return ActionFailed("B402", f"template variable: {fault.message}", at=at, hint=hint)
        return ActionFailed("B404", f"template: {fault.message}", at=at, hint=_RUNTIME_HINT)


def _text(io: ActionIO, artifact: Artifact, shown: str) -> str:
    """Return the text of a file. Raises `ActionFailed` B404 when it is none."""
    if io.value(artifact).tree:
        at = Location(shown, 1)
        raise ActionFailed("B404", f"{shown} is a tree, not a text", at=at, hint="name a target that makes a file")
    try:
        return io.read(artifact).decode()
    except UnicodeDecodeError as error:
        message = f"{shown} is not UTF-8 text: {error.reason}"
        raise ActionFailed("B404", message, at=Location(shown, 1), hint="save it as UTF-8") from error
