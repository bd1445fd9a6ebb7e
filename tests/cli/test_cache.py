"""cache stats: what results would take by themselves, against what the store holds."""

from __future__ import annotations

import json
import os
import random
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from buildsys.store import statistics
from buildsys.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.workspaces import SmallWorkspace

LARGE = 100_000
PAGE = Path(__file__).parents[2] / "docs/store.md"
_DISK = re.compile(r"^on the disk: [\d.]+ kB \(\d+\) of index, [\d.]+ kB \(\d+\) of files$", re.MULTILINE)
MANIFESTS = "SELECT rowid, digest, data FROM pack WHERE substr(data, 1, 2) = CAST('[\"' AS BLOB)"


@pytest.fixture
def shared(small: SmallWorkspace) -> SmallWorkspace:
    """Two tarballs, uncompressed so that all sizes are known, that have most of their bytes in common."""
    describe(small, "tar", b"x" * LARGE)
    assert small.run("build", "//app:all").code == 0
    return small


def describe(small: SmallWorkspace, form: str, large: bytes) -> None:
    path = small.root / "src/app/BUILD.yaml"
    text = path.read_text().replace("[run.sh]", "[run.sh, large]")
    path.write_text(text.replace("tree: ", f"format: {form}\n    tree: "))
    (small.root / "src/app/large").write_bytes(large)


def told(small: SmallWorkspace) -> dict[str, Any]:
    found: dict[str, Any] = json.loads("\n".join(small.lines("cache", "stats", "--output=json")))
    return found


def index(small: SmallWorkspace) -> sqlite3.Connection:
    return sqlite3.connect(small.root / "cache/v1/index.sqlite", isolation_level=None)


def test_what_is_printed_is_what_the_page_shows(shared: SmallWorkspace) -> None:
    shown = PAGE.read_text().partition("$ buildsys cache stats\n")[2].partition("```")[0]
    printed = "".join(f"{line}\n" for line in shared.lines("cache", "stats"))
    assert _DISK.sub("X", printed).replace(str(shared.root), "/home/me/small") == _DISK.sub("X", shown)
    assert "X" in _DISK.sub("X", printed)


def test_the_same_as_json(shared: SmallWorkspace) -> None:
    found = told(shared)
    disk = found.pop("disk_bytes")
    assert found == {
        "store": f"{shared.root}/cache/v1",
        "results": 5,
        "frames": 0,
        "recipes": 0,
        "logical_bytes": 410719,
        "unique_bytes": 100769,
        "ratio": 4.076,
        "lost_trees": 0,
        "actions": {
            "Merge": {"count": 2, "bytes": 200785},
            "Render": {"count": 1, "bytes": 14},
            "Tarball": {"count": 2, "bytes": 209920},
        },
        "manifests": {"count": 2, "bytes": 706},
        "small_blobs": {"count": 6, "bytes": 769},
        "files": {"count": 1, "bytes": LARGE},
    }
    assert disk["files"] >= LARGE
    assert disk["index"] >= 20_000


def test_what_tarballs_are_made_of_is_counted(small: SmallWorkspace) -> None:
    describe(small, "tar.zst", random.Random(1).randbytes(1_200_000))
    small.run("build", "//app:all")
    found = told(small)
    assert (found["frames"], found["recipes"]) == (3, 2)  # the large file, and the small ones of each
    assert found["actions"]["Tarball"]["bytes"] > 2 * 1_200_000
    assert 1_200_000 < found["unique_bytes"] < 1_210_000, "what does not squeeze is its own frame"


def test_a_second_product_adds_what_is_its_own(small: SmallWorkspace) -> None:
    describe(small, "tar", b"x" * LARGE)
    small.run("build", "//app:docker")
    before = told(small)
    small.run("build", "//app:containerd")
    after = told(small)
    assert after["logical_bytes"] - before["logical_bytes"] > 2 * LARGE
    assert after["unique_bytes"] - before["unique_bytes"] < 1000


def test_no_blob_is_read_but_manifests(shared: SmallWorkspace) -> None:
    """Of a blob that is read and is not what it should be, the store gets rid."""
    expected = told(shared)
    (large,) = (shared.root / "cache/v1/cas").rglob("[0-9a-f]" * 64)
    os.chmod(large, 0o644)
    large.write_bytes(b"y" * LARGE)
    with index(shared) as connection:
        connection.execute(
            f"UPDATE pack SET data = zeroblob(length(data)) WHERE rowid NOT IN (SELECT rowid FROM ({MANIFESTS}))"
        )
    assert told(shared) | {"disk_bytes": 0} == expected | {"disk_bytes": 0}
    assert large.read_bytes() == b"y" * LARGE


def test_a_tree_whose_list_is_lost_is_named(shared: SmallWorkspace) -> None:
    with index(shared) as connection:
        connection.execute(f"DELETE FROM pack WHERE rowid = (SELECT min(rowid) FROM ({MANIFESTS}))")
    lines = shared.lines("cache", "stats")
    assert "  without the files of 1 tree whose list is not in the store any more" in lines
    assert 200785 - told(shared)["actions"]["Merge"]["bytes"] in {100038, 100041}, "with and without docker's {}"


def test_rows_are_streamed(shared: SmallWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = told(shared)
    read: list[int] = []
    rows = Database.rows

    def counted(self: Database, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        found = rows(self, statement, parameters)
        read.append(len(found))
        return found

    monkeypatch.setattr(Database, "rows", counted)
    monkeypatch.setattr(statistics, "PAGE", 2)
    assert told(shared) | {"disk_bytes": 0} == expected | {"disk_bytes": 0}
    assert max(read) <= 2
    assert sum(read) <= 5 + 2 + 4, "a row a result, one a manifest, and little else"


def test_the_store_is_the_one_that_builds_use(shared: SmallWorkspace) -> None:
    shared.write(".buildsysrc", "build --disk_cache=elsewhere\n")
    shared.run("build", "//docker:config")
    assert shared.lines("cache", "stats")[0] == f"store: {shared.root}/elsewhere/v1"
    assert shared.lines("cache", "stats", "--disk_cache=cache")[0] == f"store: {shared.root}/cache/v1"


def test_a_store_that_is_not_there_is_an_error_and_is_not_made(small: SmallWorkspace) -> None:
    result = small.run("cache", "stats")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"ERROR: there is no store in {small.root}/cache [B041]\n")
    assert not (small.root / "cache").exists()
