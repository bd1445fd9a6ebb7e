"""Equal inputs give equal bytes, wherever, whenever and by whomever they are built.

Every variation builds all four sample rootfs tarballs, the build context and the cluster images in processes of its own
and is compared with one reference: the SHA-256 of each tarball; names, modes, link targets and content of the folders.
Each
variation is another pair of workspace and store, unless it is about a store that is warm.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.e2e.packages import tool
from tests.e2e.workspace import PRODUCTS, SAMPLE, Workspace, copy_workspace, sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ALL = "//rootfs:all"
FOLDERS = ("//rootfs:build-context", "//images:containerd", "//images:docker")
NOBODY = 65534


class Made(NamedTuple):
    """What a variation made: the digests of the tarballs, and a line for each entry of the folders."""

    tarballs: dict[str, str]
    folders: list[str]


def made(workspace: Workspace) -> Made:
    paths = [workspace.root / "buildsys-bin" / label[2:].replace(":", "/") for label in FOLDERS]
    return Made(workspace.digests(), [line for path in paths for line in describe(path)])


def describe(root: Path) -> list[str]:
    """Return a line for each entry below (and for) `root`: kind and mode, path, and content."""
    lines = []
    for path in [root, *sorted(root.rglob("*"))]:
        found = path.lstat()
        content = ""
        if stat.S_ISLNK(found.st_mode):
            content = os.readlink(path)
        elif stat.S_ISREG(found.st_mode):
            content = sha256(path)
        lines.append(f"{stat.filemode(found.st_mode)} {path.relative_to(root)} {content}")
    return lines


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """Give a folder that other users reach, too."""
    folder = Path(tempfile.mkdtemp(prefix="buildsys-determinism-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def reference_workspace(open_folder: Path) -> Workspace:
    workspace = copy_workspace(open_folder / "reference")
    workspace.env = {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "0"}
    workspace.run("build", SAMPLE, "-j1", ALL, *FOLDERS, umask=0o022).passed()
    return workspace


@pytest.fixture(scope="module")
def reference(reference_workspace: Workspace) -> Made:
    found = made(reference_workspace)
    assert len(set(found.tarballs.values())) == len(PRODUCTS)
    assert len(found.folders) > 90
    return found


def elsewhere(folder: Path, reference: Workspace) -> Workspace:
    """Another folder, environment, umask (of the checkout, too) and number of workers."""
    before = os.umask(0o077)
    try:
        workspace = copy_workspace(folder / "a place with spaces" / "\u00fcn\u00efc\u00f6de" / "work")
    finally:
        os.umask(before)
    for number, path in enumerate(sorted((workspace.root / "context").rglob("*"))):
        os.utime(path, (number * 86400, number * 86400))
    workspace.env = {
        "TZ": "Asia/Kathmandu",
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "4242",
        "HOME": "/nonexistent",
        "SOURCE_DATE_EPOCH": "1",
        "COLUMNS": "40",
    }
    workspace.run("build", SAMPLE, "-j8", ALL, *FOLDERS, umask=0o077).passed()
    return workspace


def through_a_link(folder: Path, reference: Workspace) -> Workspace:
    """A workspace that is entered through a symbolic link and a package, with the results and the store elsewhere."""
    real = copy_workspace(folder / "real").root
    (folder / "link").symlink_to(real)
    base = f"--output_base={folder / 'base'}"
    below = Workspace(folder / "link" / "context" / "rootfs", folder / "store", {"PYTHONHASHSEED": "7"})
    below.run(base, "build", SAMPLE, "-j3", ":all", *FOLDERS).passed()
    return Workspace(real)


def one_by_one(folder: Path, reference: Workspace) -> Workspace:
    """One request for each target, the last first: all but the first find most of their work done."""
    workspace = copy_workspace(folder / "work")
    for label in (*FOLDERS, *(f"//rootfs:{name}" for name in reversed(PRODUCTS))):
        workspace.build(SAMPLE, label)
    return workspace


def backwards(folder: Path, reference: Workspace) -> Workspace:
    """All targets in one request, named in the opposite order."""
    workspace = copy_workspace(folder / "work")
    workspace.build(SAMPLE, *FOLDERS, *(f"//rootfs:{name}" for name in reversed(PRODUCTS)))
    return workspace


def from_a_warm_store(folder: Path, reference: Workspace) -> Workspace:
    """Another workspace on the store of the reference, which has every action's result."""
    workspace = copy_workspace(folder / "work", reference.root / "cache")
    result = workspace.build(SAMPLE, ALL, *FOLDERS)
    assert result.actions == len(PRODUCTS)  # tarballs are put together from kept frames; nothing else runs
    return workspace


