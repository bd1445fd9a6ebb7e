"""A case of bad input: one text file with a workspace, command lines, and all that they print.

The form is that of Go's txtar archives:

    What is wrong, in a line or two.
    $ build //a:x --param=cri=docker
    -- pkg/a/BUILD.yaml --
    targets: ...
    -- expected --
    exit 1
    ERROR: ...

Lines that begin with `$` are command lines of buildsys, run in order in the same workspace (`$ cd FOLDER` changes into
a folder first). A case without a `BUILD.yaml` gets `DEFAULT_WORKSPACE`. A name may be followed by what it is:
`-- a -> b --` is a symbolic link, `-- a/ --` an empty folder, `-- a (escaped) --` has Python's backslash escapes for
bytes, `(tar)`, `(tar.gz)` and `(zip)` an archive with the members that its lines describe (see `archives.py`).
`@SHA256(FILE)@` is the digest of another file of the case; `@HTTP@` stands for the address of the fault injector (see
`injector.py`), `@HOST@` for its host and port, `@TOP(MODE)@`, `@AMD64(MODE)@` and `@ARM64(MODE)@` for the digests of
its images (see `registry.py`), `@ROOT@` for the workspace.

`-- expected --` holds, for each command, its exit code and its complete stderr; only the workspace's path, ports, times
and names of log files are replaced. Regenerate with `BUILDSYS_UPDATE_GOLDENS=1 pytest tests/errors`, and read the diff.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from dataclasses import dataclass, field

from tests.errors.archives import archive

UPDATE = bool(os.environ.get("BUILDSYS_UPDATE_GOLDENS"))
EXPECTED = "expected"

DEFAULT_WORKSPACE = """\
workspace: test
packages: pkg
parameters:
  kubernetes: {type: version, default: "1.28.15"}
  cri: {type: choice, values: [docker, containerd], default: docker}
  arch: {type: choice, values: [amd64, arm64], default: amd64}
  debug: {type: bool, default: false}
"""

_MARKER = re.compile(r"^-- (.+?)(?: \((escaped|tar|tar\.gz|zip)\)| -> (.+?))? --\n", re.MULTILINE)
_REPLACED = (
    (re.compile(r"Elapsed time: [\d.]+s, Critical Path: [\d.]+s"), "Elapsed time: Xs, Critical Path: Xs"),
    (re.compile(r"(?<=as it should: )(?:wrong version number|record layer failure)"), "wrong version number"),
    (re.compile(r"/tmp/buildsys-\w+\.log"), "@LOG@"),
)


@dataclass(frozen=True)
class Member:
    """A file of a case: its content, what it links to, or a folder (`content` is then None)."""

    path: str
    content: bytes | None = None
    link: str = ""


@dataclass
class Case:
    """A parsed case; `head` is all of its text before the expected output."""

    path: str
    head: str
    commands: list[list[str]]
    members: list[Member] = field(default_factory=list)
    expected: str = ""


def read_case(path: str) -> Case:
    """Parse the file of a case."""
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    marks = list(_MARKER.finditer(text))
    comment = text[: marks[0].start()] if marks else text
    commands = [shlex.split(line[1:]) for line in comment.splitlines() if line.startswith("$")]
    case = Case(path, text, commands)
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        body = text[mark.end() : after.start() if after else len(text)]
        name, escaped, link = mark.groups()
        if name == EXPECTED:
            case.head, case.expected = text[: mark.start()], body
        elif link:
            case.members.append(Member(name, link=link))
        elif name.endswith("/"):
            case.members.append(Member(name))
        elif escaped in {"tar", "tar.gz", "zip"}:
            case.members.append(Member(name, archive(body, escaped)))
        elif escaped:
            content = body.removesuffix("\n").encode().decode("unicode_escape").encode("latin-1")
            case.members.append(Member(name, content))
        else:
            case.members.append(Member(name, body.encode()))
    return case


def write_expected(case: Case, expected: str) -> None:
    """Put what was printed into the file of a case."""
    with open(case.path, "w", encoding="utf-8") as stream:
        stream.write(f"{case.head}-- {EXPECTED} --\n{expected}")


def lay_out(case: Case, root: str, words: dict[str, str]) -> None:
    """Write the files of a case below `root`, with `words` replaced."""
    digests = {
        f"@SHA256({member.path})@": hashlib.sha256(member.content).hexdigest()
        for member in case.members
        if member.content is not None
    }
    words = {**words, **digests}
    members = case.members
    if not any(member.path.startswith("BUILD.yaml") for member in members):
        members = [Member("BUILD.yaml", DEFAULT_WORKSPACE.encode()), *members]
    for member in members:
        path = os.path.join(root, member.path)
        os.makedirs(os.path.dirname(path.rstrip("/")), exist_ok=True)
        if member.link:
            os.symlink(member.link, path)
        elif member.content is None:
            os.makedirs(path)
        else:
            content = member.content
            for word, value in words.items():
                content = content.replace(word.encode(), value.encode())
            with open(path, "wb") as stream:
                stream.write(content)


def normalised(text: str, words: dict[str, str]) -> str:
    """Replace what differs from run to run."""
    for word, value in words.items():
        text = text.replace(value, word)
    for pattern, replacement in _REPLACED:
        text = pattern.sub(replacement, text)
    return text
