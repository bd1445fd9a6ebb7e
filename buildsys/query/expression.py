"""Expressions of the query language, as Bazel's query reference defines them, and their one-line text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPRESSION, WORD, INTEGER = "expression", "word", "integer"
"""What an argument of a function is."""

_PLAIN = re.compile(r"[A-Za-z0-9/@._:$~\[\]][A-Za-z0-9*/@.\-_:$~\[\]]*")


class Signature(NamedTuple):
    """The arguments that a function takes; those after the first `needed` may be left out."""

    arguments: tuple[str, ...]
    needed: int


class Word(NamedTuple):
    """A target pattern, or the value of a variable (`$name`)."""

    text: str

    def __str__(self) -> str:
        return quoted(self.text)


class SetOf(NamedTuple):
    """`set(a b c)`: the union of several words."""

    words: tuple[Word, ...]

    def __str__(self) -> str:
        return f"set({' '.join(str(word) for word in self.words)})"


class Let(NamedTuple):
    """`let name = value in body`."""

    name: str
    value: Expression
    body: Expression

    def __str__(self) -> str:
        return f"let {self.name} = {self.value} in {self.body}"


class Operation(NamedTuple):
    """Two expressions joined by `+`, `-` or `^`."""

    operator: str
    left: Expression
    right: Expression

    def __str__(self) -> str:
        first, rest = unrolled(self)
        return f"({first} {' '.join(f'{operator} {operand}' for operator, operand in rest)})"


class Call(NamedTuple):
    """A function and its arguments: expressions, words (as text) and numbers."""

    function: str
    arguments: tuple[Expression | str | int, ...]

    def __str__(self) -> str:
        shown = [quoted(item) if isinstance(item, str) else str(item) for item in self.arguments]
        return f"{self.function}({', '.join(shown)})"


Expression: TypeAlias = Word | SetOf | Let | Operation | Call


def quoted(text: str) -> str:
    """Return a word as it has to be written in a query."""
    if _PLAIN.fullmatch(text) and text not in KEYWORDS:
        return text
    return f'"{text}"' if '"' not in text else f"'{text}'"


def unrolled(expression: Expression) -> tuple[Expression, list[tuple[str, Expression]]]:
    """Return the first operand of a chain of operations, and each operator with its right operand.

    Scripts write chains of thousands; they nest to the left, deeper than the stack.
    """
    rest: list[tuple[str, Expression]] = []
    while isinstance(expression, Operation):
        rest.append((expression.operator, expression.right))
        expression = expression.left
    return expression, rest[::-1]


def words(expression: Expression) -> Iterator[str]:
    """Yield the target patterns of an expression, in the order written."""
    match expression:
        case Word(text):
            if not text.startswith("$"):
                yield text
        case SetOf(items):
            for item in items:
                yield from words(item)
        case Let(_, value, body):
            yield from words(value)
            yield from words(body)
        case Operation():
            first, rest = unrolled(expression)
            yield from words(first)
            for _, operand in rest:
                yield from words(operand)
        case Call(_, arguments):
            for argument in arguments:
                if not isinstance(argument, str | int):
                    yield from words(argument)


KEYWORDS = frozenset({"in", "let", "set", "intersect", "except", "union"})
