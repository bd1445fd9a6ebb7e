"""Fixtures that tests of several packages share."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from buildsys import snapshot
from tests.space import Space
from tests.workspaces import SmallWorkspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AGES_NS = 60_000_000_000

settings.register_profile("loaded", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("loaded")  # a machine with much else to do is no fault of what is tested


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> SmallWorkspace:
    """Return a small workspace, which is also the working directory."""
    return SmallWorkspace(tmp_path, monkeypatch, capfd)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Let every build begin long after whatever was written, and know no user's files."""
    monkeypatch.setattr(snapshot, "now_ns", lambda: time.time_ns() + AGES_NS)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BUILDSYS_CACHE", raising=False)
    monkeypatch.delenv("BUILDSYSRC", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def space(tmp_path: Path, later: None) -> Space:
    """Return a small workspace whose files are older than they are."""
    return Space(tmp_path / "w")
