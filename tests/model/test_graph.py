"""The action graph: what is needed, in an order that works, however long the chains are."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from buildsys.actions.write import Write
from buildsys.model.action import Action, Artifact, make_action
from buildsys.model.graph import ActionGraph
from buildsys.model.label import Label


def artifact(number: int) -> Artifact:
    return Artifact("p", str(number), f"t{number}")


def action(number: int, inputs: list[int], extra: tuple[Artifact, ...] = ()) -> Action:
    made = make_action(
        Write(content=str(number)), (artifact(number), *extra), owner=Label("p", "t"), config="", progress="", tools={}
    )
    object.__setattr__(made, "inputs", tuple(artifact(n) for n in inputs))
    return made


def order_of(actions: list[Action]) -> list[int]:
    return [int(made.outputs[0].name) for made in actions]


def test_only_what_is_needed_each_once_after_what_it_needs() -> None:
    graph = ActionGraph([action(0, []), action(1, [0]), action(2, [0]), action(3, [1, 2]), action(4, [])])
    assert order_of(graph.closure([artifact(3)])) == [0, 1, 2, 3]
    assert order_of(graph.closure([artifact(2), artifact(4), artifact(2)])) == [0, 2, 4]
    assert graph.closure([]) == []


def test_source_files_have_no_producer() -> None:
    graph = ActionGraph([action(0, [])])
    source = Artifact("p", "source")
    assert graph.producer(source) is None
    assert graph.closure([source]) == []


def test_an_action_with_several_outputs_stands_once() -> None:
    other = Artifact("p", "other", "t0")
    graph = ActionGraph([action(0, [], (other,)), action(1, [0])])
    assert order_of(graph.closure([other, artifact(1), artifact(0)])) == [0, 1]
    assert graph.producer(other) is graph.producer(artifact(0))


def test_long_chains_need_no_deep_stack() -> None:
    length = 50_000
    graph = ActionGraph(action(n, [n - 1] if n else []) for n in range(length))
    assert order_of(graph.closure([artifact(length - 1)])) == list(range(length))


def test_wide_actions_are_quick() -> None:
    graph = ActionGraph(action(n, []) for n in range(20_000))
    graph.add(action(20_000, list(range(20_000))))
    assert order_of(graph.closure([artifact(20_000)])) == list(range(20_001))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_the_order_is_topological_and_complete(seed: int, count: int) -> None:
    chooser = random.Random(seed)
    edges = {n: chooser.sample(range(n), chooser.randint(0, min(n, 4))) for n in range(count)}
    graph = ActionGraph(action(n, edges[n]) for n in range(count))
    wanted = chooser.sample(range(count), chooser.randint(1, count))
    order = order_of(graph.closure(artifact(n) for n in wanted))
    needed, pending = set(wanted), list(wanted)
    while pending:
        for n in edges[pending.pop()]:
            if n not in needed:
                needed.add(n)
                pending.append(n)
    assert sorted(order) == sorted(needed)
    position = {n: place for place, n in enumerate(order)}
    assert all(position[dependency] < position[n] for n in order for dependency in edges[n])
