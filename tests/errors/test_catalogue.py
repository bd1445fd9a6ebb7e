"""docs/errors.md has a section for every code that buildsys can print, and its examples are goldens."""

from __future__ import annotations

import os
import re

from tests.errors.case import read_case
from tests.errors.process import TOP

DOCUMENT = os.path.join(TOP, "docs", "errors.md")
CASES = os.path.join(os.path.dirname(__file__), "cases")


def _document() -> str:
    with open(DOCUMENT, encoding="utf-8") as stream:
        return stream.read()


def _sections() -> list[str]:
    return re.findall(r"^### (B\d{3}): ", _document(), re.MULTILINE)


def _raised() -> set[str]:
    found: set[str] = set()
    for folder, _, names in os.walk(os.path.join(TOP, "buildsys")):
        for name in names:
            if name.endswith(".py"):
                with open(os.path.join(folder, name), encoding="utf-8") as stream:
                    found.update(re.findall(r'"(B\d{3})"', stream.read()))
    return found


def test_every_code_has_a_section_and_every_section_a_code() -> None:
    assert set(_sections()) == _raised()


def test_sections_stand_in_order_and_once() -> None:
    assert _sections() == sorted(set(_sections()))


def test_every_example_is_printed_by_a_case() -> None:
    printed = "".join(
        read_case(os.path.join(folder, name)).expected for folder, _, names in os.walk(CASES) for name in names
    )
    examples = re.findall(r"(?:^    .*\n)+", _document().partition("\n## ")[2], re.MULTILINE)
    assert examples
    missing = [example for example in examples if re.sub(r"^    ", "", example, flags=re.MULTILINE) not in printed]
    assert not missing
