"""A fake host for the shell scripts of the rootfs: its own root, its own PATH, stubs that record their calls."""

from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import jinja2.sandbox
import pytest

CONTEXT = Path(__file__).resolve().parents[2] / "context"
DOCKERSHIM = "/var/run/dockershim.sock"
CRI_DOCKERD = "unix:///var/run/cri-dockerd.sock"
CONTAINERD = "unix:///run/containerd/containerd.sock"

# What comes through from the real machine. Anything else that a script calls is a stub or "not found".
TOOLS = [
    "bash",
    "cat",
    "chmod",
    "cmp",
    "cp",
    "cut",
    "dirname",
    "env",
    "find",
    "grep",
    "gzip",
    "ln",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "rmdir",
    "sed",
    "sha256sum",
    "sort",
    "tail",
    "tar",
]

# Every stub is this file under another name; answers/<name> is shell code that decides what it says and returns.
STUB = """#!/bin/bash
printf '%s\\n' "${0##*/}${*:+ $*}" >>"$CALLS"
if [[ -f $ANSWERS/${0##*/} ]]; then . "$ANSWERS/${0##*/}"; fi
"""

SYSTEMCTL = """
verb=$1; shift
for unit in "$@"; do
  [[ $unit == --* ]] && continue
  case $verb in
    is-enabled) [[ -f $STATE/enabled.$unit ]] || exit 1 ;;
    is-active) [[ -f $STATE/active.$unit ]] || exit 3 ;;
    enable) : >"$STATE/enabled.$unit" ;;
    disable) rm -f "$STATE/enabled.$unit" ;;
    start|restart) [[ ! -f $STATE/broken.$unit ]] || exit 1; : >"$STATE/active.$unit" ;;
    stop) rm -f "$STATE/active.$unit" ;;
  esac
done
"""

ENGINE = """
case $1 in
  inspect) [[ -f $STATE/registry ]] || exit 1; cat "$STATE/registry" ;;
  image) [[ -f $STATE/image ]] || exit 1 ;;
  load) [[ ! -f $STATE/bad-image ]] || exit 1; : >"$STATE/image" ;;
  rm) rm -f "$STATE/registry" ;;
  run)
    up=running; [[ ! -f $STATE/crash ]] || up=restarting
    echo "$up" >"$STATE/registry"
    ;;
  logs) echo "panic: bad configuration" ;;
esac
"""

ANSWERS = {
    "systemctl": SYSTEMCTL,
    "docker": ENGINE,
    "nerdctl": ENGINE,
    "getenforce": "echo Enforcing",
    "ip": "[[ $2 != show ]] || [[ -f $STATE/docker0 ]]",
}
STUBS = [
    "systemctl",
    "docker",
    "modprobe",
    "sysctl",
    "swapoff",
    "iptables",
    "getenforce",
    "setenforce",
    "ldconfig",
    "ip",
    "sleep",
]

KUBE_PROGRAMS = ("conntrack", "crictl", "kubeadm", "kubectl", "kubelet", "nerdctl", "seautil")
DOCKER_PROGRAMS = (
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "docker",
    "docker-init",
    "docker-proxy",
    "dockerd",
    "runc",
)
CONTAINERD_PROGRAMS = (
    "usr/local/bin/containerd",
    "usr/local/bin/containerd-shim-runc-v2",
    "usr/local/bin/ctr",
    "usr/local/sbin/runc",
)


@dataclass(frozen=True)
class Run:
    """What one run of a script did, with the folders of the test replaced by ROOTFS and HOST."""

    code: int
    out: str
    err: str
    calls: list[str]


def variables(cri: str = "containerd", **changes: str) -> dict[str, str]:
    """Values for the variables that the templates of context/ document."""
    values = {
        "kubernetes": "1.23.17",
        "cri": cri,
        "cri_version": "20.10.24" if cri == "docker" else "1.6.39",
        "cri_socket": DOCKERSHIM if cri == "docker" else CONTAINERD,
        "arch": "amd64",
        "registry_domain": "sea.hub",
        "registry_port": "5000",
        "pause_image": "sea.hub:5000/pause:3.6",
        "pod_subnet": "100.64.0.0/10",
        "service_subnet": "10.96.0.0/22",
        "source": "upstream",
        "kubelet_extra_args": "",
        "containerd_config_version": "2",
        "containerd_pause_table": 'plugins."io.containerd.grpc.v1.cri"',
        "containerd_pause_key": "sandbox_image",
        "containerd_registry_table": 'plugins."io.containerd.grpc.v1.cri".registry',
        "containerd_runtime_table": 'plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc',
        "containerd_cgroup_table": 'plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options',
        "calico": "3.22.5",
        "tigera_operator": "1.25.13",
        "calico_images": "apiserver cni kube-controllers node pod2daemon-flexvol typha",
        "base_image": "docker.io/sealerio/kubernetes:v1.23.17",
    }
    return values | changes


def render(path: str, values: dict[str, str]) -> str:
    """Render a template of context/ as the build does."""
    environment = jinja2.sandbox.SandboxedEnvironment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    return environment.from_string((CONTEXT / path).read_text()).render(values)


