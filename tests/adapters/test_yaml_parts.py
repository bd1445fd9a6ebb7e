"""YAML that others wrote: places, texts that break off, and what cannot be allowed to multiply."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from buildsys.adapters.yaml_parts import MAX_DEPTH, Items, Pairs, Part, Text, parts


def texts(part: Part) -> list[Text]:
    """Return the scalars of a value, keys left out."""
    if isinstance(part, Text):
        return [part]
    values = part.values if isinstance(part, Items) else [value for _, value in part.values]
    return [text for value in values for text in texts(value)]


def test_every_document_has_its_places() -> None:
    read = parts("a: 1.10\n---\n- 'x'\n- |\n  one\n  two\n- {b: c}\n")
    assert read.broken_from == 0
    assert [texts(document) for document in read.documents] == [
        [Text("1.10", 1, 4, 1, "")],
        [Text("x", 3, 3, 3, "'"), Text("one\ntwo\n", 4, 3, 6, "|"), Text("c", 7, 7, 7, "")],
    ]


def test_tags_and_keys_that_stand_twice_are_no_matter() -> None:
    read = parts("a: !!binary eA==\na: !mine 2\n? [k]\n: v\n")
    assert [text.text for text in texts(read.documents[0])] == ["eA==", "2", "k", "v"]


def test_what_breaks_off_gives_what_it_had() -> None:
    read = parts("a: 1\n---\nb: {\n")
    assert (len(read.documents), read.broken_from) == (1, 2)
    assert parts("\0").broken_from == 1
    assert parts("[" * (MAX_DEPTH + 1)).broken_from == 1


def test_an_alias_shows_a_scalar_where_it_stands() -> None:
    (document,) = parts("x: &x nginx\nimage: *x\n").documents
    assert texts(document)[1] == Text("nginx", 2, 8, 2, "*")


def test_aliases_do_not_multiply() -> None:
    lines = ["a0: &a0 {k: v}"] + [f"a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}, z: w}}" for n in range(1, 60)]
    (document,) = parts("\n".join(lines)).documents
    assert len(texts(document)) < 500
    assert isinstance(document, Pairs)


@given(st.text())
def test_nothing_is_raised(text: str) -> None:
    parts(text)
