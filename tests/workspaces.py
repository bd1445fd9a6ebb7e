"""Small workspaces for tests, and the command line run inside them, in this process."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING, NamedTuple

from buildsys.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

FILES = {
    "BUILD.yaml": """
        workspace: small
        packages: src
        parameters:
          cri: {type: choice, values: [docker, containerd], default: docker, doc: The runtime.}
          release: {type: version, default: "1.0.0"}
        """,
    "src/app/BUILD.yaml": """
        targets:
          - rule: template
            name: motd
            src: motd.j2
            out: etc/motd
            params: [release]

          - rule: filegroup
            name: scripts
            srcs: [run.sh]

          - rule: layer
            name: files
            layers:
              - ":motd"
              - ":scripts"
              - {select: {cri=docker: [//docker:config], //conditions:default: []}}

          - rule: rootfs
            name: tree
            layers: [":files"]
            tags: [manual]

          - rule: tarball
            name: "{cri}"
            matrix: {cri: [docker, containerd]}
            tree: ":tree"
        """,
    "src/app/motd.j2": "Release {{ release }}\n",
    "src/app/run.sh": '#!/bin/sh\necho run "$@"\n',
    "src/docker/BUILD.yaml": """
        targets:
          - rule: filegroup
            name: config
            srcs: [daemon.json]
        """,
    "src/docker/daemon.json": "{}\n",
}


class Result(NamedTuple):
    """What a command line gave back."""

    code: int
    out: str
    err: str


class SmallWorkspace:
    """A workspace in a folder of its own, with a store inside it."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capfd = capfd
        for name, value in {"HOME": str(root / "home"), "NO_COLOR": "1"}.items():
            monkeypatch.setenv(name, value)
        for name in ("BUILDSYS_CACHE", "BUILDSYSRC"):
            monkeypatch.delenv(name, raising=False)
        for path, text in FILES.items():
            self.write(path, text)
        os.chmod(self.root / "src/app/run.sh", 0o755)
        monkeypatch.chdir(root)

    def write(self, path: str, text: str) -> None:
        """Write a file; indentation that all of its lines share is not part of it."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text).removeprefix("\n"))

    def run(self, *argv: str) -> Result:
        """Run a command line."""
        self._capfd.readouterr()
        code = main.run(["--nosystem_rc", *argv])
        out, err = self._capfd.readouterr()
        return Result(code, out, err)

    def lines(self, *argv: str) -> list[str]:
        """Run a command line that must succeed; return the lines of its answer."""
        result = self.run(*argv)
        assert (result.code, result.err) == (0, "")
        return result.out.splitlines()
