"""The forms in which `aquery` answers, and the filters that it knows: actions to text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from buildsys.errors import UsageError
from buildsys.query.configured import CONFIGURED_FUNCTIONS, DEFAULT
from buildsys.query.expression import EXPRESSION, WORD, Call, Expression, Let, Signature, unrolled
from buildsys.query.functions import regex

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Mapping

    from buildsys.model.action import Action, Artifact
    from buildsys.model.provider import ConfiguredTarget


class ShownAction(NamedTuple):
    """An action as `aquery` shows it. `key` is empty where it depends on outputs that are not known yet."""

    mnemonic: str
    target: str
    rule: str
    config: str
    progress: str
    key: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: Mapping[str, object]
    tools: Mapping[str, str]
    version: int


def show(target: ConfiguredTarget, action: Action, key: str, path: Callable[[Artifact], str]) -> ShownAction:
    """Return an action as it is shown; `path` gives the paths of artifacts relative to the workspace."""
    static = json.loads("{" + action.static)
    return ShownAction(
        mnemonic=static["mnemonic"],
        target=str(target.label),
        rule=target.kind.removesuffix(" rule"),
        config=target.config or DEFAULT,
        progress=action.progress,
        key=key,
        inputs=tuple(path(artifact) for artifact in action.inputs),
        outputs=tuple(path(artifact) for artifact in action.outputs),
        params=static["params"],
        tools=static["tools"],
        version=static["version"],
    )


class Filters(NamedTuple):
    """The regular expressions that an action must match."""

    mnemonic: tuple[re.Pattern[str], ...] = ()
    inputs: tuple[re.Pattern[str], ...] = ()
    outputs: tuple[re.Pattern[str], ...] = ()

    def admit(self, action: ShownAction) -> bool:
        """Tell whether an action matches all of them."""
        return (
            all(wanted.fullmatch(action.mnemonic) for wanted in self.mnemonic)
            and all(any(wanted.fullmatch(path) for path in action.inputs) for wanted in self.inputs)
            and all(any(wanted.fullmatch(path) for path in action.outputs) for wanted in self.outputs)
        )


FILTERS = Filters._fields
SIGNATURES: dict[str, Signature] = {
    **{name: function.signature for name, function in CONFIGURED_FUNCTIONS.items()},
    **dict.fromkeys(FILTERS, Signature((WORD, EXPRESSION), 2)),
}


def split_filters(expression: Expression) -> tuple[Expression, Filters]:
    """Return the expression for targets within the filters for actions around it.

    Raises `UsageError` B034 when a filter stands inside another function.
    """
    found: dict[str, list[re.Pattern[str]]] = {name: [] for name in FILTERS}
    inner = expression
    while isinstance(inner, Call) and inner.function in FILTERS:
        pattern, argument = inner.arguments
        assert isinstance(pattern, str)  # noqa: S101 - by the signature above
        assert not isinstance(argument, str | int)  # noqa: S101 - by the signature above
        found[inner.function].append(regex(inner.function, pattern))
        inner = argument
    if _has_filter(inner):
        raise UsageError(
            "B034",
            f"aquery filter functions ({', '.join(FILTERS)}) produce actions, and therefore can't be the input of"
            f" other function types: {expression}",
            hint="write the filters outermost: mnemonic('Render', deps(//a:b))",
        )
    return inner, Filters(*(tuple(found[name]) for name in FILTERS))


def _has_filter(expression: Expression) -> bool:
    first, rest = unrolled(expression)
    if any(_has_filter(operand) for _, operand in rest):
        return True
    if isinstance(first, Call):
        inner = [argument for argument in first.arguments if not isinstance(argument, str | int)]
        return first.function in FILTERS or any(_has_filter(argument) for argument in inner)
    return isinstance(first, Let) and (_has_filter(first.value) or _has_filter(first.body))


def text(actions: Iterable[ShownAction]) -> list[str]:
    """Return each action as a paragraph."""
    return [_paragraph(action) for action in actions]


def _paragraph(action: ShownAction) -> str:
    lines = [
        f"action '{action.progress}'",
        f"  Mnemonic: {action.mnemonic}",
        f"  Target: {action.target}",
        f"  Configuration: {action.config}",
        f"  ActionKey: {action.key or 'not known before its inputs are built'}",
        f"  Inputs: [{', '.join(sorted(action.inputs))}]",
        f"  Outputs: [{', '.join(sorted(action.outputs))}]",
        f"  Implementation: {action.version}",
    ]
    if action.tools:
        lines.append(f"  Tools: [{', '.join(f'{name}={version}' for name, version in sorted(action.tools.items()))}]")
    if action.params:
        lines.append("  Parameters:")
        lines += [f"    {name}: {_compact(value)}" for name, value in action.params.items()]
    return "\n".join([*lines, ""])


def summary(actions: Iterable[ShownAction]) -> list[str]:
    """Return how many actions there are, by mnemonic and by configuration, in Bazel's form."""
    found = list(actions)
    lines = [f"{len(found)} total action{'' if len(found) == 1 else 's'}.", "", "Mnemonics:"]
    lines += _counted(action.mnemonic for action in found)
    return [*lines, "", "Configurations:", *_counted(action.config for action in found)]


