"""Options as data: one row decides parsing, help and which commands take it.

Forms follow Bazel: `--opt=value`, `--opt value`, `--flag`, `--noflag`, `--flag=true|yes|1|false|no|0`, `-k`, `-j4`,
`-j 4`; of a repeated option the last one counts, unless it is a list. argparse knows none of `--noflag`, options
between patterns and values that never swallow a pattern, which is why it is not used here (docs/decisions).
"""

from __future__ import annotations

from typing import NamedTuple

from buildsys.errors import UsageError, did_you_mean

BOOL, TEXT, LIST, NUMBER = "bool", "text", "list", "number"

MAKING = ("build", "test", "run", "fetch", "lock", "serve")
BUILDING = (*MAKING, "cquery", "aquery", "explain", "info", "cache", "clean")
"""The commands that inherit what rc files say for `build`."""
CONFIGURING = (*MAKING, "cquery", "aquery")
QUERYING = ("query", "cquery", "aquery")
STORING = (*MAKING, "aquery", "explain", "info", "cache")
ANY = ("*",)
STARTUP = ("startup",)


class Option(NamedTuple):
    """One option: its type, the commands that take it, its default, a short form, and one line of help."""

    name: str
    kind: str
    commands: tuple[str, ...]
    default: object
    help: str
    short: str = ""
    value: str = "VALUE"
    choices: tuple[str, ...] = ()


QUERY_FORMS = (
    *("label", "label_kind", "location", "package", "build", "graph", "minrank", "maxrank"),
    "streamed_jsonproto",
)
CQUERY_FORMS = ("label", "label_kind", "files", "graph", "jsonproto")
AQUERY_FORMS = ("text", "summary", "jsonproto")
CACHE_FORMS = ("text", "json")

