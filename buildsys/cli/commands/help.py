"""help: commands, options, rules and parameters, generated from the tables that decide them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import buildsys
from buildsys.cli import rc
from buildsys.cli.commands.answers import INFO_KEYS
from buildsys.cli.options import BOOL, LIST, MAKING, QUERYING, options_of
from buildsys.errors import BuildError, BuildErrors, UsageError, did_you_mean
from buildsys.model.parameter import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from buildsys.cli.options import Option
    from buildsys.cli.request import Request
    from buildsys.model.parameter import Parameter
    from buildsys.sdk.rule import RuleSet

WIDTH = 100
OPERANDS = {
    **dict.fromkeys(MAKING, "<options> <targets>"),
    **dict.fromkeys(QUERYING, "<options> <query>"),
    "run": "<options> <target> -- <arguments>",
    "explain": "<options> [<targets>]",
    "info": "<options> [<key>...]",
    "cache": "<options> stats",
    "help": "[<command> | <topic> | <rule>]",
}
TARGET_SYNTAX = """\
//a/b:c           the target or source file c of the package a/b
//a/b             //a/b:b
//a/b:all         all targets of the package a/b
//a/b:*           all targets and source files of the package a/b (also :all-targets)
//a/b/...         all targets of all packages at and below a/b (also //a/b/...:all)
//a/b/...:*       all targets and source files of all packages at and below a/b
//...             all targets of the workspace
:c, c             the target or source file c of the package around the working directory
a/b:c, a/b, ...   the same as above, seen from the package around the working directory
-//a/b:c          behind `--`: not this one. Order counts: //... -- -//a/... excludes

`build` and its kin skip targets that are tagged `manual` where a pattern does not name them; `query` does not."""
RANGES = """\
Of a VERSION there may be several; every target that depends on it is then built once for each:
--param=kubernetes=1.30.1,1.30.2           these versions
--param='kubernetes=>=1.30,<1.31,!=1.30.3' every version in this range that the lock file has pins of"""
RC = """\
Files, later ones win: /etc/buildsys.buildsysrc, .buildsysrc of the workspace, ~/.buildsysrc, those in $BUILDSYSRC
(comma-separated), those of --buildsysrc=FILE. The command line beats them all.

COMMAND OPTION...          options for a command; test, run, fetch, cquery and aquery take those of `build` too
COMMAND:NAME OPTION...     the same with --config=NAME
common, always             for every command that knows the option
startup                    options that stand before the command
import FILE                read another file; %workspace% is the root of the workspace
try-import FILE            the same, if it is there

Quoting is the shell's, # begins a comment, and a backslash at the end of a line joins it to the next."""


def help(request: Request) -> int:  # noqa: A001 - the name of the command
    """Explain a command, a topic or a rule."""
    for line in _about(request, request.patterns):
        request.terminal.answer(line.rstrip())
    return 0


def _about(request: Request, words: list[str]) -> list[str]:
    if not words:
        return _overview()
    if len(words) > 1:
        raise UsageError("B040", f"help explains one thing at a time, not {len(words)}", hint=f"help {words[0]}")
    topic = words[0]
    if topic in rc.COMMANDS:
        return _command(topic)
    if topic in TOPICS:
        return TOPICS[topic](request)
    rules = _rules(request)
    if topic in rules:
        return _rule(topic, rules)
    known = [*rc.COMMANDS, *TOPICS, *rules.names()]
    raise UsageError(
        "B040",
        f"'{topic}' is neither a command nor a topic nor a rule",
        hint=did_you_mean(topic, known) or f"the topics are {', '.join(TOPICS)}",
    )


def _overview() -> list[str]:
    from buildsys.cli.dispatch import command

    lines = [
        f"buildsys {buildsys.__version__}",
        "",
        "Usage: buildsys <startup options> <command> <options> ...",
        "",
        "Commands:",
    ]
    lines += [f"  {name:<10} {_first(command(name).__doc__)}" for name in sorted(rc.COMMANDS)]
    lines += ["", "More:"]
    lines += [f"  buildsys help {'<command>':<16} the options of a command"]
    lines += [f"  buildsys help {name:<16} {_first(topic.__doc__)}" for name, topic in TOPICS.items()]
    return [*lines, f"  buildsys help {'<rule>':<16} the attributes of a rule"]


