"""Explanations: why an action had to run, as the difference of two descriptors.

The descriptor is what the key is the digest of, so an explanation says all that can have made the key another, and
nothing else. Pure: blobs are read by whoever asks for their differences.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INPUT, PARAMETER, TOOL, IMPLEMENTATION, OPERATION, ORDER = (
    "input",
    "parameter",
    "tool",
    "implementation",
    "operation",
    "order of inputs",
)


class Change(NamedTuple):
    """Something in a descriptor that is not as it was: what, by which name, and its old and new value.

    None stands for what was, or is, not there. Values of inputs are tokens: `tree:DIGEST`, `DIGEST+x`.
    """

    what: str
    name: str
    before: str | None
    after: str | None


def compare(before: str, after: str, before_names: Sequence[str], after_names: Sequence[str]) -> list[Change]:
    """Return every difference of two descriptors, whose inputs have these names; none iff they are equal."""
    if before == after:
        return []
    old, new = json.loads(before), json.loads(after)
    changes: list[Change] = []
    if old["mnemonic"] != new["mnemonic"]:
        changes.append(Change(OPERATION, "", old["mnemonic"], new["mnemonic"]))
    if old["version"] != new["version"]:
        changes.append(Change(IMPLEMENTATION, new["mnemonic"], str(old["version"]), str(new["version"])))
    changes += _entries(TOOL, old["tools"], new["tools"])
    old_names, new_names = _unique(before_names, old["inputs"]), _unique(after_names, new["inputs"])
    changes += _entries(PARAMETER, _flat(old["params"], old_names), _flat(new["params"], new_names))
    old_inputs = dict(zip(old_names, old["inputs"], strict=True))
    new_inputs = dict(zip(new_names, new["inputs"], strict=True))
    changes += _entries(INPUT, old_inputs, new_inputs)
    return changes or [Change(ORDER, "", ", ".join(old_names), ", ".join(new_names))]


def _entries(what: str, old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    names = dict.fromkeys([*old, *new])
    return [Change(what, name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def _unique(names: Sequence[str], tokens: Sequence[str]) -> list[str]:
    """Return a name for each input; those that are named alike, or not at all, are told apart by a number."""
    found: list[str] = []
    counts: dict[str, int] = {}
    for position in range(len(tokens)):
        name = names[position] if position < len(names) else f"input {position + 1}"
        counts[name] = counts.get(name, 0) + 1
        found.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return found


def _flat(params: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """Return parameters by name; the entries of a list of pairs each by a name of their own, such as `vars.cri`."""
    found: dict[str, str] = {}
    for name, value in params.items():
        pairs = _pairs(value)
        if pairs is None:
            found[name] = _text(value, names)
            continue
        for key, item in pairs.items():
            found[f"{name}.{key}"] = _text(item, names)
        if not pairs:
            found[name] = "[]"
    return found


def _pairs(value: Any) -> dict[str, Any] | None:
    """Return a list of [name, value] pairs as a mapping, or None when it is something else."""
    if not isinstance(value, list):
        return None
    if not all(isinstance(item, list) and len(item) == 2 and isinstance(item[0], str) for item in value):
        return None
    keys = [item[0] for item in value]
    return dict(value) if len(set(keys)) == len(keys) and keys == sorted(keys) else None


def _text(value: Any, names: Sequence[str]) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(_named(value, names), separators=(",", ":"), ensure_ascii=False)


def _named(value: Any, names: Sequence[str]) -> Any:
    """Return a parameter with the names of inputs in place of their numbers, which shift when one is added."""
    if isinstance(value, dict):
        number = value.get("$input")
        return {"$input": names[number]} if isinstance(number, int) and number < len(names) else value
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    return value
