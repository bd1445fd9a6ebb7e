"""A read-only registry over a storage tree on disk, on loopback, for as long as a test needs it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from buildsys.model.tree import DIRECTORY, FILE, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

_CONFIG = """\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: "{root}"}}
  maintenance: {{uploadpurging: {{enabled: false}}, readonly: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}", secret: stable}}
"""


def materialise(tree: Tree, open_blob: Callable[[str], BinaryIO], folder: Path) -> None:
    """Write the files of a tree below `folder`; what is there already must be equal."""
    for entry in tree.entries:
        path = folder / entry.path
        if entry.kind == DIRECTORY:
            path.mkdir(parents=True, exist_ok=True)
        elif entry.kind == FILE:
            path.parent.mkdir(parents=True, exist_ok=True)
            data = open_blob(entry.digest).read()
            assert not path.exists() or path.read_bytes() == data, path
            path.write_bytes(data)


@contextmanager
def serve(root: Path, scratch: Path) -> Iterator[str]:
    """Serve a storage root; yields `host:port`. Fails when the registry does not answer within ten seconds."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = scratch / "registry.yml"
    config.write_text(_CONFIG.format(root=root, port=port))
    with (scratch / "registry.log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
        try:
            _wait(port, process)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
            connection.request("GET", "/v2/")
            if connection.getresponse().status == 200:
                connection.close()
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("docker-registry does not answer")


def skopeo(*arguments: str) -> str:
    """Run skopeo and return what it prints; raises with its message when it fails."""
    env = {**os.environ, "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(["skopeo", *arguments], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def inspect(reference: str, arch: str) -> Any:
    """Return what skopeo tells of an image for an architecture."""
    return json.loads(skopeo("inspect", "--override-arch", arch, "--tls-verify=false", f"docker://{reference}"))
