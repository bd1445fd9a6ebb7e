"""Keys: every field of every operation takes part or is exempt with a reason, and no key changes by accident.

`goldens/keys.txt` holds the descriptor of one sample of each operation. A change there is a change of cache keys: say
so in CHANGELOG.md, then write the file anew with BUILDSYS_UPDATE_GOLDENS=1.
"""

from __future__ import annotations

import dataclasses
import json
import os
import typing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from buildsys import actions
from buildsys.actions.render import Render
from buildsys.model.action import Action, Artifact, BaseOperation, Operation, Value, action_key, make_action
from buildsys.model.label import Label

GOLDEN = Path(__file__).parent / "goldens" / "keys.txt"
OUT = (Artifact("p", "out", "t"),)


def operations() -> list[type[BaseOperation]]:
    """Return the class of every operation that buildsys defines."""
    folder = Path(str(actions.__file__)).parent
    found = []
    for path in sorted(folder.glob("*.py")):
        module = import_module(f"buildsys.actions.{path.stem}") if path.stem != "__init__" else actions
        found += [
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, BaseOperation)
            and value is not BaseOperation
            and value.__module__ == module.__name__
        ]
    return found


def sample(hint: Any, seed: int, name: str) -> Any:
    """Return a value of an annotation; two seeds give two values."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if type(None) in arguments:
        return sample(arguments[0], seed, name)
    if hint is bool:
        return bool(seed % 2)
    if hint is int:
        return 1 + seed
    if hint is str:
        return {"compression": ("zstd", "gzip")[seed % 2]}.get(name, f"text-{seed}")
    if hint is Artifact:
        return Artifact("p", f"in-{name}-{seed}")
    if origin is tuple:
        inner = arguments[:1] if arguments[-1] is Ellipsis else arguments
        return tuple(sample(argument, seed, f"{name}{i}") for i, argument in enumerate(inner))
    if isinstance(hint, type) and issubclass(hint, tuple):
        hints = typing.get_type_hints(hint)
        return hint(*(sample(hints[field], seed, field) for field in hint._fields))  # type: ignore[attr-defined]
    raise TypeError(hint)


def hints_of(operation: type[BaseOperation]) -> dict[str, Any]:
    module = import_module(operation.__module__)
    names = {**vars(import_module("collections.abc")), **vars(module)}
    return typing.get_type_hints(operation, names, {"Artifact": Artifact})


def make(operation: type[BaseOperation], **changes: Any) -> Action:
    hints = hints_of(operation)
    values = {f.name: sample(hints[f.name], 0, f.name) for f in dataclasses.fields(operation)} | changes  # type: ignore[arg-type]
    made = operation(**values)
    assert isinstance(made, Operation)
    return make_action(made, OUT, owner=Label("p", "t"), config="", progress="", tools=dict.fromkeys(made.tools, "1.0"))


def key(action: Action) -> str:
    """Return the key, with inputs whose digests follow from their names."""
    values = [Value(f"{sum(artifact.name.encode()):064x}", 1) for artifact in action.inputs]
    return action_key(action.descriptor(values))


def fields() -> list[tuple[type[BaseOperation], dataclasses.Field[Any]]]:
    return [(operation, f) for operation in operations() for f in dataclasses.fields(operation)]  # type: ignore[arg-type]


def test_there_are_operations() -> None:
    assert {o.__name__ for o in operations()} >= {"Download", "Extract", "Merge", "Render", "Tarball", "Write"}


@pytest.mark.parametrize(("operation", "field"), fields(), ids=lambda x: getattr(x, "__name__", getattr(x, "name", "")))
def test_a_field_is_in_the_key_or_exempt_with_a_reason(
    operation: type[BaseOperation], field: dataclasses.Field[Any]
) -> None:
    other = sample(hints_of(operation)[field.name], 1, field.name)
    changed = key(make(operation)) != key(make(operation, **{field.name: other}))
    if "exempt" in field.metadata:
        assert not changed
        assert len(field.metadata["exempt"]) > 15, "say why it cannot change the bytes"
    else:
        assert changed


def test_a_field_that_was_added_leaves_keys_as_they_were_until_it_is_used() -> None:
    plain, with_text = make(Render, texts=()), make(Render)
    assert '"texts"' not in plain.static
    assert '"texts"' in with_text.static
    values = [Value(f"{0:064x}", 1)]
    before = "919bf6b91c98e785206150ed511ed06754b77d4c1bbfa8b482d1e740ec348f27"  # of version 1, without `texts`
    assert action_key(plain.descriptor(values)) == before


def test_every_field_of_an_action_is_in_its_key_or_exempt_with_a_reason() -> None:
    for field in dataclasses.fields(Action):
        assert field.name == "operation" or set(field.metadata) & {"key", "exempt"}, field.name


@pytest.mark.parametrize("operation", operations(), ids=lambda o: o.__name__)
def test_the_implementation_and_its_tools_are_in_the_key(
    operation: type[BaseOperation], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make(operation)
    key_before = key(before)
    monkeypatch.setattr(operation, "VERSION", 999)
    assert key(make(operation)) != key_before
    other_tool = make_action(
        before.operation, OUT, owner=before.owner, config="", progress="", tools={"library": "2.0"}
    )
    assert key(other_tool) != key(before)


def test_keys_are_what_they_were() -> None:
    lines = []
    for operation in operations():
        action = make(operation)
        descriptor = action.descriptor([Value(f"{n:064x}", 1) for n, _ in enumerate(action.inputs)])
        assert json.loads(descriptor)["mnemonic"] == action.operation.MNEMONIC
        assert descriptor == json.dumps(
            json.loads(descriptor), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ), "the descriptor is canonical"
        lines.append(f"{action_key(descriptor)} {descriptor}\n")
    text = "".join(sorted(lines, key=lambda line: line.split(" ", 1)[1]))
    if os.environ.get("BUILDSYS_UPDATE_GOLDENS"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), "cache keys changed"
