"""docs/errors.md has a section for every code that buildsys can print, and its examples are goldens."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TypeGuard

from buildsys import errors
from buildsys.store.lock import LockHeld
from tests.errors.case import read_case
from tests.errors.process import TOP

DOCUMENT = os.path.join(TOP, "docs", "errors.md")
CASES = os.path.join(os.path.dirname(__file__), "cases")


def _document() -> str:
    with open(DOCUMENT, encoding="utf-8") as stream:
        return stream.read()


def _sections() -> list[str]:
    return re.findall(r"^### (B\d{3}): ", _document(), re.MULTILINE)


def _sources() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in sorted(Path(TOP, "buildsys").rglob("*.py")))


def _raised() -> set[str]:
    return set(re.findall(r'"(B\d{3})"', _sources()))


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


def _exit_codes() -> dict[str, set[int]]:
    """Return the exit codes that the table at the top of the document gives each code."""
    found: dict[str, set[int]] = {}
    for row in re.findall(r"^\| (\d+) \| .* \| (.*) \|$", _document(), re.MULTILINE):
        for first, last in re.findall(r"B(\d\w\w)(?:-B(\d\d\d))?", row[1].partition(", and")[0]):
            low, high = int(first.replace("x", "0")), int((last or first).replace("x", "9"))
            for number in range(low, high + 1):
                found.setdefault(f"B{number:03}", set()).add(int(row[0]))
    return found


def test_the_table_of_exit_codes_says_what_the_errors_are() -> None:
    kinds = {kind.__name__: kind.exit_code for kind in (*vars(errors).values(), LockHeld) if _is_error(kind)}
    table = _exit_codes()
    assert set(_sections()) <= set(table)
    wrong = {
        (code, kind)
        for kind, code in re.findall(r'(\w+)\(\s*"(B\d{3})"', _sources())
        if kind in kinds and kinds[kind] not in table[code]
    }
    assert not wrong


def _is_error(kind: object) -> TypeGuard[type[errors.BuildError]]:
    return isinstance(kind, type) and issubclass(kind, errors.BuildError)
