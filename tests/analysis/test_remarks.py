"""Remarks: each once, and once for all versions that it is made of."""

from __future__ import annotations

from buildsys.analysis.remarks import Remarks


def test_one_that_differs_in_a_version_alone_is_made_once() -> None:
    remarks = Remarks()
    for version in ("1.30.1", "1.30.10", "1.30.2", "1.30.3", "1.30.4"):
        remarks.add([f"Kubernetes {version}: a limit of 1.30.", "the same"], {"kubernetes": version})
    assert remarks.texts() == ["Kubernetes 1.30.1, 1.30.10, 1.30.2 and 2 more: a limit of 1.30.", "the same"]


def test_versions_are_whole_words() -> None:
    remarks = Remarks()
    remarks.add(["1.30.1 is not 1.30.10, nor v1.30.1 or 11.30.1"], {"kubernetes": "1.30.1"})
    remarks.add(["1.30.2 is not 1.30.10, nor v1.30.1 or 11.30.1"], {"kubernetes": "1.30.2"})
    assert remarks.texts() == ["1.30.1, 1.30.2 is not 1.30.10, nor v1.30.1 or 11.30.1"]


def test_without_several_versions_they_are_as_they_are() -> None:
    remarks = Remarks()
    remarks.add(["b", "a", "b"], {})
    assert remarks.texts() == ["b", "a"]
