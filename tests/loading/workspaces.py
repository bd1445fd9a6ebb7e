"""Workspaces to test with: written from a mapping of paths to texts, and opened as the commands open them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from buildsys import session
from buildsys.errors import BuildError, BuildErrors
from buildsys.loading.place import locate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from buildsys.opened import Analysed, Session

ROOT = """\
workspace: w
packages: context
parameters:
  cri: {type: choice, values: [docker, containerd], default: docker}
  arch: {type: choice, values: [amd64, arm64], default: amd64}
  kubernetes: {type: version, default: "1.28.15"}
  debug: {type: bool}
  domain: {type: string, default: sea.hub}
  host: {type: string, default: "{domain}:5000"}
  mirror: {type: url, default: ""}
"""


def write(root: Path, files: Mapping[str, str]) -> Path:
    """Write a workspace; without a BUILD.yaml of its own it has ROOT, and texts may be indented."""
    for path, text in {"BUILD.yaml": ROOT, **files}.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text))
    return root


def opened(root: Path, files: Mapping[str, str] | None = None, here: str = "") -> Session:
    """Write a workspace and open it from a folder."""
    write(root, files or {})
    (root / "context").mkdir(exist_ok=True)
    return session.open_workspace(locate(str(root / here)))


def resolved(root: Path, files: Mapping[str, str], *patterns: str, here: str = "", manual: bool = False) -> list[str]:
    """Return the labels that patterns name."""
    return [str(label) for label in session.resolve(opened(root, files, here), patterns, manual=manual)]


def analysed(
    root: Path,
    files: Mapping[str, str],
    *patterns: str,
    params: Mapping[str, str] | None = None,
    keep_going: bool = False,
) -> Analysed:
    """Analyse what patterns name."""
    space = opened(root, files)
    labels = session.resolve(space, patterns, keep_going=keep_going)
    return session.analyse(space, labels, session.configuration(space, params or {}), keep_going=keep_going)


def errors_of(work: Callable[[], object]) -> list[BuildError]:
    """Return the errors that something raises; none is a failure."""
    try:
        work()
    except BuildErrors as errors:
        return list(errors.errors)
    except BuildError as error:
        return [error]
    raise AssertionError("nothing was raised")


def codes_of(work: Callable[[], object]) -> list[str]:
    """Return the codes of the errors that something raises."""
    return [error.code for error in errors_of(work)]
