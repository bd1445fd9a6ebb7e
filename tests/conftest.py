"""Fixtures that tests of several packages share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.workspaces import SmallWorkspace

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> SmallWorkspace:
    """Return a small workspace, which is also the working directory."""
    return SmallWorkspace(tmp_path, monkeypatch, capfd)
