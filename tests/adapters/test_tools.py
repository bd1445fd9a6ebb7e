"""Versions of tools are those of what is imported."""

from __future__ import annotations

import sys
import zlib
from importlib import metadata
from pathlib import Path

import pytest

from buildsys.adapters import tools
from buildsys.errors import InternalError


@pytest.fixture(autouse=True)
def fresh() -> None:
    tools.tool_version.cache_clear()


@pytest.mark.parametrize(("tool", "distribution"), [("jinja2", "Jinja2"), ("pyyaml", "PyYAML")])
def test_the_version_is_the_installed_one(tool: str, distribution: str) -> None:
    assert tools.tool_version(tool) == metadata.version(distribution)
    assert tools.tool_version("zlib") == zlib.ZLIB_RUNTIME_VERSION


def test_the_first_folder_on_the_path_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jinja2-9.9.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "absent"), str(tmp_path), *sys.path])
    assert tools.tool_version("jinja2") == "9.9"


def test_two_versions_in_one_folder_are_settled_by_the_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("1.0", "2.0"):
        (tmp_path / f"Jinja2-{version}.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(metadata, "version", lambda name: f"said of {name}")
    assert tools.tool_version("jinja2") == "said of Jinja2"


def test_an_unknown_tool_is_a_defect() -> None:
    with pytest.raises(InternalError, match="no version is known for the tool 'gcc'"):
        tools.tool_version("gcc")
