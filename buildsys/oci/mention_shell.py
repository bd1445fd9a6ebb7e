"""Image references in shell scripts and systemd units: commands that pull, and variables whose names say `image`.

Nothing is run. Variables that are set to a constant are expanded, `${NAME:-default}` to its default where NAME is not
set; every other expansion is UNKNOWN, and what contains it is no reference. Source: POSIX XCU 2.2 to 2.9.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from buildsys.oci.mention import UNKNOWN, Mention, is_explicit, is_reference
from buildsys.oci.mention_lines import loose

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TOKEN = re.compile(
    r"""(?P<space>(?:[ \t\r\n]|\\\n)+)|(?P<redirect>[0-9]*(?:>&|&>>?|>>|<<<|<<-?|<&|[<>]))
    |(?P<end>;;|&&|\|\||[;&|(){}])|(?P<comment>\#[^\n]*)
    |(?P<word>(?:[^\s;&|(){}<>'"\\$`]|\\.|'[^']*'|"(?:[^"\\]|\\.)*"|\$\{[^}]*\}|\$\([^()]*\)|\$\w+|`[^`]*`
    |\$[@*\#?$!-]|[$'"`\\])+)""",
    re.VERBOSE | re.DOTALL,
)
_PART = re.compile(
    r"""'(?P<plain>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)"|\\(?P<escaped>.)|(?P<variable>\$\{[^}]*\}|\$\w+|\$.|`[^`]*`)
    |(?P<bare>[^'"\\$`]+)|(?P<odd>.)""",
    re.VERBOSE | re.DOTALL,
)
_EXPANSION = re.compile(r"\$\{[^}]*\}|\$\([^()]*\)|\$\w+|\$[@*#?$!-]|`[^`]*`")
_BRACED = re.compile(r"\$\{(\w+)(?::?[-=]([^}]*))?\}|\$([A-Za-z_]\w*)")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)\+?=(.*)", re.DOTALL)
_IMAGE_NAME = re.compile(r"image|(?:^|_)img", re.IGNORECASE)

_BEFORE = frozenset(
    "sudo exec command nohup env time nice if while until elif then do else ! local export readonly declare typeset"  # noqa: SIM905
    " timeout".split()
)
"""Words that a command may stand behind."""

_ENGINES = frozenset({"docker", "podman", "nerdctl"})
_GLOBAL_WITH_VALUE = frozenset(
    "-n --namespace -a --address -H --host -c --context --config -l --log-level -r -i -t --runtime-endpoint "  # noqa: SIM905
    "--image-endpoint --timeout --snapshotter --data-root --storage-driver --cgroup-manager --cni-path "
    "--cni-netconfpath --hosts-dir --root --runroot".split()
)
"""Options before the verb that take the next word."""

_BARE = frozenset(
    "--detach --interactive --tty --rm --privileged --init --read-only --no-healthcheck --quiet --help --sig-proxy "  # noqa: SIM905
    "--disable-content-trust --publish-all --oom-kill-disable --all-tags --all-platforms --plain-http --skip-verify "
    "--local --null-io --net-host --no-pivot --all --replace --cgroup --skip-metadata --print-chainid".split()
)
"""Options of `run` and `pull` that do not take the next word."""

_LONGEST = 8192
"""Characters of a line of a script; what has more was not written by hand."""
_SHORT_BARE = frozenset("ditPqak")


class _Word(NamedTuple):
    """A word after expansion; `loose` where an unquoted expansion in it may make it any number of words, or none."""

    text: str
    line: int
    column: int
    loose: bool
    variable: str
    """The name of the variable that is all of it."""


def shell(text: str) -> Iterator[Mention]:
    """Yield the references in a shell script, in a file of `NAME=value` lines, or in a systemd unit."""
    script = _Script()
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        begin, line = number, lines[number]
        while line.endswith("\\") and number + 1 < len(lines):
            number += 1
            line += "\n" + lines[number]
        number += 1
        yield from script.read(line, begin + 1)
    yield from loose(line for line in lines)


class _Script:
    """Reads a script line by line; knows the variables, and the array that is being filled."""

    def __init__(self) -> None:
        self._variables: dict[str, str] = {}
        self._told: set[str] = set()
        self._array = ""

    def read(self, line: str, number: int) -> Iterator[Mention]:
        """Yield the references of one logical line."""
        if line.lstrip().startswith("#") or len(line) > _LONGEST:
            return
        if line.startswith(("Exec", "Environment")) and "=" in line:
            key, _, value = line.partition("=")
            value = value.lstrip("-@:+!") if key.startswith("Exec") else value
            line = " " * (len(key) + 1) + re.sub(r"%[a-zA-Z]", "$" + "{%}", value)
        command: list[_Word] = []
        skip = False
        for kind, word in self._tokens(line, number):
            if kind == "redirect":
                skip = True
            elif kind == "word" and skip:
                skip = False
            elif self._array:
                if kind == "word":
                    yield from self._valued(self._array, word)
                elif word.text == ")":
                    self._array = ""
            elif kind == "word":
                command.append(word)
            elif word.text == "(" and command and command[-1].text.rstrip("+").endswith("="):
                self._array = command.pop().text.rstrip("+=")
                self._variables[self._array] = UNKNOWN
            else:
                yield from self._command(command)
                command = []
        yield from self._command(command)

    def _tokens(self, line: str, number: int) -> Iterator[tuple[str, _Word]]:
        position = 0
        while position < len(line):
            found = _TOKEN.match(line, position)
            if found is None:
                position += 1
                continue
            position = found.end()
            kind = found.lastgroup or ""
            if kind in {"space", "comment"}:
                continue
            at = number + line.count("\n", 0, found.start())
            column = found.start() - line.rfind("\n", 0, found.start())
            yield kind, self._word(found[0], at, column) if kind == "word" else _Word(found[0], at, column, False, "")

    def _word(self, written: str, line: int, column: int) -> _Word:
        text, unquoted = "", False
        for part in _PART.finditer(written):
            if part["variable"] is not None:
                value = self._expanded(part["variable"])
                unquoted = unquoted or UNKNOWN in value
                text += value
            elif part["double"] is not None:
                value = _EXPANSION.sub(lambda found: self._expanded(found[0]), part["double"])
                unquoted = unquoted or (UNKNOWN in value and "[@]" in part["double"])
                text += re.sub(r"\\(.)", r"\1", value)
            else:
                text += part["plain"] or part["escaped"] or part["bare"] or part["odd"] or ""
        whole = _BRACED.fullmatch(written.strip('"'))
        variable = (whole[1] or whole[3] or "") if whole else ""
        return _Word(text, line, column, unquoted, variable)

    def _expanded(self, written: str) -> str:
        found = _BRACED.fullmatch(written)
        if found is None:
            return UNKNOWN
        name = found[1] or found[3]
        if name in self._variables:
            return self._variables[name]
        if found[2] is None:
            return UNKNOWN
        return _EXPANSION.sub(lambda inner: self._expanded(inner[0]), found[2].strip("\"'"))

    def _command(self, words: list[_Word]) -> Iterator[Mention]:
        """Yield the references of a simple command, and take note of what it sets."""
        position = 0
        while position < len(words):
            word = words[position]
            if assigned := _ASSIGNMENT.fullmatch(word.text):
                self._variables[assigned[1]] = assigned[2]
                at = word.column + len(assigned[1]) + 1
                yield from self._valued(assigned[1], word._replace(text=assigned[2], column=at))
            elif word.text not in _BEFORE and not (position and word.text.startswith("-")):
                break
            position += 1
        words = words[position:]
        if not words:
            return
        name = words[0].text.rpartition("/")[2]
        if name == "for" and len(words) > 2:
            self._variables[words[1].text] = UNKNOWN
            for word in words[3:]:
                yield from self._valued(words[1].text, word)
        elif name == "read":
            self._variables.update((word.text, UNKNOWN) for word in words[1:])
        elif (image := _pulled(name, words[1:])) and image.variable not in self._told:
            yield Mention(image.text, image.line, image.column)

    def _valued(self, name: str, word: _Word) -> Iterator[Mention]:
        """Yield the value of a variable whose name says that it is an image."""
        if _IMAGE_NAME.search(name):
            only = name.lower() in {"image", "img"}
            if is_reference(word.text) if only else is_explicit(word.text):
                self._told.add(name)
                yield Mention(word.text, word.line, word.column)


def _pulled(name: str, words: list[_Word]) -> _Word | None:
    """Return the image that a command runs or pulls, if it is one that does and the image can be told."""
    rest = _after_options(words, _GLOBAL_WITH_VALUE)
    verbs = [word.text for word in rest[:2]]
    if not verbs:
        return None
    if name in _ENGINES:
        if verbs[0] in {"run", "create", "pull"}:
            return _image(rest[1:])
        if verbs in (["container", "run"], ["container", "create"], ["image", "pull"]):
            return _image(rest[2:])
    if name == "ctr":
        if verbs[0] == "run":
            return _image(rest[1:])
        if len(verbs) == 2 and verbs[0] in {"i", "image", "images"} and verbs[1] == "pull":
            return _image(rest[2:])
        if len(verbs) == 2 and verbs[0] in {"c", "container", "containers"} and verbs[1] == "create":
            return _image(rest[2:])
    if name == "crictl" and verbs[0] == "pull":
        return _image(rest[1:])
    return None


def _after_options(words: list[_Word], with_value: Iterable[str]) -> list[_Word]:
    position = 0
    while position < len(words) and words[position].text.startswith("-"):
        position += 2 if words[position].text in with_value else 1
    return words[position:]


def _image(words: list[_Word]) -> _Word | None:
    """Return the first word that is no option. After what may be any number of options, only what says its tag."""
    position, sure = 0, True
    while position < len(words):
        word = words[position]
        position += 1
        if word.text.startswith("-"):
            position += _takes_value(word.text)
        elif word.loose:
            sure = False
        else:
            return word if (is_reference(word.text) if sure else is_explicit(word.text)) else None
    return None


def _takes_value(option: str) -> bool:
    if option.startswith("--"):
        return "=" not in option and option not in _BARE and option != "--"
    return len(option) == 2 and option[1] not in _SHORT_BARE
