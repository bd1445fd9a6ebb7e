"""The critical path: the longest chain of what ran, through what was answered from the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildsys.execution.critical_path import critical_path
from buildsys.execution.outcome import Outcome, Ran
from buildsys.model.digest import digest_bytes
from tests.execution.engine import BEHAVIOURS, Engine, output, toy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from buildsys.model.action import Action


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    BEHAVIOURS.clear()
    yield Engine(tmp_path)
    BEHAVIOURS.clear()


def outcome_of(*examined: tuple[Action, float | None, str]) -> Outcome:
    """Return what became of actions, in the order of their examination; those without seconds had a result."""
    outcome = Outcome()
    for action, seconds, key in examined:
        outcome.keys[id(action)] = (action, digest_bytes(key.encode()))
        if seconds is not None:
            outcome.ran.append(Ran(action, digest_bytes(key.encode()), seconds))
    return outcome


def names(outcome: Outcome) -> list[str]:
    return [ran.action.outputs[0].name for ran in critical_path(outcome)]


def test_nothing_ran() -> None:
    assert critical_path(outcome_of((toy("a"), None, "a"))) == []


def test_the_sum_along_a_chain_counts_and_not_the_longest_action() -> None:
    a, b, alone = toy("a"), toy("b", output("a")), toy("alone")
    assert names(outcome_of((alone, 5.0, "alone"), (a, 3.0, "a"), (b, 4.0, "b"))) == ["a", "b"]
    assert names(outcome_of((alone, 8.0, "alone"), (a, 3.0, "a"), (b, 4.0, "b"))) == ["alone"]


def test_the_longer_of_two_branches_is_taken() -> None:
    a, b, c = toy("a"), toy("b"), toy("c", output("a"), output("b"))
    assert names(outcome_of((a, 1.0, "a"), (b, 2.0, "b"), (c, 1.0, "c"))) == ["b", "c"]


def test_a_chain_leads_through_what_had_a_result() -> None:
    a, hit, b = toy("a"), toy("hit", output("a")), toy("b", output("hit"))
    assert names(outcome_of((a, 3.0, "a"), (hit, None, "hit"), (b, 4.0, "b"))) == ["a", "b"]


def test_an_action_that_shares_the_key_of_another_waited_for_it() -> None:
    first, same, after = toy("first"), toy("same"), toy("after", output("same"))
    assert names(outcome_of((first, 3.0, "k"), (same, None, "k"), (after, 1.0, "after"))) == ["first", "after"]


def test_a_build_says_what_it_was(engine: Engine) -> None:
    chain = [toy("a"), toy("b", output("a")), toy("c", output("b")), toy("x")]
    outcome = engine.good(chain, output("c"), output("x"))
    path = [ran.action.outputs[0].name for ran in outcome.critical]
    assert path in (["a", "b", "c"], ["x"])
    longest = max(ran.seconds for ran in outcome.ran)
    assert longest <= sum(ran.seconds for ran in outcome.critical) <= sum(ran.seconds for ran in outcome.ran)
    assert engine.good(chain, output("c")).critical == []


def test_a_build_that_fails_says_it_of_what_ran(engine: Engine) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no")

    BEHAVIOURS["b"] = fail
    outcome = engine.build([toy("a"), toy("b", output("a"))], output("b"))
    assert [ran.action.outputs[0].name for ran in outcome.critical] == ["a"]
