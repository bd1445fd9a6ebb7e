"""The analyser: configured targets and their actions, each once for all configurations that agree on what it reads.

Targets are analysed depth first over generators, so that chains of any length need no deep stack; a cycle is reported
with its whole path, and every target that can be analysed is, so that all errors come in one go.
"""

from __future__ import annotations

from array import array
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from buildsys.analysis import plain, values
from buildsys.analysis.configuration import Configuration, Reader, choice_text, violated
from buildsys.analysis.context import TargetContext, Tools
from buildsys.analysis.memo import ConfiguredTargets, Memo, source_target
from buildsys.analysis.remarks import Remarks
from buildsys.analysis.selects import Selector
from buildsys.errors import BuildError, BuildErrors, UserError
from buildsys.model.action import Artifact
from buildsys.model.graph import ActionGraph
from buildsys.model.label import Label
from buildsys.model.parameter import BOOL, CHOICE
from buildsys.model.provider import ConfiguredTarget
from buildsys.sdk import foreign

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from buildsys.analysis.configuration import Reads
    from buildsys.kubernetes.pins import Pins
    from buildsys.kubernetes.tables import Tables
    from buildsys.model.action import Action
    from buildsys.model.document import Node
    from buildsys.model.provider import Provider
    from buildsys.model.target import Package, Target, Workspace
    from buildsys.sdk.rule import RuleSet

Request: TypeAlias = tuple[Label, Configuration]
Found: TypeAlias = dict[Label, ConfiguredTarget | Artifact]
"""What the dependencies of a target are: source files are not worth a configured target."""

NOTHING_READ: Reads = MappingProxyType({})


class Inputs(NamedTuple):
    """All that analysis depends on."""

    workspace: Workspace
    packages: Mapping[str, Package]
    rules: RuleSet
    tables: Tables
    pins: Callable[[], Pins]
    broken: Callable[[Label], bool]
    """Tells what could not be loaded: the errors are known, and nothing that needs it can be analysed."""