def without_results(folder: Path, reference: Workspace) -> Workspace:
    """The same store, but it has lost its index and half of its files."""
    shutil.copytree(reference.root / "cache", folder / "cache")
    for index in (folder / "cache" / "v1").glob("index.sqlite*"):
        index.unlink()
    workspace = copy_workspace(folder / "work", folder / "cache")
    workspace.build(SAMPLE, ALL, *FOLDERS)
    return workspace


def after_other_releases(folder: Path, reference: Workspace) -> Workspace:
    """A store and an output folder that have seen other builds."""
    workspace = copy_workspace(folder / "work")
    workspace.build(SAMPLE, "//rootfs:docker-amd64", "--param=kubernetes=1.36.4")
    workspace.build(SAMPLE, "//rootfs:containerd-arm64", "--param=registry_domain=other.test")
    workspace.build(SAMPLE, ALL, *FOLDERS)
    return workspace


def as_another_user(folder: Path, reference: Workspace) -> Workspace:
    """As nobody where the tests run as root; as the root of a user namespace where they do not."""
    workspace = copy_workspace(folder / "work")
    if os.geteuid() == 0:
        for path in [workspace.root, *workspace.root.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
        workspace.prefix = (tool("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    else:
        workspace.prefix = (tool("unshare"), "--map-root-user")
    workspace.env = {"PYTHONDONTWRITEBYTECODE": "1"}
    workspace.build(SAMPLE, ALL, *FOLDERS)
    return workspace


@pytest.mark.parametrize(
    "vary",
    [
        elsewhere,
        through_a_link,
        one_by_one,
        backwards,
        from_a_warm_store,
        without_results,
        after_other_releases,
        as_another_user,
    ],
)
def test_bytes_do_not_depend_on(
    vary: Callable[[Path, Workspace], Workspace], open_folder: Path, reference_workspace: Workspace, reference: Made
) -> None:
    folder = open_folder / vary.__name__
    folder.mkdir()
    found = made(vary(folder, reference_workspace))
    assert found.tarballs == reference.tarballs
    assert found.folders == reference.folders


def test_only_what_differs_between_the_products_differs(reference_workspace: Workspace) -> None:
    """The same base files in all four; an architecture shows in programs, images and Metadata alone."""
    trees = {name: listing(reference_workspace, name) for name in PRODUCTS}
    for cri in ("docker", "containerd"):
        one, other = trees[f"{cri}-amd64"], trees[f"{cri}-arm64"]
        assert one.keys() - other.keys() == {name for name in one if name.startswith("registry/")} - other.keys()
        differing = {name for name in one.keys() & other.keys() if one[name] != other[name]}
        assert {name.partition("/")[0] for name in differing} <= {"Metadata", "bin", "cri", "images", "registry"}


def listing(workspace: Workspace, name: str) -> dict[str, str]:
    """Return the digest of each file in a product."""
    raw = subprocess.run([tool("zstd"), "-dc", str(workspace.output(name))], capture_output=True, check=True).stdout
    found = {}
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for member in archive:
            stream = archive.extractfile(member)
            found[member.name] = hashlib.sha256(stream.read()).hexdigest() if stream else member.linkname
    return found
