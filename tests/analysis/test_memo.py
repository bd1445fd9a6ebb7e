"""The memo of analysis: what is known of a target holds for the configurations that agree on what it read."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from buildsys.analysis.configuration import Configuration
from buildsys.analysis.memo import Memo
from buildsys.model.label import Label

if TYPE_CHECKING:
    from buildsys.kubernetes.tables import Tables

LABEL = Label("p", "t")


def configuration(**explicit: str) -> Configuration:
    return Configuration({}, cast("Tables", None), explicit)


def test_a_result_is_found_by_the_values_that_were_read() -> None:
    memo = Memo()
    memo.add(LABEL, {"a": "1", "b": None}, None)
    found = memo.find(LABEL, configuration(a="1", c="9"))
    assert found is not None
    assert found.reads == {"a": "1", "b": None}
    assert memo.find(LABEL, configuration(a="2")) is None
    assert memo.find(LABEL, configuration(a="1", b="default, but asked for")) is None
    assert memo.find(Label("p", "other"), configuration(a="1")) is None


def test_results_that_read_different_parameters_stand_beside_each_other() -> None:
    memo = Memo()
    memo.add(LABEL, {"a": "1", "b": "1"}, None)
    memo.add(LABEL, {"a": "2"}, None)
    memo.add(LABEL, {"a": "3"}, None)
    found = [memo.find(LABEL, configuration(a=a, b="1")) for a in "1234"]
    assert [known and dict(known.reads) for known in found] == [{"a": "1", "b": "1"}, {"a": "2"}, {"a": "3"}, None]
    assert memo.count(LABEL) == 3
