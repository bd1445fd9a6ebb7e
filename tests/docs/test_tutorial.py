"""The tutorial does what it says: its files are written, its commands run, and its output compared.

A line `PATH`: before a block makes the block a file. In a console block, `$` lines are commands and the rest is what
they print (both streams); a line `...` stands for any lines, and `Elapsed time` lines are not compared.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"(?:^`(?P<path>[^`\n]+)`:\n\n)?^```(?P<kind>[a-z]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(body: str) -> list[tuple[str, list[str]]]:
    """Return the commands of a console block, each with the lines that it prints."""
    found: list[tuple[str, list[str]]] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def matches(expected: list[str], printed: list[str]) -> bool:
    """Tell whether what was printed is what is expected."""
    parts = [r"(?:.*\n)*" if line == "..." else re.escape(line) + r"\n" for line in expected]
    text = "".join(line + "\n" for line in printed if "Elapsed time" not in line)
    return re.fullmatch("".join(parts), text) is not None


def test_the_comparison_can_fail() -> None:
    assert matches(["a", "...", "z"], ["a", "b", "c", "z"])
    assert not matches(["a", "z"], ["a", "b", "z"])
    assert commands("$ x\none\n$ y\n") == [("x", ["one"]), ("y", [])]


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    tool = tmp_path / "tools-path"
    tool.mkdir()
    (tool / "buildsys").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m buildsys "$@"\n')
    (tool / "buildsys").chmod(0o755)
    folder = tmp_path / "workspace"
    folder.mkdir()
    root = str(DOCS.parent)
    environment = {**os.environ, "PATH": f"{tool}:{os.environ['PATH']}", "LC_ALL": "C", "HOME": str(tmp_path)}
    environment |= {"PYTHONPATH": root}
    ran = 0
    for block in BLOCK.finditer((DOCS / "tutorial.md").read_text()):
        if block["path"]:
            path = folder / block["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block["body"])
        elif block["kind"] == "console":
            for command, expected in commands(block["body"]):
                done = subprocess.run(
                    ["sh", "-c", f"{command} 2>&1"],
                    cwd=folder,
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert matches(expected, done.stdout.splitlines()), f"$ {command}\n{done.stdout}"
                ran += 1
    assert ran >= 10
