"""Plain targets take a short way through loading and analysis. It leads where the long one does, errors included."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from buildsys import session
from buildsys.errors import BuildError, BuildErrors
from buildsys.loading import plain
from buildsys.model import action, target
from tests.loading.workspaces import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from buildsys.opened import Session

FILES = {"context/p/a.txt": "a", "context/p/b.j2": "b", "context/p/etc/c.txt": "c", "context/q/d.txt": "d"}

labels = st.sampled_from(
    [
        "a.txt",
        ":a.txt",
        "b.j2",
        "etc/c.txt",
        "//p:a.txt",
        "//q:d.txt",
        "//q",
        ":t0",
        ":t1",
        "none.txt",
        "x//y",
        "@a",
        "",
        "a{b}",
        "é",
        "..",
    ]
)
texts = st.sampled_from(
    ["x", "etc/x", "{arch}", "{{x}}", "{nope}", "{", "", "a b", "1.2", "yes", "select", "é", "0755"]
)
words = texts | st.sampled_from([5, 1.5, True, None, 0]) | labels
rows = st.sampled_from(["out", "src", "srcs", "vars", "params", "prefix", "mode", "files", "layers", "links", "nope"])
values = st.recursive(
    words, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.sampled_from(["k", "{arch}", "select", "glob"]), v)
)
sound: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "filegroup": {"srcs": st.lists(labels, max_size=3), "prefix": texts},
    "template": {"src": labels, "out": texts, "vars": st.dictionaries(st.sampled_from(["k", "l"]), texts)},
    "placed_files": {"files": st.dictionaries(texts, labels, max_size=3), "mode": texts},
    "layer": {"layers": st.lists(labels, max_size=3)},
    "alias": {"actual": labels},
}


@st.composite
def declared(draw: Callable[[Any], Any]) -> dict[str, Any]:
    """Return a target, often sound and sometimes nonsense."""
    rule = draw(st.sampled_from(sorted(sound)))
    made: dict[str, Any] = {"rule": rule, "name": draw(st.sampled_from(["t0", "t1", "t2", "t3"]))}
    for name, value in sound[rule].items():
        if draw(st.integers(0, 9)):
            made[name] = draw(value)
    if not draw(st.integers(0, 4)):
        made[draw(rows)] = draw(values)
    if not draw(st.integers(0, 9)):
        made["tags"] = draw(values)
    return made


def outcome(space: Session) -> list[str]:
    """Return all that is known of a workspace once everything in it is analysed, or what is wrong."""
    config = session.configuration(space, {})
    found: list[str] = []
    try:
        wanted = session.resolve(space, ["//..."], manual=True, keep_going=True)
        done = session.analyse(space, wanted, config, keep_going=True)
    except (BuildError, BuildErrors) as error:
        return [*described([error] if isinstance(error, BuildError) else error.errors)]
    for configured in done.analyser.targets:
        found.append(f"{configured._replace(needs=(), reads=dict(configured.reads or {}))} {configured.deps}")
        found += [f"{made.static} {made.inputs} {made}" for made in done.analyser.actions_of(configured)]
    for package in space.loader.packages.values():
        for declared_ in package.targets.values():
            found.append(f"{declared_.label} {dict(declared_.attributes)} {declared_.deps} {declared_.tags}")
    return [*found, *described(done.errors)]


def described(errors: Any) -> Iterator[str]:
    for error in errors:
        yield f"{error.code} {error.message} {error.at} {error.hint} {error.notes}"


def both_ways(files: dict[str, str]) -> tuple[list[str], list[str]]:
    """Return the outcome by the short way and by the long one."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        short = outcome(opened(Path(folder), files))
        patch.setattr(plain.PlainTargets, "record", lambda *_: None)
        return short, outcome(opened(Path(folder), files))


@settings(deadline=None)  # files are written, and read twice
@given(st.lists(declared(), min_size=1, max_size=4))
def test_both_ways_lead_to_the_same(targets: list[dict[str, Any]]) -> None:
    text = yaml.safe_dump({"targets": targets}, allow_unicode=True)
    short, long = both_ways({**FILES, "context/p/BUILD.yaml": text, "context/q/BUILD.yaml": "targets: []\n"})
    assert short == long


def test_the_generated_targets_are_often_plain() -> None:
    found: list[bool] = []

    @settings(max_examples=100, derandomize=True)
    @given(declared())
    def check(made: dict[str, Any]) -> None:
        text = yaml.safe_dump({"targets": [made]}, allow_unicode=True)
        with tempfile.TemporaryDirectory() as folder:
            files = {**FILES, "context/p/BUILD.yaml": text, "context/q/BUILD.yaml": "targets: []\n"}
            space = opened(Path(folder), files)
            targets = space.loader.package("p").targets.values()
            found.extend(target.values is not None for target in targets)

    check()
    assert sum(found) > len(found) / 10
    assert not all(found)


def test_the_projects_own_packages_are_read_alike() -> None:
    root = Path(__file__).parents[2]
    files = {str(path.relative_to(root)): path.read_text() for path in (root / "context").rglob("*") if path.is_file()}
    files |= {"BUILD.yaml": (root / "BUILD.yaml").read_text()}
    short, long = both_ways(files)
    assert short == long
    assert len(short) > 100


def graph(packages: int, targets: int) -> dict[str, str]:
    """Return a workspace of many plain targets, each with two source files."""
    files: dict[str, str] = {}
    for package in range(packages):
        lines = ["targets:"]
        for number in range(targets):
            lines.append(
                f"  - {{rule: template, name: n{number}, src: n{number}.j2, out: n{number}.conf, vars: {{a: '1'}}}}"
            )
            files[f"context/p{package}/n{number}.j2"] = "{{ a }}"
        files[f"context/p{package}/BUILD.yaml"] = "\n".join(lines)
    return files


def counting(patch: pytest.MonkeyPatch, owner: object, name: str) -> list[object]:
    """Count the calls of a function."""
    calls: list[object] = []
    function = getattr(owner, name)

    def counted(*arguments: object, **named: object) -> object:
        calls.append(arguments)
        return function(*arguments, **named)

    patch.setattr(owner, name, counted)
    return calls


def test_a_plain_graph_is_loaded_and_analysed_with_little_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from buildsys.adapters import yaml as documents
    from buildsys.loading import files

    space = opened(tmp_path, graph(5, 20))
    parsed = counting(monkeypatch, documents, "parse")
    listed = counting(monkeypatch, os, "scandir")
    looked = counting(monkeypatch, files, "look")
    nodes = counting(monkeypatch, target, "node_of")
    locations = counting(monkeypatch, target, "unpack")
    descriptors = counting(monkeypatch, action, "static_descriptor")
    wanted = session.resolve(space, ["//..."])
    analysed = session.analyse(space, wanted, session.configuration(space, {}))
    assert len(wanted) == 100
    assert len(analysed.analyser.targets) == 200
    assert (len(parsed), len(listed)) == (5, 7), (
        "one document a package; each folder once (the root again for the lock)"
    )
    assert len(looked) <= 5 + 6 + 1, "package files, folders and the lock file: never a source file"
    assert (len(nodes), len(locations), len(descriptors)) == (0, 0, 0), "places and descriptors are for who asks"
