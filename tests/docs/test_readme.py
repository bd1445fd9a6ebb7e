"""The README shows what the program prints."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_readme_shows_the_output_of_its_first_command(tmp_path: Path) -> None:
    for name in ("BUILD.yaml", ".buildsysrc", "buildsys.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "context", tmp_path / "context")
    readme = (ROOT / "README.md").read_text()
    command = re.search(r"^\./buildsysw (.*?) +#", readme, re.MULTILINE)
    shown = re.search(r"```\n(INFO: Analyzed.*?)```", readme, re.DOTALL)
    assert command
    assert shown
    done = subprocess.run(
        [sys.executable, "-m", "buildsys", *command[1].split()],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    parts = [r"(?:.*\n)*" if line == "..." else re.escape(line) + r"\n" for line in shown[1].splitlines()]
    assert re.fullmatch("".join(parts), done.stderr), done.stderr


def test_links_in_the_documents_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert not broken