def _counted(items: Iterable[str]) -> list[str]:
    counts: dict[str, int] = {}
    for item in items:
        counts[item] = counts.get(item, 0) + 1
    return [f"  {item}: {count}" for item, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]


def jsonproto(actions: Iterable[ShownAction]) -> list[str]:
    """Return Bazel's ActionGraphContainer (analysis_v2.proto) as JSON."""
    tables = _Tables()
    for action in actions:
        tables.add(action)
    return [json.dumps(tables.message, indent=2, ensure_ascii=False)]


class _Tables:
    """The tables of an ActionGraphContainer: everything once, referred to by numbers that count from 1."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, object], int] = {}
        names = ("artifacts", "actions", "targets", "depSetOfFiles", "configuration", "ruleClasses", "pathFragments")
        self.message: dict[str, list[dict[str, object]]] = {name: [] for name in names}

    def add(self, action: ShownAction) -> None:
        """Add an action and all that it refers to."""
        rule = self._row("ruleClasses", action.rule, {"name": action.rule})
        target = self._row("targets", action.target, {"label": action.target, "ruleClassId": rule})
        config = self._row("configuration", action.config, {"mnemonic": action.config, "checksum": action.config})
        inputs = [self._artifact(path) for path in action.inputs]
        outputs = [self._artifact(path) for path in action.outputs]
        sets = [self._row("depSetOfFiles", tuple(inputs), {"directArtifactIds": inputs})] if inputs else []
        row: dict[str, object] = {"targetId": target}
        if action.key:
            row["actionKey"] = action.key
        row |= {"mnemonic": action.mnemonic, "configurationId": config, "inputDepSetIds": sets}
        row |= {"outputIds": outputs, "primaryOutputId": outputs[0]}
        row["arguments"] = [f"{name}={_compact(value)}" for name, value in action.params.items()]
        self.message["actions"].append(row)

    def _artifact(self, path: str) -> int:
        parent, fragment = 0, 0
        parts = path.split("/")
        for count, name in enumerate(parts, 1):
            row: dict[str, object] = {"label": name} | ({"parentId": parent} if parent else {})
            fragment = self._row("pathFragments", tuple(parts[:count]), row)
            parent = fragment
        return self._row("artifacts", path, {"pathFragmentId": fragment})

    def _row(self, table: str, key: object, row: dict[str, object]) -> int:
        known = self._ids.get((table, key))
        if known is None:
            known = self._ids[table, key] = len(self.message[table]) + 1
            self.message[table].append({"id": known, **row})
        return known


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


FORMS: dict[str, Callable[[Iterable[ShownAction]], list[str]]] = {
    "text": text,
    "summary": summary,
    "jsonproto": jsonproto,
}
