"""What the tests of bad input share: an empty workspace folder, a fault-injecting server, a way to run buildsys."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from buildsys.cli.main import run as run_buildsys
from tests.errors.injector import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


LOGINS = ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME")
"""What says where logins to registries are."""


@pytest.fixture(scope="session")
def http() -> Iterator[str]:
    """The address of the fault injector."""
    with serving() as address:
        yield address


@pytest.fixture
def root(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty workspace folder, which is the working directory; nothing of the user's own settings counts."""
    home, folder = os.path.join(str(tmp_path), "home"), os.path.join(str(tmp_path), "ws")
    os.makedirs(home)
    os.makedirs(folder)
    monkeypatch.setenv("HOME", home)
    for name in ("BUILDSYS_CACHE", "BUILDSYSRC", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", *LOGINS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(folder)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield folder
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[[list[str]], tuple[int, str]]:
    """Runs a command line in this process; gives its exit code and its stderr."""

    def run_here(argv: list[str]) -> tuple[int, str]:
        capsys.readouterr()
        code = run_buildsys(argv)
        return code, capsys.readouterr().err

    return run_here
