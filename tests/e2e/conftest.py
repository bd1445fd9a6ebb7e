"""What end-to-end tests share: stores of other programs."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def podman(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment in which podman has a store of its own."""
    config = tmp_path / "storage.conf"
    config.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/graph"\nrunroot = "{tmp_path}/run"\n')
    yield {"CONTAINERS_STORAGE_CONF": str(config)}
    subprocess.run(["chmod", "-R", "u+rwX", str(tmp_path)], check=False)
