"""Downloader configurations: what is asked instead of an address, and what is said of a file that makes no sense."""

from __future__ import annotations

import pytest

from buildsys.errors import BuildErrors
from buildsys.model.rewriter import Rewriter, parse

RELEASE = "https://github.com/containerd/containerd/releases/download/v2.3.4/containerd-2.3.4-linux-amd64.tar.gz"


def test_an_empty_configuration_changes_nothing() -> None:
    assert Rewriter().amend(RELEASE) == (RELEASE,)
    assert parse("# only a comment\n\n", "mirror.cfg") == Rewriter()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rewrite github.com/(.*) mirror.test/$1", RELEASE.replace("github.com", "mirror.test")),
        ("rewrite github.com/(.*) http://127.0.0.1:8080/$1", RELEASE.replace("https://github.com", "http://127.0.0.1:8080")),
        ("rewrite (.*) file:///mirror/$0", RELEASE.replace("https://", "file:///mirror/")),
        (r"rewrite .*/v([0-9.]+)/(.*) mirror.test/$2?at=\$$1", "https://mirror.test/containerd-2.3.4-linux-amd64.tar.gz?at=$2.3.4"),
        ("rewrite github.com mirror.test", RELEASE),  # the whole address has to match
        ("rewrite other.test/(.*) mirror.test/$1", RELEASE),
    ],
)  # fmt: skip
def test_rewrites(line: str, expected: str) -> None:
    assert parse(line, "mirror.cfg").amend(RELEASE) == (expected,)


def test_every_rewrite_that_matches_yields_an_address_in_order_and_each_once() -> None:
    rewriter = parse(
        "rewrite github.com/(.*) a.test/$1\nrewrite (github.com)/(.*) b.test/$2\nrewrite github.com/(.*) a.test/$1\n",
        "mirror.cfg",
    )
    assert rewriter.amend("https://github.com/x") == ("https://a.test/x", "https://b.test/x")


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("block github.com", False),
        ("block GitHub.com", False),
        ("block com", False),
        ("block hub.com", True),
        ("block *", False),
        ("block *\nallow github.com", True),
        ("allow github.com\nblock *", True),
        ("block *\nallow dl.k8s.io", False),
        ("block github.com\nrewrite github.com/(.*) mirror.test/$1", True),  # hosts are judged after the rewrites
        ("block mirror.test\nrewrite github.com/(.*) mirror.test/$1", False),
    ],
)
def test_hosts(text: str, asked: bool) -> None:
    assert bool(parse(text, "mirror.cfg").amend(RELEASE)) is asked


def test_the_message_for_blocked_downloads_is_the_rest_of_its_line() -> None:
    assert parse("all_blocked_message ask  the   team\n", "mirror.cfg").message == "ask  the   team"


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("rewritte a b", "'rewritte' is no directive", "did you mean 'rewrite'?"),
        ("https://a.test", "'https://a.test' is no directive", "a line begins with rewrite, allow"),
        ("rewrite a", "'rewrite' takes 2 words, not 1", "write rewrite REGEX REPLACEMENT"),
        ("rewrite a b c", "'rewrite' takes 2 words, not 3", "write rewrite REGEX REPLACEMENT"),
        ("allow", "'allow' takes one word, not 0", "write allow HOST"),
        ("all_blocked_message", "takes some text, not 0", "write all_blocked_message TEXT"),
        ("rewrite a(b c", "'a(b' is no regular expression: missing )", "takes it away"),
        ("rewrite a(b) c$2", "'c$2' names group $2, but 'a(b)' has 1", "first pair of parentheses"),
        ("rewrite https://a/(.*) b", "can match nothing", "write a/(.*)"),
        ("block https://a.test/x", "is no host name", "write block a.test"),
        ("allow a.test:8080", "is no host name", "write allow a.test"),
        ("allow *", "is no host name", "write allow HOST"),
        ("block *.a.test", "is no host name", "write block a.test"),
    ],
)
def test_faults_have_a_place_a_reason_and_a_next_step(line: str, message: str, hint: str) -> None:
    with pytest.raises(BuildErrors) as raised:
        parse(f"# mirrors\n  {line}\nblock *\nnonsense\n", "mirror.cfg")
    first, second = raised.value.errors
    assert (first.code, second.code) == ("B018", "B018")
    assert str(first.at) == "mirror.cfg:2:3"
    assert str(second.at) == "mirror.cfg:4:1"
    assert message in first.message
    assert hint in first.hint
