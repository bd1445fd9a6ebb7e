"""The page: peers that cannot take part have a row that says why, and memory stands where its target is."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.contest import choose
from benchmarks.measure import Figure, Sample, figure
from benchmarks.page import page
from benchmarks.results import Contest, Result
from benchmarks.targets import graph


def took(wall: float, rss: float) -> Figure:
    return figure([Sample(wall, wall / 2, rss)])


def test_a_peer_that_is_not_installed_is_named_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    chosen, absent = choose(["ninja", "buildsys"], tmp_path)
    assert [peer.name for peer in chosen] == ["buildsys"]
    assert absent == {"ninja": "not installed: ninja, curl, tar, zstd, sed"}


def test_rows_of_absent_peers_and_columns_of_memory() -> None:
    figures = {
        "buildsys": {"COLD": took(20, 500), "NULL": took(0.9, 260), "EDIT1": took(1, 300)},
        "ninja": {"COLD": took(138, 140), "NULL": took(0.88, 138), "EDIT1": took(1.37, 138)},
    }
    contest = Contest(
        "100000 nodes",
        "graph-100000",
        figures,
        {"buildsys": 10**9},
        {"make": "not installed: make"},
        {},
        graph(100_000),
    )
    result = Result("graph", "A graph", "Files.", 1, took(0.01, 10), [contest], {}, {}, "command", "date", "machine")
    rows = [line for line in page(result).splitlines() if line.startswith("|")]
    assert rows[:7] == [
        "|  | COLD | NULL | EDIT1 | peak RSS COLD MB | peak RSS NULL MB |",
        "|---|--:|--:|--:|--:|--:|",
        "| buildsys | 20.000 (20.000 .. 20.000) | 0.900 (0.900 .. 0.900) | 1.000 (1.000 .. 1.000) | 500 | 260 |",
        "| ninja | 138.000 (138.000 .. 138.000) | 0.880 (0.880 .. 0.880) | 1.370 (1.370 .. 1.370) | 140 | 138 |",
        "| make | not installed: make |  |  |  |  |",
        "| target | <= ninja / 5 | <= ninja | <= ninja | <= 600 | <= 250 |",
        (
            "| **buildsys** | 0.14 x: met | 1.02 x: **0.020 s too slow** | 0.73 x: met | 500: met |"
            " 260: **10 MB too much** |"
        ),
    ]
