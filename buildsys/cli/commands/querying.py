"""query, cquery, aquery, explain: questions about targets, configured targets, actions and the last build."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from buildsys import session
from buildsys.errors import BuildError, BuildErrors, QueryError, UsageError, UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from buildsys.cli.request import Request
    from buildsys.opened import Answered

PARTIAL = 3
"""Exit code of a query that was answered in part (`--keep_going`)."""


def query(request: Request) -> int:
    """Answer a question about targets as they are written."""
    from buildsys.query.outputs import answer

    text = _text(request)
    with _failing_as_query():
        answered = session.query(request.open(), text, keep_going=request.options.flag("keep_going"))
        form, order = request.options.text("output"), request.options.text("order_output")
        _print(request, answer(answered.universe, answered.nodes, form, order, path=_is_path(answered)))
        return _code(request, answered)


def cquery(request: Request) -> int:
    """Answer a question about configured targets."""
    import json

    from buildsys.query.configured import CONFIGURED_FUNCTIONS, DEFAULT, ConfiguredUniverse
    from buildsys.query.outputs import answer, proto
    from buildsys.query.parser import parse

    text = _text(request)
    expression = parse(text, {name: function.signature for name, function in CONFIGURED_FUNCTIONS.items()})
    keep_going, form = request.options.flag("keep_going"), request.options.text("output")
    with _failing_as_query():
        opened = request.open()
        choices = session.choose(opened, request.params())
        answered, _ = session.cquery(opened, expression, choices, keep_going=keep_going)
        universe = answered.universe
        assert isinstance(universe, ConfiguredUniverse)  # noqa: S101 - what session.cquery makes
        order = request.options.text("order_output")
        if form == "files":
            targets = [universe.configured[node] for node in answered.nodes if node in universe.configured]
            _print(request, session.files(opened, targets))
        elif form == "jsonproto":
            results = [
                {"target": proto(universe, node), "configuration": {"mnemonic": node.config or DEFAULT}}
                for node in answered.nodes
            ]
            _print(request, [json.dumps({"results": results}, indent=2, ensure_ascii=False)])
        else:
            _print(request, answer(universe, answered.nodes, form, order, path=_is_path(answered)))
        return _code(request, answered)


def aquery(request: Request) -> int:
    """Show the actions of configured targets."""
    from buildsys.query.actions import FORMS, SIGNATURES, split_filters
    from buildsys.query.configured import ConfiguredUniverse
    from buildsys.query.parser import parse

    expression, filters = split_filters(parse(_text(request), SIGNATURES))
    with _failing_as_query():
        opened = request.open()
        choices = session.choose(opened, request.params())
        keep_going = request.options.flag("keep_going")
        answered, analysed = session.cquery(opened, expression, choices, keep_going=keep_going)
        universe = answered.universe
        assert isinstance(universe, ConfiguredUniverse)  # noqa: S101 - what session.cquery makes
        targets = [universe.configured[node] for node in answered.nodes if node in universe.configured]
        actions = session.aquery(opened, analysed, targets)
        chosen = [action for action in actions if filters.admit(action)]
        _print(request, FORMS[request.options.text("output")](chosen))
        return _code(request, answered)


def explain(request: Request) -> int:
    """Say why the last build ran what it ran."""
    for line in session.explain(request.open(), request.patterns):
        request.terminal.answer(line)
    return 0


def _text(request: Request) -> str:
    """Return the query: the words of the command line, or what is in the file that it names."""
    words, path = request.patterns, request.options.text("query_file")
    if path and words:
        raise UsageError("B035", "a query on the command line and --query_file exclude each other", hint="give one")
    if path:
        try:
            with open(path, encoding="utf-8") as stream:
                return stream.read().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError("B035", f"cannot read the query in {path}: {error}", hint="check --query_file") from error
    if not words:
        hint = f"write a query: buildsys {request.command} 'deps(//package:name)'"
        raise UsageError("B035", f"missing query expression. Type 'buildsys help {request.command}'", hint=hint)
    return " ".join(words)


def _print(request: Request, lines: Iterable[str]) -> None:
    end = "\0" if request.options.flag("line_terminator_null") else "\n"
    for line in lines:
        request.terminal.answer(line, end)


def _is_path(answered: Answered) -> bool:
    from buildsys.query.expression import Call

    return isinstance(answered.expression, Call) and answered.expression.function == "somepath"


def _code(request: Request, answered: Answered) -> int:
    if not answered.errors:
        return 0
    request.terminal.errors(answered.errors)
    request.terminal.message("WARNING", "--keep_going specified, ignoring errors. Results may be inaccurate")
    return PARTIAL


@contextmanager
def _failing_as_query() -> Iterator[None]:
    """Let what is wrong with the workspace or the targets asked about fail the query, with the query's exit code."""
    try:
        yield
    except BuildErrors as several:
        raise BuildErrors(_as_query_error(error) for error in several.errors) from several
    except UserError as error:
        raise _as_query_error(error) from error


def _as_query_error(error: BuildError) -> BuildError:
    if not isinstance(error, UserError) or isinstance(error, UsageError):
        return error
    return QueryError(error.code, error.message, at=error.at, hint=error.hint, notes=error.notes)
