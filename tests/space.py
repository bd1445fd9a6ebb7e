"""A small workspace that is built in this process, and what can happen to it."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

from buildsys import snapshot
from buildsys.cli import dispatch as dispatch_module
from buildsys.cli.dispatch import command, dispatch
from buildsys.cli.main import run
from buildsys.snapshot import examine

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildsys.cli.request import Request

ARGV = ["build", "//a:all"]
WORKSPACE = """\
workspace: w
packages: context
parameters:
  cri: {type: choice, values: [docker, containerd], default: docker}
"""
PACKAGE = """\
targets:
  - {rule: template, name: x, src: x.j2, out: etc/x, params: [cri]}
  - {rule: filegroup, name: files, srcs: [{glob: ["files/**"]}], prefix: opt}
  - {rule: rootfs, name: tree, layers: [x, files], links: {etc/y: x}, directories: [var/empty]}
  - {rule: tarball, name: tar, tree: tree}
"""


def current(argv: list[str]) -> str | None:
    """Return what the snapshot of a request answers, None where something has changed."""
    found = examine(argv)
    if found is None or found.changed:
        return None
    return found.answer("0.000", *snapshot.NOTHING_RAN)


class Built(NamedTuple):
    """A build by the command line: its exit code, what it said, and whether it went the whole way."""

    code: int
    said: str
    is_whole: bool


class Space:
    """A small workspace, built in this process."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.shown: list[str] = []
        """What the last build said that it made."""
        self.package = root / "context" / "a"
        for path, text in {
            "BUILD.yaml": WORKSPACE,
            "context/a/BUILD.yaml": PACKAGE,
            "context/a/x.j2": "cri={{ cri }}\n",
            "context/a/files/one": "1\n",
            "context/a/files/sub/two": "2\n",
            "context/a/files/tool": "#!/bin/sh\n",
        }.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        (root / "context/a/files/tool").chmod(0o755)
        (root / "context/a/files/link").symlink_to("one")
        (root / "sub" / "folder").mkdir(parents=True)

    @property
    def bin(self) -> Path:
        return self.root / "buildsys-out" / "bin"

    def full(self, argv: list[str] = ARGV) -> str:
        """Build without asking the snapshot; return what was said."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.chdir(self.root):
            code = dispatch(argv)
        assert code == 0, said.getvalue()
        lines = said.getvalue().splitlines()
        self.shown = [line.strip() for line in lines if line.startswith("  buildsys-bin/")]
        return said.getvalue()

    def build(self, argv: list[str] = ARGV) -> Built:
        """Build as the command line does, by the shortest way there is."""
        said, whole = io.StringIO(), []

        def commanded(name: str) -> Callable[[Request], int]:
            whole.append(name)
            return command(name)

        with (
            contextlib.redirect_stderr(said),
            contextlib.chdir(self.root),
            patch.object(dispatch_module, "command", commanded),
        ):
            code = run(argv)
        return Built(code, said.getvalue(), bool(whole))

    def current(self, argv: list[str] = ARGV) -> str | None:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.chdir(self.root):
            return current(argv)

    def outputs(self) -> dict[str, tuple[int, str]]:
        """Return mode and content of what was asked for."""
        found = {}
        for path in [self.root / shown for shown in self.shown]:
            for item in [path, *path.rglob("*")] if path.is_dir() else [path]:
                text = os.readlink(item) if item.is_symlink() else "" if item.is_dir() else item.read_bytes().hex()
                mode = 0 if item.is_symlink() or item == path else item.stat().st_mode
                found[str(item.relative_to(self.root))] = (mode, text)
        return found

    def from_scratch(self, folder: Path) -> dict[str, tuple[int, str]]:
        """Build a copy without any memory; return its outputs."""
        return self.from_scratch_of(ARGV, folder)

    def from_scratch_of(self, argv: list[str], folder: Path) -> dict[str, tuple[int, str]]:
        """Build a copy without any memory; return its outputs for a request."""
        ignore = shutil.ignore_patterns("buildsys-*", "cache")
        copy = object.__new__(Space)
        copy.root = Path(shutil.copytree(self.root, folder, symlinks=True, ignore=ignore))
        copy.full(argv)
        found = copy.outputs()
        shutil.rmtree(folder)
        return found


def rewrite(path: Path, text: str) -> Path:
    """Write another text of the same size, and set the mtime back."""
    before = path.stat()
    assert len(text) == before.st_size
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return path


def gone(path: Path) -> Path:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return path


def link(path: Path, target: str) -> Path:
    """Replace a file by a link."""
    gone(path).symlink_to(target)
    return path


def folder(path: Path) -> Path:
    """Make a folder, if it is not there."""
    path.mkdir(exist_ok=True)
    return path


def mode(path: Path, bits: int) -> Path:
    """Give a file or folder other bits."""
    path.chmod(bits)
    return path


def cut(path: Path, size: int) -> Path:
    """Make a file shorter."""
    os.truncate(path, size)
    return path


def flip(path: Path) -> Path:
    """Flip a bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    return path


def touch(path: Path) -> Path:
    """Give a file new times and nothing else."""
    if path.exists():
        os.utime(path)
    return path


