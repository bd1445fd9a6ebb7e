"""Evaluation: an expression over a universe gives a set of nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.errors import QueryError, did_you_mean
from buildsys.query.expression import Call, Expression, Let, Operation, SetOf, Word, unrolled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildsys.query.functions import Function, Nodes
    from buildsys.query.universe import Universe


def evaluate(
    expression: Expression,
    universe: Universe,
    functions: Mapping[str, Function],
    variables: Mapping[str, Nodes] | None = None,
) -> Nodes:
    """Return the nodes that an expression stands for, in the order found; it was parsed with the same functions.

    Raises `QueryError` B033 for a variable that no `let` defines, and what the universe raises.
    """
    known = variables or {}
    match expression:
        case Word(text):
            return _word(text, universe, known)
        case SetOf(items):
            union: Nodes = {}
            for item in items:
                union.update(_word(item.text, universe, known))
            return union
        case Let(name, value, body):
            return evaluate(body, universe, functions, {**known, name: evaluate(value, universe, functions, variables)})
        case Operation():
            first, rest = unrolled(expression)
            found = dict(evaluate(first, universe, functions, variables))
            for operator, operand in rest:
                other = evaluate(operand, universe, functions, variables)
                if operator == "+":
                    found.update(other)
                else:
                    found = {node: None for node in found if (node in other) == (operator == "^")}
            return found
        case Call(name, arguments):
            values = [a if isinstance(a, str | int) else evaluate(a, universe, functions, variables) for a in arguments]
            return functions[name].apply(universe, *values)


def _word(text: str, universe: Universe, variables: Mapping[str, Nodes]) -> Nodes:
    if not text.startswith("$"):
        return dict.fromkeys(universe.matching(text))
    name = text.removeprefix("$")
    if name not in variables:
        raise QueryError(
            "B033", f"undefined variable '{name}'", hint=did_you_mean(name, variables) or f"let {name} = ... in ..."
        )
    return dict(variables[name])
