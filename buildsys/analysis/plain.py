"""Plain targets: from the values that loading has read to those that a rule's fields hold, with no nodes in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildsys.analysis.memo import source_target
from buildsys.analysis.values import only_file
from buildsys.model.action import Artifact
from buildsys.sdk.rule import FILE, FILES, STRING, STRING_DICT, STRINGS, TARGET, TARGET_DICT, TARGETS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildsys.analysis.configuration import Reader
    from buildsys.model.label import Label
    from buildsys.model.provider import ConfiguredTarget
    from buildsys.model.target import Target
    from buildsys.sdk.rule import Attribute


def arguments(
    target: Target,
    schema: Mapping[str, Attribute],
    reader: Reader,
    found: Mapping[Label, ConfiguredTarget | Artifact],
) -> dict[str, Any]:
    """Return the values of the attributes of a plain target; `found` is what its dependencies are.

    Raises `BuildError` at no particular place when something is wrong: `values` then says what, and where.
    """
    assert target.values is not None  # noqa: S101 - what a plain target is
    answers = list(found.values())
    if len(answers) < len(target.refs):  # a label that stands twice
        answers = [found[label] for label in target.needs]
    result: dict[str, Any] = {}
    for (name, attribute), value in zip(schema.items(), target.values, strict=True):
        kind = attribute.kind
        if value is None:
            default = attribute.default
            result[name] = reader.expand(default) if kind == STRING and isinstance(default, str) else default
        elif isinstance(value, str):
            result[name] = reader.expand(value) if kind == STRING else value
        elif isinstance(value, tuple):
            result[name] = _several(kind, value, reader, answers)
        elif kind == FILE:
            result[name] = _file(answers[value], name)
        else:
            result[name] = _target(answers[value]) if kind == TARGET else value
    return result


def _several(kind: str, value: tuple[Any, ...], reader: Reader, answers: list[ConfiguredTarget | Artifact]) -> object:
    if kind == STRING_DICT:
        texts = [reader.expand(text) for text in value]
        return dict(zip(texts[::2], texts[1::2], strict=True))
    if kind == STRINGS:
        return tuple([reader.expand(text) for text in value])
    if kind == FILES:
        files: dict[Artifact, None] = {}
        for number in value:
            answer = answers[number]
            files.update(dict.fromkeys((answer,) if isinstance(answer, Artifact) else answer.files))
        return tuple(files)
    if kind == TARGETS:
        return tuple([_target(answers[number]) for number in value])
    assert kind == TARGET_DICT, kind  # noqa: S101 - every kind that has several values is handled above
    return {reader.expand(key): _target(answers[number]) for key, number in zip(value[::2], value[1::2], strict=True)}


def _file(answer: ConfiguredTarget | Artifact, attribute: str) -> Artifact:
    return answer if isinstance(answer, Artifact) else only_file(answer, attribute, None)


def _target(answer: ConfiguredTarget | Artifact) -> ConfiguredTarget:
    return source_target(answer) if isinstance(answer, Artifact) else answer