CHANGES: dict[str, Callable[[Space], object]] = {
    "content": lambda s: (s.package / "files/one").write_text("changed"),
    "content, with size and mtime kept": lambda s: rewrite(s.package / "files/one", "7\n"),
    "template": lambda s: (s.package / "x.j2").write_text("{{ cri }} changed\n"),
    "executable bit": lambda s: mode(s.package / "files/one", 0o755),
    "deletion": lambda s: gone(s.package / "files/one"),
    "new file in a globbed folder": lambda s: (s.package / "files/new").write_text(""),
    "new file in a new folder": lambda s: (folder(s.package / "files/d") / "n").write_text(""),
    "new file deep in a globbed folder": lambda s: (s.package / "files/sub/new").write_text(""),
    "package in a globbed folder": lambda s: (s.package / "files/sub/BUILD.yaml").write_text("targets: []"),
    "file replaced": lambda s: shutil.copy(s.package / "x.j2", s.package / "files/one"),
    "file that becomes a link": lambda s: link(s.package / "files/one", "../x.j2"),
    "link that leads elsewhere": lambda s: link(s.package / "files/link", "tool"),
    "package file": lambda s: (s.package / "BUILD.yaml").write_text(PACKAGE + "# more\n"),
    "workspace file": lambda s: (s.root / "BUILD.yaml").write_text(WORKSPACE.replace("default: docker", "default: x")),
    "lock file": lambda s: (s.root / "buildsys.lock").write_text("version: 1\n"),
    "ignore file": lambda s: (s.root / ".buildsysignore").write_text("a\n"),
    "rc file": lambda s: (s.root / ".buildsysrc").write_text("build --param=cri=containerd\n"),
    "rc file at home": lambda s: (folder(s.root.parent / "home") / ".buildsysrc").write_text("build -k\n"),
    "output": lambda s: (s.bin / "a/etc/x").write_text("tampered"),
    "output, with size and mtime kept": lambda s: rewrite(s.bin / "a/etc/x", "cri=DOCKER\n"),
    "mode of an output": lambda s: mode(s.bin / "a/etc/x", 0o600),
    "output deleted": lambda s: gone(s.bin / "a/tar.tar.zst"),
    "archive tampered with": lambda s: (s.bin / "a/tar.tar.zst").write_bytes(b""),
    "file of a tree": lambda s: (s.bin / "a/tree/etc/x").write_text("tampered"),
    "file of a tree deleted": lambda s: gone(s.bin / "a/tree/etc/x"),
    "stranger in a tree": lambda s: (s.bin / "a/tree/etc/stranger").write_text(""),
    "stranger at the top of a tree": lambda s: folder(s.bin / "a/tree/stranger"),
    "stranger in an empty folder of a tree": lambda s: (s.bin / "a/tree/var/empty/stranger").write_text(""),
    "link of a tree": lambda s: link(s.bin / "a/tree/etc/y", "/etc"),
    "mode of a folder of a tree": lambda s: mode(s.bin / "a/tree/etc", 0o700),
    "all outputs deleted": lambda s: gone(s.bin),
    "link to the outputs deleted": lambda s: gone(s.root / "buildsys-bin"),
    "store deleted": lambda s: gone(s.root / "cache"),
    "store emptied": lambda s: (s.root / "cache/v1/epoch").write_text("again"),
    "store made anew": lambda s: (gone(s.root / "cache"), s.full(["build", "//a:x"])),
    "memory deleted": lambda s: gone(s.root / "buildsys-out/state.sqlite"),
    "snapshot damaged": lambda s: [flip(path) for path in (s.root / "buildsys-out/snapshots").iterdir()],
    "snapshot cut": lambda s: [cut(p, 40) for p in (s.root / "buildsys-out/snapshots").iterdir()],
    "snapshot emptied": lambda s: [cut(p, 0) for p in (s.root / "buildsys-out/snapshots").iterdir()],
}


EDITS: dict[str, Callable[[Space], object]] = {
    "nothing": lambda s: s,
    "touch": lambda s: touch(s.package / "files/one"),
    "comment in a template": lambda s: (s.package / "x.j2").write_text("cri={{ cri }}{# more #}\n"),
    "template back": lambda s: (s.package / "x.j2").write_text("cri={{ cri }}\n"),
    "content back": lambda s: (s.package / "files/one").write_text("1\n"),
    "parameter": lambda s: (s.root / "BUILD.yaml").write_text(WORKSPACE.replace("t: docker", "t: containerd")),
    "parameter back": lambda s: (s.root / "BUILD.yaml").write_text(WORKSPACE),
    "no package in between": lambda s: gone(s.package / "files/sub/BUILD.yaml"),
    "rename": lambda s: (s.package / "files/sub/two").replace(s.package / "files/three"),
    "rename back": lambda s: (s.package / "files/sub/two").write_text("2\n"),
    "not executable": lambda s: mode(s.package / "files/tool", 0o644),
    "file that becomes a folder": lambda s: (folder(gone(s.package / "files/new")) / "inner").write_text("inner"),
    "folder that becomes a file": lambda s: gone(s.package / "files/new").write_text("a file"),
} | {
    name: CHANGES[name]
    for name in CHANGES
    if name
    not in {
        "workspace file",
        "lock file",
        "ignore file",
        "rc file at home",
        "new file in a new folder",
        "file that becomes a link",
        "content, with size and mtime kept",
        "output, with size and mtime kept",
        "new file in a globbed folder",
        "store made anew",
    }
}


def attempt(edit: Callable[[Space], object], space: Space) -> None:
    """Make an edit; one that the state of the workspace leaves nothing to do for is no edit."""
    with contextlib.suppress(FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError):
        edit(space)
    dangling = space.package / "files/link"
    if not dangling.exists():
        gone(dangling)