def _command(name: str) -> list[str]:
    from buildsys.cli.dispatch import command

    lines = [f"Usage: buildsys {name} {OPERANDS.get(name, '<options>')}", "", _first(command(name).__doc__)]
    if name in QUERYING:
        lines += _language(name)
    return [*lines, "", "Options:", *_options(options_of(name).values())]


def _language(name: str) -> list[str]:
    from buildsys.query.actions import FILTERS
    from buildsys.query.configured import CONFIGURED_FUNCTIONS
    from buildsys.query.functions import FUNCTIONS

    lines = [
        "",
        "Expressions: target patterns, set(a b), let x = e in e, parentheses, and from left to right the operators",
        "+ (union), - (except) and ^ (intersect). `buildsys help target-syntax` shows the patterns.",
        "",
        "Functions:",
    ]
    functions = FUNCTIONS if name == "query" else CONFIGURED_FUNCTIONS
    lines += [f"  {function.help}" for function in functions.values()]
    if name == "aquery":
        lines += [f"  {filter_}(regexp, expr): of the actions of expr, those that match" for filter_ in FILTERS]
    return lines


def _options(options: Iterable[Option]) -> list[str]:
    lines: list[str] = []
    for option in options:
        spelled = f"--[no]{option.name}" if option.kind == BOOL else f"--{option.name}={option.value}"
        short = f"-{option.short}, " if option.short else ""
        notes = []
        if option.choices:
            notes.append(f"one of {', '.join(option.choices)}")
        if option.kind == LIST:
            notes.append("may be repeated")
        elif option.kind == BOOL:
            notes.append(f"default: {'on' if option.default else 'off'}")
        elif option.default != "":
            notes.append(f"default: {option.default}")
        text = option.help + (f" ({'; '.join(notes)})" if notes else "")
        lines.append(f"  {short}{spelled}")
        lines += textwrap.wrap(text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return lines


def _startup_options(request: Request) -> list[str]:
    """Options that stand before the command."""
    return _options(options_of("startup").values())


def _target_syntax(request: Request) -> list[str]:
    """How targets are named."""
    return TARGET_SYNTAX.splitlines()


def _info_keys(request: Request) -> list[str]:
    """What `buildsys info` knows."""
    return [f"{key:<18} {text}" for key, text in INFO_KEYS.items()]


def _rc(request: Request) -> list[str]:
    """Files with options."""
    return RC.splitlines()


def _parameters(request: Request) -> list[str]:
    """What may be chosen in this workspace."""
    declared: Mapping[str, Parameter] = request.open().workspace.parameters
    lines: list[str] = []
    for name, parameter in declared.items():
        default = parameter.default or '""'
        lines.append(f"--param={name}={'|'.join(parameter.choices) or parameter.kind.upper()} (default: {default})")
        if parameter.doc:
            lines += textwrap.wrap(parameter.doc, WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 4)
    if any(parameter.kind == VERSION for parameter in declared.values()):
        lines += ["", *RANGES.splitlines()]
    return lines or ["This workspace declares no parameters."]


def _all_rules(request: Request) -> list[str]:
    """The rules that targets can be of."""
    rules = _rules(request)
    return [f"{name:<18} {_first(rules.find(name).__doc__)}" for name in rules.names()]


def _rule(name: str, rules: RuleSet) -> list[str]:
    from buildsys.report.rule_reference import section

    return section(rules, name).splitlines()


def _rules(request: Request) -> RuleSet:
    """Return the rules of the workspace; outside of one, or where it is broken, those that come with the program."""
    from buildsys import rules
    from buildsys.sdk.rule import RuleSet as Rules

    try:
        return request.open().rules
    except (BuildError, BuildErrors):
        return Rules(rules.names(), rules.load, {}, {})


def _first(doc: str | None) -> str:
    """Return the first line of a docstring without its full stop."""
    return (doc or "").strip().partition("\n")[0].removesuffix(".")


TOPICS: dict[str, Callable[[Request], list[str]]] = {
    "target-syntax": _target_syntax,
    "startup_options": _startup_options,
    "info-keys": _info_keys,
    "parameters": _parameters,
    "rules": _all_rules,
    "rc": _rc,
}
