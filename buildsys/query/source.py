"""Targets as they could be written in BUILD.yaml: `--output=build`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from buildsys.model.document import STRING, Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from buildsys.model.target import Target

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./+=-]*(:[A-Za-z0-9_./+=-]+)?")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
WIDTH = 100


def written(target: Target) -> str:
    """Return a target as YAML, below a comment that says where it is declared; rows of a matrix are resolved."""
    lines = [f"# {target.at}", f"- rule: {target.rule}", f"  name: {_scalar(target.label.name)}"]
    for name, value in target.settings:
        lines.append(f"  # {name}={value}")
    for name, node in target.attributes.items():
        lines += _entry(name, node, "  ")
    for name, texts in (("tags", target.tags), ("visibility", target.visibility)):
        if texts:
            lines.append(f"  {name}: [{', '.join(_scalar(text) for text in texts)}]")
    return "\n".join([*lines, ""])


def _entry(key: str, node: Node, indent: str) -> list[str]:
    """Return `key: value`: on one line where it fits, else in a block."""
    flow = f"{indent}{key}: {_flow(node)}"
    if isinstance(node, Scalar) or len(flow) <= WIDTH or not node.items:
        return [flow]
    inner = indent + "  "
    if isinstance(node, Sequence):
        return [f"{indent}{key}:", *(f"{inner}- {_flow(item)}" for item in node.items)]
    return [f"{indent}{key}:", *(line for name, item in node.items for line in _entry(_key(name), item, inner))]


def _flow(node: Node) -> str:
    if isinstance(node, Scalar):
        return node.text if node.kind != STRING else _scalar(node.text)
    if isinstance(node, Sequence):
        return f"[{', '.join(_flow(item) for item in node.items)}]"
    assert isinstance(node, Mapping)  # noqa: S101 - the last of the three kinds of node
    return f"{{{', '.join(f'{_key(key)}: {_flow(item)}' for key, item in node.items)}}}"


def _key(key: Scalar) -> str:
    return _scalar(key.text)


def _scalar(text: str) -> str:
    """Return text as a YAML scalar: plain where nothing in it could be taken for something else, else quoted."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)