def write_archive(path: Path, members: dict[str, str]) -> None:
    """Make a gzip tar of programs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, text in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            entry.mode = 0o755
            archive.addfile(entry, io.BytesIO(text.encode()))


@dataclass
class Host:
    """One host with one rootfs copied to it."""

    folder: Path
    cri: str
    values: dict[str, str]
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root = self.folder / "host"
        self.rootfs = self.folder / "rootfs"
        self.state = self.folder / "state"
        self.stubs = self.folder / "stubs"
        self.calls = self.folder / "calls"
        answers = self.folder / "answers"
        tools = self.folder / "tools"
        for path in (self.root, self.state, self.stubs, answers, tools):
            path.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None, tool
            (tools / tool).symlink_to(found)
        for name in STUBS:
            self.stub(name)
        for name, code in ANSWERS.items():
            (answers / name).write_text(code)
        self.env = {
            "PATH": f"{self.stubs}:{tools}",
            "ROOT": str(self.root),
            "CALLS": str(self.calls),
            "ANSWERS": str(answers),
            "STATE": str(self.state),
            "LC_ALL": "C",
        }
        self._write_rootfs()

    def stub(self, name: str) -> None:
        """Put a recording stub into the PATH."""
        path = self.stubs / name
        path.write_text(STUB)
        path.chmod(0o755)

    def answer(self, name: str, code: str) -> None:
        """Say what a stub does besides recording."""
        (self.folder / "answers" / name).write_text(code)

    def _write_rootfs(self) -> None:
        for package in ("rootfs", self.cri):
            shutil.copytree(CONTEXT / package / "scripts", self.rootfs / "scripts", dirs_exist_ok=True)
            for source in sorted((CONTEXT / package / "etc").iterdir()):
                target = self.rootfs / "etc" / source.name.removesuffix(".j2")
                target.parent.mkdir(exist_ok=True)
                if source.suffix == ".j2":
                    target.write_text(render(f"{package}/etc/{source.name}", self.values))
                else:
                    shutil.copy(source, target)
        for folder in ("bin", "images", "registry", "cri"):
            (self.rootfs / folder).mkdir()
        for name in KUBE_PROGRAMS:
            (self.rootfs / "bin" / name).write_text(STUB)
            (self.rootfs / "bin" / name).chmod(0o755)
        (self.rootfs / "images/registry.tar").write_text("an image")
        if self.cri == "docker":
            write_archive(self.rootfs / "cri/docker.tar.gz", {f"docker/{name}": name for name in DOCKER_PROGRAMS})
            if "cri-dockerd" in self.values["cri_socket"]:
                write_archive(self.rootfs / "cri/cri-dockerd.tar.gz", {"cri-dockerd/cri-dockerd": "cri-dockerd"})
        else:
            write_archive(self.rootfs / "cri/containerd.tar.gz", {name: name for name in CONTAINERD_PROGRAMS})
            (self.rootfs / "cri/lib64").mkdir()
            for name in ("libseccomp.so.2", "libseccomp.so.2.5.1"):
                (self.rootfs / "cri/lib64" / name).write_text("seccomp 2.5.1")

    def run(self, script: str, *arguments: str, **env: str) -> Run:
        """Run a script of the rootfs with bash."""
        self.calls.write_text("")
        done = subprocess.run(
            [str(self.folder / "tools/bash"), str(self.rootfs / "scripts" / script), *arguments],
            env=self.env | env,
            cwd=self.rootfs / "scripts",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return Run(
            done.returncode,
            self._plain(done.stdout),
            self._plain(done.stderr),
            self._plain(self.calls.read_text()).splitlines(),
        )

    def _plain(self, text: str) -> str:
        return text.replace(str(self.rootfs), "ROOTFS").replace(str(self.root), "HOST")

    def tree(self) -> dict[str, str]:
        """Every file of the host with its mode; a link with its target."""
        files = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = Path(folder) / name
                mode = path.lstat().st_mode
                files["/" + str(path.relative_to(self.root))] = (
                    f"-> {path.readlink()}" if stat.S_ISLNK(mode) else f"{stat.S_IMODE(mode):04o}"
                )
        return files

    def inodes(self) -> dict[str, tuple[int, int]]:
        """Change with any rewrite of a file of the host, the lists of the scripts excepted."""
        return {
            path: ((self.root / path[1:]).lstat().st_ino, (self.root / path[1:]).lstat().st_mtime_ns)
            for path in self.tree()
            if "/sealerio/rootfs/" not in path
        }

    def read(self, path: str) -> str:
        """Text of a file of the host."""
        return (self.root / path.lstrip("/")).read_text()

    def write(self, path: str, text: str) -> None:
        """Put a file on the host that no script made."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


class HostFactory:
    """Makes hosts below the folder of one test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0

    def __call__(self, cri: str, **changes: str) -> Host:
        self._made += 1
        folder = self._folder / f"h{self._made}"
        folder.mkdir()
        return Host(folder, cri, variables(cri, **changes))


@pytest.fixture
def make_host(tmp_path: Path) -> HostFactory:
    """Make fake hosts."""
    return HostFactory(tmp_path)
