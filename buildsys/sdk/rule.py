"""Rules: a frozen dataclass of attributes with one method, `analyse`; its annotations are the schema of BUILD.yaml.

The annotation of a field decides what may be written there:

    str                        text; `{name}` stands for a parameter or a fact, `{{` for a brace
    Template                   text as it is, braces included
    bool, int                  true/false, a whole number
    Literal["a", "b"]          one of the words
    tuple[str, ...]            a list of text
    Mapping[str, str]          a mapping of text
    Artifact                   the label of a source file, or of a target with exactly one file
    tuple[Artifact, ...]       labels and globs (`{glob: ["etc/**"], exclude: [...]}`); all their files, in order
    ConfiguredTarget           the label of a target
    tuple[ConfiguredTarget, ...]   labels of targets
    Mapping[str, ConfiguredTarget]   a mapping to labels of targets

Every value may be a `{select: {condition: value}}`; in lists, items may be selects of lists.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, NewType

from buildsys.model.action import Artifact
from buildsys.model.provider import ConfiguredTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from buildsys.model.provider import Provider
    from buildsys.sdk.context import Context

Template = NewType("Template", str)
"""Text that is not interpolated, such as a command."""

STRING, RAW, BOOL, INT, CHOICE = "string", "text", "bool", "int", "choice"
STRINGS, STRING_DICT, FILE, FILES, TARGET, TARGETS = "strings", "string_dict", "file", "files", "target", "targets"
TARGET_DICT = "target_dict"

LABEL_KINDS = frozenset({FILE, FILES, TARGET, TARGETS, TARGET_DICT})
LIST_KINDS = frozenset({STRINGS, FILES, TARGETS})


def attr(doc: str, default: Any = MISSING) -> Any:
    """Declare an attribute of a rule: `doc` is its reference documentation; without a default it is required."""
    if isinstance(default, Mapping):
        empty = MappingProxyType(dict(default))
        return field(default_factory=lambda: empty, metadata={"doc": doc, "default": empty})
    return field(default=default, metadata={"doc": doc, "default": default})


class Attribute(NamedTuple):
    """An attribute of a rule as the loader sees it."""

    name: str
    kind: str
    doc: str
    required: bool
    default: object = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Base of all rules. `NAME` is the word in BUILD.yaml; the docstring is the reference documentation."""

    NAME: ClassVar[str] = ""

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """Declare outputs and actions and say what dependents may know. Pure: no I/O, no ambient state."""
        raise NotImplementedError


class RuleSet:
    """The rules a workspace may use: the built-in ones, imported when first used, and its own."""

    def __init__(
        self,
        builtin: Iterable[str],
        load: Callable[[str], type[Rule]],
        own: Mapping[str, type[Rule]],
        digests: Mapping[str, str],
    ) -> None:
        self._builtin = frozenset(builtin)
        self._load = load
        self._own = own
        self._found: dict[str, type[Rule]] = {}
        self._schemas: dict[str, dict[str, Attribute]] = {}
        self.module_digests = digests
        """Digest of the source of each module of the workspace: part of the key of the operations defined there."""

    def names(self) -> list[str]:
        """Return the names of all rules."""
        return sorted({*self._builtin, *self._own})

    def __contains__(self, name: object) -> bool:
        return name in self._builtin or name in self._own

    def find(self, name: str) -> type[Rule]:
        """Return the rule called `name`, which must exist."""
        if name not in self._found:
            self._found[name] = self._own[name] if name in self._own else self._load(name)
        return self._found[name]

    def identity(self) -> str:
        """Return what tells the workspace's own rules from others of the same names: their source and attributes."""
        return repr((sorted(self.module_digests.items()), [(name, self.schema(name)) for name in sorted(self._own)]))

    def schema(self, name: str) -> dict[str, Attribute]:
        """Return the attributes of the rule called `name`."""
        if name not in self._schemas:
            self._schemas[name] = schema(self.find(name))
        return self._schemas[name]


def schema(rule: type[Rule]) -> dict[str, Attribute]:
    """Return the attributes of a rule, in the order they are declared."""
    hints = typing.get_type_hints(rule)
    return {f.name: _attribute(f, hints[f.name]) for f in fields(rule)}


def _attribute(declared: Any, hint: Any) -> Attribute:
    kind, choices = _kind(hint)
    if "default" not in declared.metadata:
        raise TypeError(f"'{declared.name}' is not declared with attr(...)")
    default = declared.metadata["default"]
    required = default is MISSING
    return Attribute(declared.name, kind, declared.metadata["doc"], required, None if required else default, choices)


def _kind(hint: Any) -> tuple[str, tuple[str, ...]]:
    simple = {str: STRING, Template: RAW, bool: BOOL, int: INT, Artifact: FILE, ConfiguredTarget: TARGET}
    if hint in simple:
        return simple[hint], ()
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return CHOICE, arguments
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        lists = {str: STRINGS, Artifact: FILES, ConfiguredTarget: TARGETS}
        return lists[arguments[0]], ()
    if origin is Mapping:
        return TARGET_DICT if arguments[1] is ConfiguredTarget else STRING_DICT, ()
    if arguments and type(None) in arguments:
        return _kind(next(argument for argument in arguments if argument is not type(None)))
    raise TypeError(f"an attribute cannot have the type {hint}")
