"""What the author of a rule imports: `Rule`, `attr`, the attribute types, `Context` and the providers."""

from __future__ import annotations

from buildsys.model.action import ActionIO, Artifact, BaseOperation, Operation, Value
from buildsys.model.label import Label
from buildsys.model.provider import (
    ConfiguredTarget,
    DefaultInfo,
    ImageInfo,
    ImageListInfo,
    LayerEntry,
    LayerInfo,
    LayoutInfo,
    Provider,
    RunInfo,
    TestInfo,
    TreeEntry,
    TreeInfo,
)
from buildsys.sdk.context import Context
from buildsys.sdk.rule import Rule, Template, attr

__all__ = [
    "ActionIO",
    "Artifact",
    "BaseOperation",
    "ConfiguredTarget",
    "Context",
    "DefaultInfo",
    "ImageInfo",
    "ImageListInfo",
    "Label",
    "LayerEntry",
    "LayerInfo",
    "LayoutInfo",
    "Operation",
    "Provider",
    "Rule",
    "RunInfo",
    "Template",
    "TestInfo",
    "TreeEntry",
    "TreeInfo",
    "Value",
    "attr",
]
