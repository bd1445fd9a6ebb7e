"""Targets: how far buildsys is from what it has to reach."""

from __future__ import annotations

import pytest

from benchmarks.measure import Figure, Sample, figure
from benchmarks.targets import PASS, ROOTFS, SECONDS, Target, graph


def took(wall: float, rss: float = 50) -> Figure:
    return figure([Sample(wall, wall, rss)])


FIGURES = {
    "buildsys": {"NULL": took(0.02), "EDIT1": took(0.5, 130), "REVERT": took(0.06)},
    "ninja": {"NULL": took(0.01), "EDIT1": took(2.0), "REVERT": took(1.0)},
}


@pytest.mark.parametrize(
    ("target", "text", "verdict"),
    [
        (Target("EDIT1", 1 / 5, "ninja"), "<= ninja / 5", "0.25 x: **0.100 s too slow**"),
        (Target("EDIT1", 1 / 4, "ninja"), "<= ninja / 4", "0.25 x: met"),
        (Target("NULL", 1, "ninja"), "<= ninja", "2.00 x: **0.010 s too slow**"),
        (Target("NULL", 2, PASS), f"<= 2 x {PASS}", "2.00 x: met"),
        (Target("REVERT", 3, "NULL"), "<= 3 x NULL", "3.00 x: met"),
        (Target("EDIT1", 0.8, "make"), "<= 0.8 x make", "make was not measured"),
        (Target("", 120), "<= 120", "130: **10 MB too much**"),
        (Target("NULL", 120), "<= 120", "50: met"),
        (Target("NULL", 0.3, SECONDS), "<= 0.3 s", "0.020 s: met"),
        (Target("EDIT1", 0.3, SECONDS), "<= 0.3 s", "0.500 s: **0.200 s too slow**"),
    ],
)
def test_a_verdict_says_what_is_reached_and_what_is_missing(target: Target, text: str, verdict: str) -> None:
    assert target.text == text
    assert target.verdict(FIGURES, took(0.01)) == verdict


def test_every_size_of_graph_has_targets() -> None:
    assert [len(graph(nodes)) for nodes in (1_000, 10_000, 100_000)] == [2, 3, 5]
    assert {target.scenario for target in ROOTFS} == {
        "COLD", "NULL", "TOUCH", "EDIT1", "VERSION", "REVERT", "CLEAN+CACHE", "",
    }  # fmt: skip


def test_several_rounds_are_summed_up() -> None:
    found = figure([Sample(3, 1, 10, 5, 1), Sample(1, 2, 30, 5, 1), Sample(2, 9, 20, 5, 1)])
    assert found == Figure(2, 1, 3, 2, 30, 5, 1, (3, 1, 2))
