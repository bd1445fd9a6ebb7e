from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildsys.errors import UsageError
from buildsys.query.expression import Call, Let, Operation, SetOf, Word, words
from buildsys.query.functions import FUNCTIONS
from buildsys.query.parser import parse

SIGNATURES = {name: function.signature for name, function in FUNCTIONS.items()}


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("//a:b", Word("//a:b")),
        ("  //a/...:* ", Word("//a/...:*")),
        ("'//a:b+c'", Word("//a:b+c")),
        ('"in"', Word("in")),
        ("(//a:b)", Word("//a:b")),
        ("a + b - c", Operation("-", Operation("+", Word("a"), Word("b")), Word("c"))),
        ("a union b except c intersect d ^ e", parse("(((a + b) - c) ^ d) ^ e", SIGNATURES)),
        ("a-b", Word("a-b")),
        ("a -b", Operation("-", Word("a"), Word("b"))),
        ("set()", SetOf(())),
        ("set(a 'b' //c:d)", SetOf((Word("a"), Word("b"), Word("//c:d")))),
        ("deps(//a:b)", Call("deps", (Word("//a:b"),))),
        ("deps(//a:b, 2)", Call("deps", (Word("//a:b"), 2))),
        ("deps", Word("deps")),
        ("kind('x y', //a:b)", Call("kind", ("x y", Word("//a:b")))),
        ("let v = //a:b in $v + c", Let("v", Word("//a:b"), Operation("+", Word("$v"), Word("c")))),
    ],
)
def test_what_is_written(text: str, expression: object) -> None:
    assert parse(text, SIGNATURES) == expression


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("deps(//a:g", "premature end of input"),
        ("", "premature end of input"),
        ("a +", "premature end of input"),
        ("deps(//a:g))", "unexpected token ')' after query expression 'deps(//a:g)'"),
        ("a b", "unexpected token 'b' after query expression 'a'"),
        ("nope(//a:g)", "syntax error at '( //a:g )'"),
        ("deps(a, b)", "expected an integer literal: 'b'"),
        ("deps(a, 1, 2)", "syntax error at ', 2 )'"),
        ("somepath(a)", "syntax error at ')'"),
        ("'//a:g", "unclosed quotation"),
        ("set(a, b)", "syntax error at ', b )'"),
        ("let x a in b", "syntax error at 'a in b'"),
        ("set(*a)", "target literal must not begin with (*): *a"),
        ("-a", "syntax error at '- a'"),
        ("kind(set, a)", "syntax error at 'set , a'"),
    ],
)
def test_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, SIGNATURES)
    assert caught.value.message == f"Error while parsing '{text}': {message}"
    assert caught.value.code == "B030"


def test_unknown_function_has_a_suggestion() -> None:
    with pytest.raises(UsageError) as caught:
        parse("dep(//a:b)", SIGNATURES)
    assert caught.value.hint == "'dep' is no function here; did you mean 'deps'?"


def test_nesting_has_a_limit() -> None:
    with pytest.raises(UsageError) as caught:
        parse("(" * 5000 + "a" + ")" * 5000, SIGNATURES)
    assert caught.value.message.endswith("expressions nest deeper than 100")


def test_chains_have_no_limit() -> None:
    text = " + ".join(f"//a:t{number}" for number in range(20_000))
    expression = parse(text, SIGNATURES)
    assert len(list(words(expression))) == 20_000
    assert str(expression) == f"({text})"


_WORDS = st.text("ab/:.", min_size=1, max_size=5).map(Word)
_EXPRESSIONS = st.recursive(
    _WORDS | st.lists(_WORDS, max_size=3).map(lambda items: SetOf(tuple(items))),
    lambda inner: st.one_of(
        st.builds(Operation, st.sampled_from("+-^"), inner, inner),
        st.builds(Let, st.sampled_from(["v", "w"]), inner, inner),
        st.builds(lambda x: Call("deps", (x,)), inner),
        st.builds(lambda x, n: Call("deps", (x, n)), inner, st.integers(0, 99)),
        st.builds(lambda p, x: Call("kind", (p, x)), st.text("a b(|)", max_size=6), inner),
    ),
    max_leaves=8,
)


def _bracketed(expression: object) -> str:
    """Write an expression with all its parentheses."""
    match expression:
        case Let(name, value, body):
            return f"(let {name} = {_bracketed(value)} in {_bracketed(body)})"
        case Operation(operator, left, right):
            return f"({_bracketed(left)} {operator} {_bracketed(right)})"
        case Call(function, arguments):
            shown = [
                f"'{a}'" if isinstance(a, str) else str(a) if isinstance(a, int) else _bracketed(a) for a in arguments
            ]
            return f"{function}({', '.join(shown)})"
        case _:
            return str(expression)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_EXPRESSIONS)
def test_what_is_bracketed_is_read_back(expression: object) -> None:
    assert parse(_bracketed(expression), SIGNATURES) == expression


@settings(deadline=None)
@given(st.text("ab(),+-^= '\"$set let in deps", max_size=30))
def test_any_text_is_an_expression_or_an_error(text: str) -> None:
    parsed, code = None, ""
    try:
        parsed = parse(text, SIGNATURES)
    except UsageError as error:
        code = error.code
    assert (parsed is None) == (code == "B030")
    assert parsed is None or parse(str(parsed), SIGNATURES) == parsed
