"""Every case of bad input in `cases/`: place, caret, reason, hint and exit code, as a golden (see `case.py`)."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.errors import process, registry
from tests.errors.case import UPDATE, lay_out, normalised, read_case, write_expected

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.errors.case import Case

CASES = os.path.join(os.path.dirname(__file__), "cases")


def _names() -> list[str]:
    return sorted(
        os.path.relpath(os.path.join(folder, name), CASES).removesuffix(".case")
        for folder, _, names in os.walk(CASES)
        for name in names
    )


@pytest.mark.parametrize("name", _names())
def test_bad_input_is_reported_with_place_reason_and_next_step(
    name: str,
    root: str,
    http: str,
    run: Callable[[list[str]], tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = read_case(os.path.join(CASES, f"{name}.case"))
    actual = _printed(case, root, http, run, monkeypatch)
    if UPDATE:
        write_expected(case, actual)
    assert actual == case.expected or UPDATE
    assert not _without_hint(actual)
    assert "exit 37" not in actual
    assert "Traceback" not in actual
    assert "buildsys clean" not in actual
    _check_store(root)
    if name.startswith("downloads"):
        return  # the server remembers what it was asked
    _keep_parsed(root)
    assert _printed(case, root, http, run, monkeypatch) == actual, "it is another one when packages are known"


def _printed(
    case: Case, root: str, http: str, run: Callable[[list[str]], tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> str:
    """Run a case in an empty folder; return what it prints."""
    words = {"@HTTP@": http, "@HOST@": http.removeprefix("http://"), "@ROOT@": root}
    monkeypatch.chdir(root)
    lay_out(case, root, {**words, **registry.words()})
    printed = []
    for command in case.commands:
        if command[0] == "cd":
            monkeypatch.chdir(os.path.join(root, command[1]))
            continue
        code, text = run([_filled(word, words) for word in command])
        printed.append(f"exit {code}\n{normalised(text, words)}")
    return "".join(printed)


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def _check_store(root: str) -> None:
    """Assert that nothing half-written is in the store: what is there is whole, and nobody's rubbish is left."""
    store = os.path.join(root, "cache/v1")
    assert process.files(os.path.join(store, "tmp")) == []
    for name in process.files(os.path.join(store, "cas")):
        with open(os.path.join(store, "cas", name), "rb") as stream:
            assert hashlib.file_digest(stream, "sha256").hexdigest() == os.path.basename(name)
    if os.path.exists(os.path.join(store, "index.sqlite")):
        with closing(sqlite3.connect(os.path.join(store, "index.sqlite"))) as index:
            for digest, data in index.execute("SELECT digest, data FROM pack"):
                assert hashlib.sha256(data).digest() == digest


def _keep_parsed(root: str) -> None:
    """Empty a workspace of all but what was parsed in it."""
    kept = os.path.join(root, "buildsys-out/packages")
    aside = f"{root}.packages"
    if os.path.isdir(kept):
        os.rename(kept, aside)
    shutil.rmtree(root)
    os.makedirs(root)
    if os.path.isdir(aside):
        os.makedirs(os.path.dirname(kept))
        os.rename(aside, kept)


def _without_hint(printed: str) -> list[str]:
    """Return the errors that do not say what to do next."""
    blocks = re.split(r"^(?=ERROR: |WARNING: |INFO: |FAILED: |Target |exit )", printed, flags=re.MULTILINE)
    return [block for block in blocks if re.match(r"ERROR: .*\[B", block) and "\n  hint: " not in block]
