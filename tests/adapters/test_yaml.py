"""YAML in and out: plain data, bytes that depend on the data alone, and no surprise types."""

from typing import Any

import pytest
import yaml as library
from hypothesis import given
from hypothesis import strategies as st

from buildsys.adapters import yaml
from buildsys.errors import UserError
from buildsys.model.document import pack

scalars = st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(st.characters(codec="utf-8"), max_size=20)
data = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcXYZ-_.019", min_size=1), inner, max_size=4),
    max_leaves=12,
)


@given(data)
def test_what_is_dumped_is_loaded_again(value: object) -> None:
    text = yaml.dump(value)
    assert yaml.load(text, "x") == value
    assert yaml.dump(value) == text


def test_block_style_in_the_given_order() -> None:
    value = {"kind": "X", "apiVersion": "v1", "list": [{"b": 1, "a": []}], "empty": {}}
    assert yaml.dump(value) == "kind: X\napiVersion: v1\nlist:\n  - b: 1\n    a: []\nempty: {}\n"


@pytest.mark.parametrize(
    "text",
    ["7", "true", "yes", "on", "null", "~", "1e3", "1.5e3", "0o17", "0x1F", "y", "N", "1_000", "10:30", "", ".5"],
)
def test_text_that_a_reader_could_take_for_something_else_is_quoted(text: str) -> None:
    assert yaml.dump({"a": text}) == f"a: '{text}'\n"


@pytest.mark.parametrize(
    "text", ["v1.23.4", "1.23.4", "sea.hub:5000", "unix:///run/x.sock", "2m0s", "10.96.0.0/22", "100Mi"]
)
def test_other_text_stays_plain(text: str) -> None:
    assert yaml.dump({"a": text}) == f"a: {text}\n"


def test_lines_are_literal_and_long_lines_are_not_folded() -> None:
    assert yaml.dump({"a": "x\ny\n"}) == "a: |\n  x\n  y\n"
    long = "word " * 80 + "end"
    assert yaml.dump({"a": long}) == f"a: {long}\n"


def test_a_value_used_twice_is_written_twice() -> None:
    shared = {"x": 1}
    assert yaml.dump({"a": shared, "b": shared}) == "a:\n  x: 1\nb:\n  x: 1\n"


def test_text_of_another_class_is_text() -> None:
    class Located(str):
        __slots__ = ("line",)

    assert yaml.dump({"a": Located("7")}) == "a: '7'\n"


@pytest.mark.parametrize(
    ("text", "place"), [("a: [1, 2", "f.yaml:2:1"), ("a: 1\n b: 2\n", "f.yaml:2:3"), ("a: !x 1\n", "f.yaml:1:4")]
)
def test_errors_have_a_place(text: str, place: str) -> None:
    with pytest.raises(UserError) as caught:
        yaml.load(text, "f.yaml")
    assert caught.value.code == "B603"
    assert str(caught.value.at) == place


def test_several_documents() -> None:
    assert yaml.load_all("a: 1\n---\nb: 2\n", "f.yaml") == [{"a": 1}, {"b": 2}]
    with pytest.raises(UserError):
        yaml.load("a: 1\n---\nb: 2\n", "f.yaml")
    with pytest.raises(UserError):
        yaml.load_all("a: 1\n---\n[", "f.yaml")


def test_no_object_is_ever_made() -> None:
    with pytest.raises(UserError):
        yaml.load("!!python/object/apply:os.getcwd []", "f.yaml")


def oracle(text: str) -> object:
    """Return what PyYAML's own nodes say of a document, in the form of `parse`."""

    def form(node: Any) -> tuple[object, ...]:
        start, end = node.start_mark, node.end_mark
        single = isinstance(node, library.ScalarNode) and end.line == start.line
        mark = pack(start.line + 1, start.column + 1, max(1, end.column - start.column) if single else 1)
        if isinstance(node, library.SequenceNode):
            return (mark, [form(item) for item in node.value])
        if isinstance(node, library.MappingNode):
            return (mark, tuple(form(part) for pair in node.value for part in pair))
        kind = node.tag.rpartition(":")[2]
        return (mark, node.value) if node.style or kind == "str" else (mark, node.value, SHORT.get(kind, kind))

    root = library.compose(text, Loader=library.CSafeLoader)
    return None if root is None else form(root)


SHORT = {"int": "integer", "bool": "boolean"}


@given(data, st.sampled_from(["block", "flow"]))
def test_documents_are_read_as_the_library_reads_them(value: object, style: str) -> None:
    text = library.safe_dump(value, default_flow_style=style == "flow", allow_unicode=True)
    if "&id" not in text:
        assert yaml.parse(text, "f.yaml") == oracle(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "---\na: 1\n...\n",
        "~",
        "a: |\n  x\n  y\nb: >-\n  folded\n  text\nc: 'quo''ted'\nd: \"e\\n\"\n",
        "a: [1, 1.5, 0x1F, 1_000, 10:30, true, yes, null, ~, 2001-01-01, .inf, '7']\n",
        "{a: , b: {}, c: [], ? d : e}\n",
        "plain text\n over lines\n",
        "é: ü  # comment\n",
        f"a: {'x' * 5000}\n",
        f"{{{' ' * 5000}c: d}}\n",
    ],
)
def test_every_form_of_a_document_is_read_as_the_library_reads_it(text: str) -> None:
    assert yaml.parse(text, "f.yaml") == oracle(text)


def test_aliases_are_written_out() -> None:
    assert yaml.parse("a: &x [1]\nb: *x\n", "f") == oracle("a: &x [1]\nb: *x\n")


def test_a_usual_document_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "compose", None)
    text = "a: [1, {b: c}]\nd: 'e'\n"
    found = yaml.compose(text, "f")
    assert found is not None
    assert str(found.at) == "f:1:1"
