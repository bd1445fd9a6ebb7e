"""--downloader_config as a user meets it: other addresses, the same bytes, the same keys; and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildsys.model.digest import digest_bytes
from tests.e2e.workspace import Workspace

DATA = b"as pinned\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "workspace"
    (root / "tools").mkdir(parents=True)
    (root / "BUILD.yaml").write_text("workspace: mirrored\n")
    (root / "tools" / "BUILD.yaml").write_text(
        "targets:\n"
        "  - rule: http_file\n"
        "    name: tool\n"
        "    arch: any\n"
        f"    sha256: {digest_bytes(DATA)}\n"
        "    urls: ['https://upstream.invalid/release/tool']\n"
    )
    (tmp_path / "mirror" / "release").mkdir(parents=True)
    (tmp_path / "mirror" / "release" / "tool").write_bytes(DATA)
    (root / "mirror.cfg").write_text(f"rewrite upstream.invalid/(.*) file://{tmp_path}/mirror/$1\n")
    return Workspace(root)


def test_a_rewritten_download_has_the_key_of_the_original(workspace: Workspace, tmp_path: Path) -> None:
    assert workspace.build("//tools:tool", "--downloader_config=mirror.cfg").actions == 1
    assert (workspace.root / "buildsys-bin/tools/tool").read_bytes() == DATA
    # Another configuration, or none, changes no key: nothing is fetched again.
    (workspace.root / "other.cfg").write_text("block *\n")
    assert workspace.build("//tools:tool", "--downloader_config=other.cfg").actions == 0
    assert workspace.build("//tools:tool").actions == 0


def test_the_file_is_found_from_any_folder_of_the_workspace(workspace: Workspace) -> None:
    (workspace.root / ".buildsysrc").write_text("build --downloader_config=mirror.cfg\n")
    Workspace(workspace.root / "tools").build(":tool")
    assert (workspace.root / "buildsys-bin/tools/tool").read_bytes() == DATA


def test_what_a_mirror_has_is_verified(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "mirror/release/tool").write_bytes(b"something else")
    result = workspace.run("build", "//tools:tool", "--downloader_config=mirror.cfg")
    assert result.code == 48
    assert "[B413]" in result.stderr
    assert f"from    file://{tmp_path}/mirror/release/tool" in result.stderr


def test_a_blocked_download_says_so_and_asks_nobody(workspace: Workspace, tmp_path: Path) -> None:
    (workspace.root / "mirror.cfg").write_text("block *\nall_blocked_message Ask the platform team.\n")
    result = workspace.run("build", "//tools:tool", "--downloader_config=mirror.cfg")
    assert result.code == 48
    assert "[B416]" in result.stderr
    assert "from    https://upstream.invalid/release/tool" in result.stderr
    assert "Ask the platform team." in result.stderr
    # A distribution folder asks nobody either, so it still serves.
    workspace.build("//tools:tool", "--downloader_config=mirror.cfg", f"--distdir={tmp_path}/mirror/release")


def test_a_malformed_configuration_has_its_place(workspace: Workspace) -> None:
    (workspace.root / "mirror.cfg").write_text("rewrite upstream.invalid/(.* x\nalow a.test\n")
    result = workspace.run("build", "//tools:tool", "--downloader_config=mirror.cfg")
    assert result.code == 2
    assert "mirror.cfg:1:1: " in result.stderr
    assert "mirror.cfg:2:1: " in result.stderr
    assert "did you mean 'allow'?" in result.stderr
    missing = workspace.run("build", "//tools:tool", "--downloader_config=missing.cfg")
    assert missing.code == 2
    assert "--downloader_config=missing.cfg: No such file or directory [B018]" in missing.stderr


def test_a_null_build_notices_a_configuration_that_went_bad(workspace: Workspace) -> None:
    import time

    request = ("//tools:tool", "--downloader_config=mirror.cfg")
    workspace.build(*request)
    time.sleep(2.2)
    workspace.build(*request)
    assert workspace.build(*request).is_from_snapshot
    (workspace.root / "mirror.cfg").write_text("nonsense\n")
    assert workspace.run("build", *request).code == 2
