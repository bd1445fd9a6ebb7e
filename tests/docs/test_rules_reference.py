"""docs/rules.md is what the rules say of themselves. BUILDSYS_UPDATE_GOLDENS=1 writes it anew."""

from __future__ import annotations

import os
from pathlib import Path

from buildsys import rules
from buildsys.report.rule_reference import TYPES, reference
from buildsys.sdk.rule import RuleSet, schema

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


def test_the_reference_is_up_to_date() -> None:
    text = reference(RuleSet(rules.names(), rules.load, {}, {}))
    if os.environ.get("BUILDSYS_UPDATE_GOLDENS"):
        PAGE.write_text(text)
    assert text == PAGE.read_text()


def test_every_rule_and_attribute_is_documented() -> None:
    for name in rules.names():
        rule = rules.load(name)
        assert name == rule.NAME
        assert rule.__doc__
        for attribute in schema(rule).values():
            assert attribute.doc.endswith("."), f"{name}.{attribute.name}: a sentence ends with a stop"
            assert attribute.choices or attribute.kind in TYPES