class Analyser:
    """Analyses targets on demand; `graph` holds the actions of all of them, `errors` what was wrong."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._memo = Memo()
        self.graph = ActionGraph()
        self.errors: list[BuildError] = []
        self.targets = ConfiguredTargets()
        """Every configured target, each after those it depends on."""
        self.remarks = Remarks()
        self._tools = Tools(inputs.rules.module_digests)
        self._counts = array("L")
        """How many actions each of the targets that are no source files has, in the order of `graph`."""
        self._ranges: tuple[dict[tuple[Label, str], slice], int] = ({}, 0)
        self._configs: dict[tuple[str, ...], tuple[str, ...]] = {}
        """Equal tuples are one: most targets have the same."""

    def analyse(self, label: Label, configuration: Configuration) -> ConfiguredTarget | None:
        """Return the configured target, or None when it cannot be analysed; `errors` then says why."""
        stack: dict[Label, Generator[Request, ConfiguredTarget | None, ConfiguredTarget | None]] = {}
        answer: ConfiguredTarget | None = None
        pending: Request | None = (label, configuration)
        while pending is not None or stack:
            if pending is not None:
                request, pending = pending, None
                known = self._memo.find(*request)
                answer = known.target if known else None
                if known is None and request[0] in stack:
                    self._report_cycle(request[0], list(stack))
                elif known is None:
                    stack[request[0]] = self._work(*request)
            if stack:
                try:
                    pending = next(reversed(stack.values())).send(answer)
                except StopIteration as stop:
                    stack.popitem()
                    answer = stop.value
        return answer

    def reads(self, label: Label, configuration: Configuration) -> Reads:
        """Return what a target that was looked at read of a configuration."""
        known = self._memo.find(label, configuration)
        return known.reads if known else {}

    def actions_of(self, target: ConfiguredTarget) -> list[Action]:
        """Return the actions that a configured target itself declares."""
        if self._ranges[1] != len(self._counts):  # few commands ask: a table for all of them would be in the way
            self._ranges = (self._action_ranges(), len(self._counts))
        return self.graph.actions[self._ranges[0].get((target.label, target.config), slice(0))]

    def _action_ranges(self) -> dict[tuple[Label, str], slice]:
        ranges: dict[tuple[Label, str], slice] = {}
        position = 0
        for target, count in zip(self.targets.declared(), self._counts, strict=True):
            ranges[target.label, target.config] = slice(position, position + count)
            position += count
        return ranges

    def _work(
        self, label: Label, configuration: Configuration
    ) -> Generator[Request, ConfiguredTarget | None, ConfiguredTarget | None]:
        """Analyse one target; yields the dependencies it needs and is sent what became of them."""
        if self._inputs.broken(label):
            self._memo.add(label, {}, None)
            return None
        target = self._find(label)
        if target is None:
            source = self._source(label)
            return source_target(source) if source is not None else None
        inner = configuration.with_settings(target.settings)
        reader = Reader(inner, target.at)
        nodes: dict[str, Node] | None = None
        try:
            if target.values is None:
                nodes, wanted = self._attributes(target, reader)
            else:
                wanted = list(dict.fromkeys(target.needs))
        except (BuildError, BuildErrors) as error:
            self._fail(label, reader, target, error)
            return None
        found: Found = {}
        for dependency in wanted:
            source = self._source(dependency)
            if source is not None:
                found[dependency] = source
                continue
            answer = yield (dependency, inner)
            if answer is not None:
                found[dependency] = answer
            known = self._memo.find(dependency, inner)
            if known is not None:
                reader.reads.update(known.reads)
            else:
                # a cycle, whose other members have not read all they will: what is said here holds for this case alone
                reader.reads.update({name: inner.explicit(name) for name in inner.parameters})
        try:
            self._check_visibility(target, found)
            if len(found) == len(wanted):
                return self._configured(target, reader, nodes, found)
            self._fail(label, reader, target, None)
        except (BuildError, BuildErrors) as error:
            self._fail(label, reader, target, error)
        return None

    def _source(self, label: Label) -> Artifact | None:
        """Return the source file that a label names; None for targets and for what could not be loaded."""
        known = self.targets.known_source(label)
        if known is None and self._find(label) is None and not self._inputs.broken(label):
            known = self.targets.add_source(label)
        return known

    def _attributes(self, target: Target, reader: Reader) -> tuple[dict[str, Node], list[Label]]:
        """Resolve the selects of a target; return its attributes and the labels in them."""
        selector = Selector(reader, target.label.package, self._inputs.workspace.parameters, self._find)
        schema = self._inputs.rules.schema(target.rule)
        package = self._inputs.packages[target.label.package]
        nodes: dict[str, Node] = {}
        wanted: dict[Label, None] = {}
        errors: list[BuildError] = []
        for name, node in target.attributes.items():
            try:
                resolved = selector.resolve(node, name)
                if resolved is not None:
                    nodes[name] = resolved
                    wanted.update(
                        dict.fromkeys(values.labels(resolved, schema[name], target.label.package, package.globs))
                    )
            except BuildError as error:
                error.message = f"{target.label}: {error.message}"
                errors.append(error)
        if errors:
            raise BuildErrors(errors)
        return nodes, list(wanted)

    def _configured(
        self, target: Target, reader: Reader, nodes: Mapping[str, Node] | None, found: Found
    ) -> ConfiguredTarget:
        inputs, label = self._inputs, target.label
        arguments = self._arguments(target, reader, nodes, found)
        variant = str(self._memo.count(label) or "")
        context = TargetContext(target, reader, inputs.tables, inputs.pins, self._tools, inputs.workspace, variant)
        providers, actions = self._run_rule(target, arguments, context, reader)
        if broken := violated(
            [c for c in inputs.workspace.constraints if all(name in reader.reads for name, _ in c.forbid.terms)], reader
        ):
            raise BuildErrors(broken)
        outer = _outer_reads(reader, target)
        config = _config_text(reader.reads)
        self.remarks.add(context.remarks, reader.chosen)
        self._counts.append(len(actions))
        for action in actions:
            self.graph.add(action)
        configs = tuple(["" if isinstance(answer, Artifact) else answer.config for answer in found.values()])
        needs = tuple([answer if isinstance(answer, Artifact) else answer.label for answer in found.values()])
        made = ConfiguredTarget(
            label,
            target.kind,
            config,
            providers,
            target.at,
            needs,
            self._configs.setdefault(configs, configs),
            outer,
        )
        made = made._replace(origins=_origins(made, found.values()))
        self._memo.add(label, outer, made)
        self.targets.append(made)
        return made

    def _arguments(
        self, target: Target, reader: Reader, nodes: Mapping[str, Node] | None, found: Found
    ) -> dict[str, Any]:
        """Return the values of the fields of a rule. Raises `BuildErrors` with all that is wrong in them."""
        schema = self._inputs.rules.schema(target.rule)
        if nodes is None:
            try:
                return plain.arguments(target, schema, reader, found)
            except BuildError:
                pass  # it comes below, with its place and all that is wrong beside it
            nodes = target.attributes
        label, package = target.label, self._inputs.packages[target.label.package]
        answers = {need: source_target(a) if isinstance(a, Artifact) else a for need, a in found.items()}
        arguments: dict[str, Any] = {}
        errors: list[BuildError] = []
        for name, attribute in schema.items():
            try:
                if name not in nodes and attribute.required:
                    message = f"{label}: no value for mandatory attribute '{name}' in this configuration"
                    raise UserError("B202", message, at=target.at, hint="give each branch of the select a value")
                if name not in nodes:
                    arguments[name] = values.default(attribute, reader, target.at)
                    continue
                arguments[name] = values.value(
                    nodes[name], attribute, reader, label.package, package.globs, answers.__getitem__
                )
            except BuildError as error:
                errors.append(error)
            except BuildErrors as several:
                errors.extend(several.errors)
        if errors:
            raise BuildErrors(errors)
        return arguments

    def _run_rule(
        self, target: Target, arguments: dict[str, Any], context: TargetContext, reader: Reader
    ) -> tuple[tuple[Provider, ...], list[Action]]:
        """Have the rule analyse the target; what a rule of the workspace raises is an error in its module."""
        kind = self._inputs.rules.find(target.rule)
        try:
            providers = kind(**arguments).analyse(context)
            if foreign.is_foreign(kind):
                foreign.check_providers(providers)
            return providers, context.actions(self._identity(reader), choice_text(reader.chosen))
        except (UserError, BuildErrors):
            raise
        except (Exception, SystemExit) as error:
            if not foreign.is_foreign(kind):
                raise
            raise UserError(
                "B229",
                f"{target.label}: the rule '{target.rule}' failed: {foreign.described(error)}",
                at=foreign.place(error, kind, "analyse"),
                hint=foreign.HINT,
                notes=(f"the target is declared at {target.at}",),
            ) from error

    def _identity(self, reader: Reader) -> str:
        """Return what tells an action apart from build to build: its choices, but no versions, which may change.

        Where one build is of several versions, these tell its actions apart.
        """
        if not reader.reads:
            return ""
        kinds = {name: parameter.kind for name, parameter in self._inputs.workspace.parameters.items()}
        kept = {n: v for n, v in reader.reads.items() if kinds[n] in {CHOICE, BOOL} or n in reader.varied}
        return _config_text(kept)

    def _fail(self, label: Label, reader: Reader, target: Target, error: BuildError | BuildErrors | None) -> None:
        found = error.errors if isinstance(error, BuildErrors) else () if error is None else (error,)
        choice = choice_text(reader.chosen)
        for each in found:
            each.cases = (choice,) if choice else ()
        self.errors.extend(found)
        self._memo.add(label, _outer_reads(reader, target), None)

    def _find(self, label: Label) -> Target | None:
        package = self._inputs.packages.get(label.package)
        return package.targets.get(label.name) if package else None

    def _check_visibility(self, target: Target, found: Found) -> None:
        for dependency in found.values():
            if isinstance(dependency, Artifact):
                continue
            declared = self._find(dependency.label)
            if declared is not None and not _visible(declared, target.label.package):
                raise UserError(
                    "B222",
                    f"in {target.rule} rule {target.label}: target '{dependency.label}' is not visible from target"
                    f" '{target.label}'",
                    at=next((at for label, at in target.deps if label == dependency.label), target.at),
                    hint="check the visibility declaration of the former target"
                    " if you think the dependency is legitimate",
                )

    def _report_cycle(self, label: Label, path: list[Label]) -> None:
        members = path[path.index(label) :]
        target = self._find(label)
        lines = [f".-> {members[0]}"]
        lines += [f"|   {member}" for member in members[1:]]
        lines += [f"`-- {label}"]
        self.errors.append(
            UserError(
                "B301",
                f"in {target.rule if target else 'a'} rule {label}: cycle in dependency graph:\n" + "\n".join(lines),
                at=target.at if target else None,
                hint="remove one of these dependencies",
            )
        )


def _origins(
    target: ConfiguredTarget, dependencies: Iterable[ConfiguredTarget | Artifact]
) -> Mapping[Artifact, Mapping[str, str | None]] | None:
    """Return what the makers of those files of a target read that are not its own."""
    others = [dependency for dependency in dependencies if isinstance(dependency, ConfiguredTarget)]
    own = {artifact for artifact in target.files if not artifact.is_source} if others else set()
    found: dict[Artifact, Mapping[str, str | None]] = {}
    for dependency in others:
        for artifact in own.intersection(dependency.files):
            found[artifact] = (dependency.origins or {}).get(artifact, dependency.reads or {})
    return found or None


def _outer_reads(reader: Reader, target: Target) -> Reads:
    """Return what a target reads of the configuration it is asked for under: its matrix row decides the rest."""
    if not reader.reads:
        return NOTHING_READ
    fixed = {name for name, _ in target.settings}
    return {name: value for name, value in reader.reads.items() if name not in fixed}


def _config_text(reads: Reads) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(reads.items()) if value is not None)


def _visible(target: Target, package: str) -> bool:
    if target.label.package == package or not target.visibility:
        return True
    for pattern in target.visibility:
        place, _, name = pattern.removeprefix("//").partition(":")
        if pattern == "//visibility:public" or (name == "__pkg__" and place == package):
            return True
        if name == "__subpackages__" and (place in {"", package} or package.startswith(place + "/")):
            return True
    return False
