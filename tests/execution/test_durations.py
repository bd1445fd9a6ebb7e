"""Durations: estimates, and what is learnt for the next build."""

from __future__ import annotations

import pytest

from buildsys.execution.durations import NOTED_SECONDS, QUICK_SECONDS, Durations
from tests.execution.engine import Direct, act, output, toy


def test_the_name_counts_before_the_kind_and_the_kind_before_nothing() -> None:
    slow, other = toy("slow"), toy("other")
    durations = Durations([("Toy", "", 0.25), ("Toy", slow.name, 9.0)])
    assert durations.seconds(slow) == 9.0
    assert durations.seconds(other) == 0.25
    assert 0 < durations.seconds(act(Direct(name="d"), output("d"))) < 1


def test_a_kind_is_quick_once_it_was_measured_in_this_build() -> None:
    durations = Durations([("Toy", "", QUICK_SECONDS / 9)])
    assert not durations.is_quick(toy("a"))
    durations.add(toy("a"), QUICK_SECONDS / 9)
    assert durations.is_quick(toy("b"))
    durations.add(toy("a"), 1.0)
    assert not durations.is_quick(toy("b"))


def test_what_took_long_is_learnt_by_name_and_the_rest_by_kind() -> None:
    durations = Durations([("Gone", "", 1.0), ("Gone", "old", 2.0)])
    durations.add(toy("quick"), 0.0)
    durations.add(toy("slow"), NOTED_SECONDS)
    learnt = {(kind, name): seconds for kind, name, seconds in durations.learnt()}
    assert learnt == {("Toy", ""): pytest.approx(NOTED_SECONDS / 10), ("Toy", toy("slow").name): NOTED_SECONDS}
