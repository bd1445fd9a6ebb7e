from __future__ import annotations

import json

import pytest

from buildsys.model.digest import digest_bytes
from buildsys.model.tree import Entry, Tree
from buildsys.report.explanation import LARGEST, Lookup, explained
from buildsys.store.cas import BlobMissing
from buildsys.store.workspace_state import RanAction

OUTCOME = json.dumps({"hits": 1, "errors": 0})
HEAD = ["The last build was: buildsys build //a:b", "1 action ran, 1 had a result already.", ""]

DIFF = ["--- before", "+++ after", "@@ -1,2 +1,2 @@", " a", "-b", "+c"]


class FakeContents:
    """Blobs in memory."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        digest = digest_bytes(data)
        self.blobs[digest] = data
        return digest

    def size(self, digest: str) -> int:
        return len(self.read(digest))

    def read(self, digest: str) -> bytes:
        if digest not in self.blobs:
            raise BlobMissing(digest)
        return self.blobs[digest]


def changed(before: dict[str, object], after: dict[str, object], contents: FakeContents | None = None) -> list[str]:
    """Explain one action whose descriptor has changed."""
    whole = {"inputs": [], "mnemonic": "Render", "params": {}, "tools": {}, "version": 1}
    descriptors = {"old": json.dumps(whole | before), "new": json.dumps(whole | after)}
    ran = RanAction("//a:b Render c", "//a:b", "new", ("src/x",), "old", ("src/x",), "changed", 0.1)
    lines = explained(("build //a:b", OUTCOME, [ran]), None, Lookup(descriptors.get, contents or FakeContents()))
    assert lines[:4] == [*HEAD, "//a:b Render c: changed"]
    return lines[4:]


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ({"tools": {"zlib": "1.2"}}, {"tools": {"zlib": "1.3"}}, ["  tool zlib: '1.2' -> '1.3'"]),
        ({"version": 1}, {"version": 2}, ["  implementation Render: '1' -> '2'"]),
        ({"mnemonic": "Write"}, {}, ["  operation: 'Write' -> 'Render'"]),
        ({}, {"params": {"level": 3}}, ["  parameter level: (none) -> '3'"]),
        (
            {"params": {"text": "x" * 300}},
            {"params": {"text": "y"}},
            [f"  parameter text: '{'x' * 200}...' (300 characters) -> 'y'"],
        ),
        (
            {"params": {"images": ["a", "b"]}},
            {"params": {"images": ["a", "c"]}},
            ["  parameter images:", *(f"    {line}" for line in DIFF)],
        ),
        (
            {"params": {"text": "a\nb\n"}},
            {"params": {"text": "a\nb"}},
            ["  parameter text:", "    (they differ in line ends only)"],
        ),
    ],
)
def test_changes(before: dict[str, object], after: dict[str, object], lines: list[str]) -> None:
    assert changed(before, after) == lines


def test_contents_that_are_lost_or_large_are_named_only() -> None:
    contents = FakeContents()
    small, large = contents.put(b"text\n"), contents.put(b"x" * (LARGEST + 1))
    for other in (large, "0" * 64):
        assert changed({"inputs": [small]}, {"inputs": [other]}, contents) == [
            f"  input src/x: sha256:{small[:12]} -> sha256:{other[:12]}"
        ]


def test_trees() -> None:
    contents = FakeContents()
    one = Tree.of([Entry("a/x", "f", 0o644, "1" * 64, 1), Entry("b", "f", 0o644, "1" * 64, 1)])
    two = Tree.of([Entry("a/x", "f", 0o755, "1" * 64, 1), Entry("c", "l", target="a/x")])
    before, after = contents.put(one.to_bytes()), contents.put(two.to_bytes())
    assert changed({"inputs": [f"tree:{before}"]}, {"inputs": [f"tree:{after}"]}, contents) == [
        f"  input src/x: tree sha256:{before[:12]} -> tree sha256:{after[:12]}",
        "    ~ a/x",
        "    - b",
        "    + c",
    ]


def test_a_content_is_shown_once() -> None:
    contents = FakeContents()
    old, new = contents.put(b"old\n"), contents.put(b"new\n")
    rest = {"mnemonic": "Render", "params": {}, "tools": {}, "version": 1}
    descriptors = {"old": json.dumps({"inputs": [old], **rest}), "new": json.dumps({"inputs": [new], **rest})}
    ran = [RanAction(name, name, "new", ("x",), "old", ("x",), "changed", 0.1) for name in ("//a:b", "//a:c")]
    lines = explained(("build //a:all", OUTCOME, ran), None, Lookup(descriptors.get, contents))
    assert lines.count("    -old") == 1
    assert lines[-2:] == ["//a:c: changed", f"  input x: sha256:{old[:12]} -> sha256:{new[:12]}"]


@pytest.mark.parametrize(("key", "which"), [("old", "the last time"), ("new", "this time")])
def test_a_descriptor_that_is_gone(key: str, which: str) -> None:
    ran = RanAction("//a:b Render c", "//a:b", "new", (), "old", (), "changed", 0.1)
    known = {"old": "{}", "new": "{}"}
    del known[key]
    assert explained(("build //a:b", OUTCOME, [ran]), None, Lookup(known.get, FakeContents()))[3:] == [
        "//a:b Render c: changed",
        f"  what it was {which} is not in the store any more",
    ]


def test_a_build_that_failed() -> None:
    outcome = json.dumps({"hits": 0, "errors": 2})
    assert explained(("build //a:b", outcome, []), None, Lookup(lambda _: None, FakeContents())) == [
        "The last build was: buildsys build //a:b",
        "0 actions ran, 0 had a result already.",
        "It failed; actions that failed have no result, and are not among these.",
    ]