OPTIONS = (
    Option("output_base", TEXT, STARTUP, "", "where results of this workspace go (default: buildsys-out)", value="DIR"),
    Option(
        "buildsysrc", LIST, STARTUP, (), "another rc file; /dev/null ends the search for further ones", value="FILE"
    ),
    Option("system_rc", BOOL, STARTUP, True, "read /etc/buildsys.buildsysrc"),
    Option("workspace_rc", BOOL, STARTUP, True, "read .buildsysrc of the workspace"),
    Option("home_rc", BOOL, STARTUP, True, "read ~/.buildsysrc"),
    Option("ignore_all_rc_files", BOOL, STARTUP, False, "read no rc file"),
    Option("block_for_lock", BOOL, STARTUP, True, "wait for another command in this workspace; else exit 9"),
    Option("batch", BOOL, STARTUP, True, "accepted for Bazel's sake: there is no server"),
    Option("max_idle_secs", NUMBER, STARTUP, 0, "accepted for Bazel's sake: there is no server"),
    Option("config", LIST, ANY, (), "add the options that rc files define for this name", value="NAME"),
    Option("announce_rc", BOOL, ANY, False, "say which options come from rc files"),
    Option("color", TEXT, ANY, "auto", "colour messages", choices=("auto", "yes", "no")),
    Option("show_progress", BOOL, ANY, True, "show what is running, on a terminal"),
    Option("disk_cache", TEXT, STORING, "", "the local store (default: $BUILDSYS_CACHE, else cache/)", value="DIR"),
    Option(
        "param",
        LIST,
        CONFIGURING,
        (),
        "set a parameter of the workspace; of a version also a list or a range",
        value="NAME=VALUE",
    ),
    Option("jobs", TEXT, MAKING, "auto", "actions that run at a time: a number or auto", "j", "N"),
    Option("keep_going", BOOL, (*MAKING, *QUERYING), False, "go on as far as possible after an error", "k"),
    Option("distdir", LIST, MAKING, (), "look for downloads in this folder first", value="DIR"),
    Option(
        "downloader_config",
        TEXT,
        MAKING,
        "",
        "rewrite the addresses of downloads, allow and block hosts, as this file of the workspace says",
        value="FILE",
    ),
    Option("http_timeout_scaling", TEXT, MAKING, "1.0", "factor on all timeouts of downloads", value="FACTOR"),
    Option("http_connector_attempts", NUMBER, MAKING, 5, "attempts for each address of a download"),
    Option("http_max_parallel_downloads", NUMBER, MAKING, 8, "downloads that run at a time"),
    Option(
        "registry_mirror",
        LIST,
        MAKING,
        (),
        "ask this place for the images of a registry first; several are asked in order, the registry itself last",
        value="HOST=URL",
    ),
    Option("registry_auth_file", TEXT, MAKING, "", "the file with logins (default: podman's, docker's)", value="FILE"),
    Option("registry_insecure", LIST, MAKING, (), "speak plain http to this registry", value="HOST"),
    Option("registry_ca", TEXT, MAKING, "", "trust these certificates of registries, too", value="FILE"),
    Option("registry_client_cert", TEXT, MAKING, "", "show this certificate to registries", value="FILE"),
    Option("registry_client_key", TEXT, MAKING, "", "the key of --registry_client_cert", value="FILE"),
    Option("registry", BOOL, ("serve",), False, "serve as a registry of images does"),
    Option("port", NUMBER, ("serve",), 5000, "the port to listen on; 0 for any that is free"),
    Option("address", TEXT, ("serve",), "127.0.0.1", "the address to listen on; 0.0.0.0 for all", value="IP"),
    Option("image", LIST, ("lock",), (), "lock this image, too", value="NAME"),
    Option("update", LIST, ("lock",), (), "resolve this image again although it is locked; * for all", value="NAME"),
    Option("build", BOOL, ("build",), True, "--nobuild ends after the analysis"),
    Option("check_up_to_date", BOOL, ("build",), False, "run nothing; fail when something would have to run"),
    Option("show_result", NUMBER, ("build", "test"), 20, "list the outputs of at most so many targets"),
    Option("verbose_failures", BOOL, MAKING, False, "show the descriptor of an action that failed"),
    Option("subcommands", BOOL, MAKING, False, "say what each action does before it runs", "s"),
    Option(
        "profile",
        TEXT,
        MAKING,
        "",
        "write what the command did when, in Chrome's trace format; compressed if the name ends in .gz",
        value="FILE",
    ),
    Option("output", TEXT, ("query",), "label", "the form of the answer", value="FORM", choices=QUERY_FORMS),
    Option("output", TEXT, ("cquery",), "label", "the form of the answer", value="FORM", choices=CQUERY_FORMS),
    Option("output", TEXT, ("aquery",), "text", "the form of the answer", value="FORM", choices=AQUERY_FORMS),
    Option("output", TEXT, ("cache",), "text", "the form of the answer", value="FORM", choices=CACHE_FORMS),
    Option(
        "order_output",
        TEXT,
        ("query", "cquery"),
        "auto",
        "the order: by label, as found, or dependents first",
        choices=("auto", "no", "deps", "full"),
    ),
    Option("implicit_deps", BOOL, QUERYING, True, "accepted for Bazel's sake: no dependency is implicit"),
    Option("tool_deps", BOOL, QUERYING, True, "accepted for Bazel's sake: no dependency is a tool"),
    Option("line_terminator_null", BOOL, QUERYING, False, "end each line of the answer with NUL"),
    Option("query_file", TEXT, QUERYING, "", "read the query from a file", value="FILE"),
    Option("expunge", BOOL, ("clean",), False, "also remove what this workspace remembers of its builds"),
)


class Parsed(NamedTuple):
    """A parsed command line: values by option, patterns and other words, and what stood behind `--`."""

    values: dict[str, object]
    words: list[str]
    after: list[str]

    def text(self, name: str) -> str:
        """Return the text of an option."""
        return str(self.values[name])

    def flag(self, name: str) -> bool:
        """Return whether an option is on."""
        return bool(self.values[name])

    def number(self, name: str) -> int:
        """Return the number of an option."""
        return int(str(self.values[name]))

    def list(self, name: str) -> tuple[str, ...]:
        """Return all values of a repeated option."""
        found = self.values[name]
        return tuple(str(item) for item in found) if isinstance(found, tuple) else ()


def options_of(command: str) -> dict[str, Option]:
    """Return the options that a command takes, by name; `startup` for those before the command."""
    return {o.name: o for o in OPTIONS if command in o.commands or (o.commands == ANY and command != "startup")}


