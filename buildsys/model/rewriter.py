"""Downloader configuration: which addresses stand for others, and which hosts may be asked (Bazel's format).

    rewrite REGEX REPLACEMENT     an address that REGEX matches as a whole, seen without its scheme, is replaced;
                                  $1 is what the first group matched; without a scheme it keeps the one it had
    allow HOST                    HOST and the hosts below it may be asked, whatever is blocked
    block HOST | block *          HOST and the hosts below it are not asked; * is everything, files too
    all_blocked_message TEXT      what to tell a user whose download has no address left
    # ...                         a comment

Every rewrite that matches yields an address, in the order of the lines; an address that none matches stays. Hosts are
judged after the rewrites. A redirect that a server answers with is followed without being judged, as in Bazel.
None of it can change a byte that is built: files are what their pins say.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from buildsys.errors import BuildError, BuildErrors, Location, UsageError, did_you_mean

DIRECTIVES = {"rewrite": 2, "allow": 1, "block": 1, "all_blocked_message": -1}
"""Words after each directive; -1: the rest of the line is one."""

_GROUP = re.compile(r"\\(.)|\$(\d)|\\$|\$")


class Rewrite(NamedTuple):
    """Addresses that `pattern` matches are replaced; `replacement` is a template of `re`."""

    pattern: re.Pattern[str]
    replacement: str


class Rewriter(NamedTuple):
    """A downloader configuration. The empty one changes nothing."""

    rewrites: tuple[Rewrite, ...] = ()
    allowed: frozenset[str] = frozenset()
    blocked: frozenset[str] = frozenset()
    message: str = ""

    def amend(self, url: str) -> tuple[str, ...]:
        """Return the addresses to ask instead of `url`: rewritten, and without those that are blocked."""
        return tuple(address for address in dict.fromkeys(self._rewritten(url)) if not self._is_blocked(address))

    def _rewritten(self, url: str) -> list[str]:
        scheme, separator, rest = url.partition("://")
        found = [
            match.expand(replacement) for pattern, replacement in self.rewrites if (match := pattern.fullmatch(rest))
        ]
        return [address if "://" in address else f"{scheme}{separator}{address}" for address in found] or [url]

    def _is_blocked(self, url: str) -> bool:
        host = _host_of(url)
        return not _names(self.allowed, host) and ("*" in self.blocked or _names(self.blocked, host))


def parse(text: str, path: str) -> Rewriter:
    """Read a downloader configuration. Raises `BuildErrors` with everything that is wrong in it (B018)."""
    rewrites: list[Rewrite] = []
    hosts: dict[str, set[str]] = {"allow": set(), "block": set()}
    message = ""
    errors: list[BuildError] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            directive = _directive(line, words)
            if directive == "rewrite":
                rewrites.append(_rewrite(words[1], words[2]))
            elif directive == "all_blocked_message":
                message = line.split(None, 1)[1].strip()
            else:
                hosts[directive].add(_host(directive, words[1]))
        except UsageError as error:
            column = line.index(words[0]) + 1
            error.at = Location(path, number, column, len(line.rstrip()) - column + 1)
            errors.append(error)
    if errors:
        raise BuildErrors(errors)
    return Rewriter(tuple(rewrites), frozenset(hosts["allow"]), frozenset(hosts["block"]), message)


def _directive(line: str, words: list[str]) -> str:
    name, given = words[0], len(words) - 1
    if name not in DIRECTIVES:
        hint = did_you_mean(name, DIRECTIVES) or f"a line begins with {', '.join(DIRECTIVES)} or #"
        raise UsageError("B018", f"'{name}' is no directive of a downloader configuration", hint=hint)
    wanted = DIRECTIVES[name]
    if given != wanted and not (wanted < 0 < given):
        forms = {"rewrite": "rewrite REGEX REPLACEMENT", "all_blocked_message": "all_blocked_message TEXT"}
        expected = "some text" if wanted < 0 else "one word" if wanted == 1 else f"{wanted} words"
        raise UsageError(
            "B018", f"'{name}' takes {expected}, not {given}", hint=f"write {forms.get(name, f'{name} HOST')}"
        )
    return name


def _rewrite(regex: str, replacement: str) -> Rewrite:
    try:
        pattern = re.compile(regex)
    except re.error as error:
        raise UsageError(
            "B018",
            f"'{regex}' is no regular expression: {error}",
            hint="in regular expressions . ( ) [ ] { } * + ? ^ $ | and \\ have a meaning; \\ takes it away",
        ) from error
    if "://" in regex:
        raise UsageError(
            "B018",
            f"'{regex}' can match nothing: addresses are seen without their scheme",
            hint=f"write {regex.partition('://')[2]}",
        )
    groups = [int(found[2]) for found in _GROUP.finditer(replacement) if found[2]]
    if groups and max(groups) > pattern.groups:
        raise UsageError(
            "B018",
            f"'{replacement}' names group ${max(groups)}, but '{regex}' has {pattern.groups}",
            hint="$1 is what the first pair of parentheses matched, $0 all of it",
        )
    return Rewrite(pattern, _GROUP.sub(_template, replacement))


def _template(found: re.Match[str]) -> str:
    """Turn a piece of Java's replacement syntax into Python's."""
    if found[2]:
        return f"\\g<{found[2]}>"
    literal = found[1] or found[0]
    return "\\\\" if literal == "\\" else literal


def _host(directive: str, name: str) -> str:
    if name == "*" and directive == "block":
        return name
    if "/" in name or ":" in name or "*" in name:
        hint = f"write {directive} {_host_of(name if '://' in name else f'//{name}').strip('*.') or 'HOST'}"
        raise UsageError("B018", f"'{name}' is no host name", hint=hint)
    return name.lower()


def _host_of(url: str) -> str:
    from urllib.parse import urlsplit

    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _names(hosts: frozenset[str], host: str) -> bool:
    """Tell whether one of `hosts` is `host` or a domain that it is in."""
    return any(host == name or host.endswith(f".{name}") for name in hosts)
