"""The parser of the query language: text to expression, with Bazel's grammar and Bazel's messages.

expr ::= WORD | FUNCTION(arg, ...) | let WORD = expr in expr | (expr) | set(WORD*)
       | expr (intersect | ^ | union | + | except | -) expr        left-associative, of equal precedence
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from buildsys.errors import UsageError, did_you_mean
from buildsys.query.expression import EXPRESSION, INTEGER, KEYWORDS, Call, Expression, Let, Operation, SetOf, Word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildsys.query.expression import Signature

OPERATORS = {"intersect": "^", "^": "^", "union": "+", "+": "+", "except": "-", "-": "-"}
_MARKS = frozenset("(),+-=^")
_MORE = re.compile(r"[A-Za-z0-9*/@.\-_:$~\[\]]*")
WORD, END = "word", "EOF"
DEEPEST = 100
"""How deep expressions may nest: far more than anybody writes, and less than the stack holds."""


class Token(NamedTuple):
    """A token: a word, a mark, a keyword, or the end."""

    kind: str
    text: str


class _SyntaxFault(Exception):
    """What is wrong with a query, and what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def parse(query: str, functions: Mapping[str, Signature]) -> Expression:
    """Return the expression that `query` writes. Raises `UsageError` B030."""
    try:
        parser = _Parser(_tokens(query), functions)
        expression = parser.expression()
        rest = parser.token
        if rest.kind != END:
            raise _SyntaxFault(f"unexpected token '{rest.text}' after query expression '{expression}'")
    except _SyntaxFault as fault:
        hint = fault.hint or "`buildsys help query` shows the language"
        raise UsageError("B030", f"Error while parsing '{query}': {fault.message}", hint=hint) from fault
    return expression


def _tokens(query: str) -> list[Token]:
    tokens: list[Token] = []
    position = 0
    while position < len(query):
        mark = query[position]
        position += 1
        if mark in "\n \t\r":
            continue
        if mark in _MARKS:
            tokens.append(Token(mark, mark))
        elif mark in "'\"":
            end = query.find(mark, position)
            if end < 0:
                raise _SyntaxFault("unclosed quotation", f"close it with {mark}")
            tokens.append(Token(WORD, query[position:end]))
            position = end + 1
        else:
            match = _MORE.match(query, position)
            end = match.end() if match else position
            word = query[position - 1 : end]
            tokens.append(Token(word if word in KEYWORDS else WORD, word))
            position = end
    tokens.append(Token(END, END))
    return tokens


class _Parser:
    """A recursive descent parser with one token of look-ahead."""

    def __init__(self, tokens: list[Token], functions: Mapping[str, Signature]) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0
        self._functions = functions

    @property
    def token(self) -> Token:
        """The token to be looked at next."""
        return self._tokens[self._position]

    def expression(self) -> Expression:
        """Parse an expression with its operators."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise _SyntaxFault(f"expressions nest deeper than {DEEPEST}", "name a part of it: let x = ... in ...")
        left = self._primary()
        while self.token.kind in OPERATORS:
            operator = OPERATORS[self._consume(self.token.kind)]
            left = Operation(operator, left, self._primary())
        self._depth -= 1
        return left

    def _primary(self) -> Expression:
        kind = self.token.kind
        if kind == WORD:
            text = self._consume(WORD)
            return self._call(text) if self.token.kind == "(" else _target(text)
        if kind == "let":
            self._consume("let")
            name = self._consume(WORD)
            self._consume("=")
            value = self.expression()
            self._consume("in")
            return Let(name, value, self.expression())
        if kind == "(":
            self._consume("(")
            inner = self.expression()
            self._consume(")")
            return inner
        if kind == "set":
            self._consume("set")
            self._consume("(")
            words: list[Word] = []
            while self.token.kind == WORD:
                words.append(_target(self._consume(WORD)))
            self._consume(")")
            return SetOf(tuple(words))
        raise self._syntax_fault()

    def _call(self, name: str) -> Expression:
        signature = self._functions.get(name)
        if signature is None:
            hint = did_you_mean(name, self._functions) or f"the functions are {', '.join(sorted(self._functions))}"
            raise self._syntax_fault(f"'{name}' is no function here; {hint}")
        arguments: list[Expression | str | int] = []
        before = "("
        for kind in signature.arguments:
            if self.token.kind == ")" and len(arguments) >= signature.needed:
                break
            self._consume(before)
            before = ","
            if kind == EXPRESSION:
                arguments.append(self.expression())
                continue
            text = self._consume(WORD)
            if kind == INTEGER and not re.fullmatch(r"[0-9]{1,9}", text):
                raise _SyntaxFault(f"expected an integer literal: '{text}'")
            arguments.append(int(text) if kind == INTEGER else text)
        self._consume(")")
        return Call(name, tuple(arguments))

    def _consume(self, kind: str) -> str:
        token = self.token
        if token.kind != kind:
            raise self._syntax_fault()
        self._position += 1
        return token.text

    def _syntax_fault(self, hint: str = "") -> _SyntaxFault:
        context = [token.text for token in self._tokens[self._position : self._position + 3] if token.kind != END]
        if not context:
            return _SyntaxFault("premature end of input", hint)
        return _SyntaxFault(f"syntax error at '{' '.join(context)}'", hint)


def _target(text: str) -> Word:
    if text.startswith(("-", "*")):
        raise _SyntaxFault(f"target literal must not begin with ({text[0]}): {text}", "exclude with: ... except ...")
    return Word(text)
