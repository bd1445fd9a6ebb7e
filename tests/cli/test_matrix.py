"""A null build of many versions looks at every output once, and at nothing for each version but its outputs."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.workspaces import SmallWorkspace

PRODUCTS = 2


def looks(small: SmallWorkspace, versions: int, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Build so many versions, and count the `stat` of each path in a null build."""
    option = f"--param=release={','.join(f'2.0.{number}' for number in range(versions))}"
    assert small.run("build", "//app:docker", "//app:containerd", option).code == 0
    looked: Counter[str] = Counter()
    stat = os.stat

    def counting(path: Any, **options: Any) -> os.stat_result:
        looked[os.fspath(path)] += 1
        return stat(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", counting)
        result = small.run("build", "//app:docker", "//app:containerd", option)
    assert result.err.count("0 total actions") == 1
    assert f"Found {PRODUCTS * versions} targets" in result.err
    return looked


@pytest.mark.usefixtures("later")
def test_a_null_build_looks_at_each_output_once(small: SmallWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = looks(small, 2, monkeypatch), looks(small, 20, monkeypatch)
    outputs = [path for path in many if "/buildsys-out/bin/" in path]
    assert len(outputs) == PRODUCTS * 20
    assert {many[path] for path in outputs} == {1}
    assert many.total() - few.total() == PRODUCTS * (20 - 2)
