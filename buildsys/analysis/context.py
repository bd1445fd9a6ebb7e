"""The context that a rule's `analyse` is given: implements `sdk.Context` for one target and configuration."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

from buildsys.adapters.tools import tool_version
from buildsys.errors import Location, UserError
from buildsys.model import document
from buildsys.model.action import Artifact, make_action, shown_path
from buildsys.model.tree import path_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from buildsys.analysis.configuration import Reader
    from buildsys.kubernetes.pins import LockedImage, Pins
    from buildsys.kubernetes.tables import Tables
    from buildsys.model.action import Action, Operation
    from buildsys.model.digest import Digest
    from buildsys.model.label import Label
    from buildsys.model.target import Target, Workspace


class TargetContext:
    """One target under one configuration."""

    def __init__(
        self,
        target: Target,
        reader: Reader,
        tables: Tables,
        pins: Callable[[], Pins],
        tools: Tools,
        workspace: Workspace,
        variant: str,
    ) -> None:
        self.label: Label = target.label
        self.tables = tables
        self.remarks: list[str] = []
        self._registered: list[tuple[Operation, tuple[Artifact, ...], str]] = []
        self.lockfile = workspace.lockfile
        self.sources = workspace.packages if workspace.packages != "." else ""
        self._variant = variant
        self._target = target
        self._reader = reader
        self._pins = pins
        self._tools = tools
        self._declared: set[str] = set()
        self._places: dict[str, dict[str, Location]] = {}

    def at(self, attribute: str = "", item: str = "") -> Location:
        """Return the place of an attribute's value (or of an item or key in it), or of the target."""
        node = self._target.attributes.get(attribute)
        if node is None:
            return self._target.at
        if not item:
            return node.at
        if attribute not in self._places:
            self._places[attribute] = dict(reversed(list(_places(node))))
        return self._places[attribute].get(item, node.at)

    def param(self, name: str, attribute: str = "", item: str = "") -> str:
        """Return the value of a parameter; `attribute` (and `item`) say where it is named."""
        return self._reader.param(name, self.at(attribute, item))

    def has_param(self, name: str) -> bool:
        """Tell whether the workspace declares a parameter."""
        return self._reader.has(name)

    def expand(self, text: str, attribute: str = "") -> str:
        """Replace `{name}` by parameters and facts."""
        return self._reader.expand(text, self.at(attribute))

    def pin(self, name: str, version: str, arch: str) -> Digest | None:
        """Return the locked digest of an external file."""
        found = self._pins().find(name, version, arch)
        return found.sha256 if found else None

    def images(self) -> tuple[LockedImage, ...]:
        """Return the images of the lock file."""
        return self._pins().images()

    def shown(self, artifact: Artifact) -> str:
        """Return the path of an artifact as messages show it."""
        return shown_path(artifact, self.sources)

    def declare(self, name: str, attribute: str = "out", item: str = "") -> Artifact:
        """Name an output of this target; `attribute` (and `item`) say where its name is written."""
        if fault := path_fault(name):
            hint = "outputs are relative to the package and stay below it"
            self.fail("B221", f"invalid output: {fault}", attribute=attribute, item=item, hint=hint)
        if name in self._declared:
            hint = "give each output a name of its own"
            self.fail("B221", f"the output '{name}' is declared twice", attribute=attribute, item=item, hint=hint)
        self._declared.add(name)
        return Artifact(self.label.package, name, self.label.name, self._variant)

    def remark(self, text: str) -> None:
        """Have a build say something that its user should know."""
        self.remarks.append(text)

    def register(self, operation: Operation, outputs: Sequence[Artifact], progress: str = "") -> None:
        """Register the action that makes `outputs`."""
        self._registered.append((operation, tuple(outputs), progress))

    def mode(self, text: str, attribute: str = "mode") -> int | None:
        """Return the file mode that `text` writes in octal; None for the empty text."""
        if not text:
            return None
        if not re.fullmatch("[0-7]{3,4}", text):
            self.fail("B224", f"'{text}' is no mode", attribute=attribute, hint='write it in octal: "0755"')
        return int(text, 8)

    def fail(self, code: str, message: str, *, attribute: str = "", item: str = "", hint: str = "") -> NoReturn:
        """Report an error at an attribute (or an item or key in it), or at the target."""
        raise UserError(code, f"{self.label}: {message}", at=self.at(attribute, item), hint=hint)

    def actions(self, config: str, choice: str) -> list[Action]:
        """Return the actions registered; `config` and `choice` are the texts that `Action` has."""
        return [
            make_action(
                operation,
                outputs,
                owner=self.label,
                config=config,
                choice=choice,
                progress=progress,
                tools=self._tools.of(operation),
                at=self._target.at,
            )
            for operation, outputs, progress in self._registered
        ]


class Tools:
    """The versions that shape what operations make: those of their tools, and of the workspace's own modules."""

    def __init__(self, module_digests: Mapping[str, str]) -> None:
        self._module_digests = module_digests
        self._known: dict[tuple[str, tuple[str, ...]], Mapping[str, str]] = {}

    def of(self, operation: Operation) -> Mapping[str, str]:
        """Return the version of each tool of an operation; operations with the same tools share one mapping."""
        module, names = type(operation).__module__, operation.tools
        known = self._known.get((module, names))
        if known is None:
            known = {name: tool_version(name) for name in names}
            if module in self._module_digests:
                known[module] = self._module_digests[module]
            self._known[module, names] = known
        return known


def _places(node: document.Node) -> Iterator[tuple[str, Location]]:
    """Yield each text in a value that can be named as an item, with its place: keys of mappings, items of lists."""
    if isinstance(node, document.Scalar):
        yield node.text, node.at
    elif isinstance(node, document.Sequence):
        for inner in node.items:
            yield from _places(inner)
    else:
        for key, inner in node.items:
            yield key.text, key.at
            if not isinstance(inner, document.Scalar):
                yield from _places(inner)
