"""Waiting: what is ready, and in which order."""

from __future__ import annotations

from buildsys.execution.waiting import Waiting
from buildsys.model.action import Action
from buildsys.model.graph import ActionGraph
from tests.execution.engine import output, toy


def waiting(actions: list[Action], **seconds: float) -> Waiting:
    return Waiting(ActionGraph(actions), actions, lambda action: seconds.get(action.outputs[0].name, 1.0))


def names(actions: list[Action]) -> list[str]:
    return [action.outputs[0].name for action in actions]


def test_equal_ways_go_in_the_order_of_the_graph() -> None:
    found = waiting([toy(name) for name in "abcdef"])
    assert names(found.take(4)) == ["a", "b", "c", "d"]
    assert names(found.take(4)) == ["e", "f"]
    assert not found


def test_the_longest_way_to_the_end_goes_first() -> None:
    """`c` alone takes long; `a` is short, but `b` and what depends on it wait for it."""
    actions = [toy("short"), toy("c"), toy("a"), toy("b", output("a")), toy("end", output("b"))]
    found = waiting(actions, c=3.0, short=0.1, b=2.5)
    assert names(found.take(9)) == ["a", "c", "short"]
    found.release(actions[2])
    assert names(found.take(9)) == ["b"]


def test_an_action_is_ready_when_all_that_it_waits_for_is_done() -> None:
    actions = [toy("a"), toy("b"), toy("c", output("a"), output("b"), output("a"))]
    found = waiting(actions)
    found.take(9)
    found.release(actions[0])
    assert not found
    found.release(actions[1])
    assert names(found.take(9)) == ["c"]


def test_an_action_can_wait_again() -> None:
    action = toy("a")
    found = waiting([action])
    (action,) = found.take(1)
    found.until(action, 2)
    assert not found.count_down(action)
    assert found.count_down(action)
    assert not found
    found.until(action, 0)
    assert names(found.take(1)) == ["a"]