def parse(tokens: list[str], command: str) -> Parsed:
    """Parse what follows a command. Raises `UsageError` B010 (unknown option), B011 (malformed value)."""
    known = options_of(command)
    values: dict[str, object] = {option.name: option.default for option in known.values()}
    words: list[str] = []
    position = 0
    while position < len(tokens):
        token = tokens[position]
        position += 1
        if token == "--":
            return Parsed(values, words, tokens[position:])
        if not token.startswith("-") or token == "-":
            words.append(token)
            continue
        option, text = _recognise(token, known, command)
        if text is None and option.kind != BOOL:
            if position == len(tokens):
                raise UsageError(
                    "B011", f"Expected value after --{option.name}", hint=f"write --{option.name}={option.value}"
                )
            text = tokens[position]
            position += 1
        value = _value(option, "true" if text is None else text)
        before = values[option.name]
        values[option.name] = (*before, value) if option.kind == LIST and isinstance(before, tuple) else value
    return Parsed(values, words, [])


def without(name: str, tokens: list[str], command: str) -> list[str]:
    """Return what follows a command without any use of an option. `parse` has found nothing wrong with it."""
    known = options_of(command)
    kept: list[str] = []
    position = 0
    while position < len(tokens) and tokens[position] != "--":
        first = position
        position += 1
        if tokens[first].startswith("-") and tokens[first] != "-":
            option, text = _recognise(tokens[first], known, command)
            position += text is None and option.kind != BOOL
            if option.name == name:
                continue
        kept += tokens[first:position]
    return kept + tokens[position:]


def is_known(token: str, command: str) -> bool:
    """Tell whether a command takes the option that `token` spells."""
    try:
        _recognise(token, options_of(command), command)
    except UsageError:
        return False
    return True


def _recognise(token: str, known: dict[str, Option], command: str) -> tuple[Option, str | None]:
    """Return the option that a token spells and the value in it; `--noflag` has the value false."""
    if token.startswith("//", 1):
        hint = f"patterns that exclude stand behind `--`: buildsys {command} //... -- {token}"
        raise UsageError("B010", f"Invalid options syntax: {token}", hint=hint)
    if not token.startswith("--"):
        for option in known.values():
            if option.short and token[1] == option.short and (len(token) == 2 or option.kind != BOOL):
                return option, token[2:].removeprefix("=") or None
        raise UsageError("B010", f"Unrecognized option: {token}", hint=f"`buildsys help {command}` lists the options")
    name, equals, text = token[2:].partition("=")
    if name in known:
        return known[name], text if equals else None
    negated = name.removeprefix("no")
    if name.startswith("no") and not equals and negated in known and known[negated].kind == BOOL:
        return known[negated], "false"
    spellings = [*known, *(f"no{o.name}" for o in known.values() if o.kind == BOOL)]
    suggestion = did_you_mean(name, spellings).replace("'", "'--", 1)
    elsewhere = [o for o in OPTIONS if o.name in {name, negated}]
    if elsewhere:
        commands = dict.fromkeys(command for o in elsewhere for command in o.commands)
        place = "before the command" if elsewhere[0].commands == STARTUP else f"with {', '.join(commands)}"
        suggestion = f"--{elsewhere[0].name} goes {place}"
    hint = suggestion or f"`buildsys help {command}` lists the options"
    raise UsageError("B010", f"--{name} :: Unrecognized option: --{name}", hint=hint)


def _value(option: Option, text: str) -> object:
    if option.kind == BOOL:
        if text.lower() in {"true", "yes", "1"}:
            return True
        if text.lower() in {"false", "no", "0"}:
            return False
        raise UsageError(
            "B011", f"--{option.name}: '{text}' is neither true nor false", hint=f"write --[no]{option.name}"
        )
    if option.kind == NUMBER and not (text.isdigit() and int(text) < 1 << 31):
        raise UsageError("B011", f"--{option.name}: '{text}' is not a whole number", hint=f"write --{option.name}=8")
    if option.choices and text not in option.choices:
        hint = did_you_mean(text, option.choices) or f"the values are {', '.join(option.choices)}"
        raise UsageError("B011", f"--{option.name}: '{text}' is not one of its values", hint=hint)
    return text
