"""What the scripts refuse: each refusal says why, and leaves the host as it was."""

from __future__ import annotations

import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.context.conftest import Host, HostFactory

CRI_DOCKERD = "unix:///var/run/cri-dockerd.sock"

MISSING = [
    ("docker", "docker.sh", ["etc/rootfs.env"]),
    ("docker", "docker.sh", ["cri/docker.tar.gz"]),
    ("docker", "docker.sh", ["etc/docker.service", "etc/daemon.json"]),
    ("docker", "docker.sh", ["cri/cri-dockerd.tar.gz"]),
    ("docker", "docker.sh", ["etc/cri-docker.service", "etc/cri-docker.socket"]),
    ("containerd", "containerd.sh", ["etc/rootfs.env"]),
    ("containerd", "containerd.sh", ["cri/containerd.tar.gz"]),
    ("containerd", "containerd.sh", ["etc/containerd.service", "etc/dump-config.toml", "etc/hosts.toml"]),
    ("containerd", "containerd.sh", ["cri/lib64/libseccomp.so.2"]),
    ("containerd", "containerd.sh", ["cri/lib64/libseccomp.so.2", "cri/lib64/libseccomp.so.2.5.1"]),
    ("docker", "init-kube.sh", ["bin/kubeadm"]),
    ("docker", "init-kube.sh", ["bin/kubelet", "bin/seautil", "bin/conntrack"]),
    ("docker", "init-kube.sh", ["etc/kubelet.service", "etc/10-kubeadm.conf", "scripts/kubelet-pre-start.sh"]),
    ("docker", "init-registry.sh", ["images/registry.tar", "etc/registry_config.yml"]),
    ("containerd", "init-registry.sh", ["bin/nerdctl"]),
    ("docker", "init.sh", ["bin/kubelet"]),
    ("docker", "init.sh", ["etc/daemon.json"]),
    ("containerd", "init.sh", ["bin/kubelet"]),
    ("containerd", "init.sh", ["etc/hosts.toml"]),
]


@pytest.mark.parametrize(
    ("cri", "script", "files"), MISSING, ids=lambda value: value if isinstance(value, str) else value[0]
)
def test_a_missing_file_is_named_before_anything_changes(
    make_host: HostFactory, cri: str, script: str, files: list[str]
) -> None:
    host = make_host(cri, cri_socket=CRI_DOCKERD) if cri == "docker" else make_host(cri)
    for file in files:
        (host.rootfs / file).unlink()
    run = host.run(script)
    speaker = script
    if script == "init.sh":
        speaker = "init-kube.sh" if files[0].startswith("bin/") else f"{cri}.sh"
    assert (run.code, run.out) == (1, "")
    assert run.err == (
        f"{speaker}: error: missing from the rootfs ROOTFS: {' '.join(files)}; copy the rootfs to this host again\n"
    )
    assert (run.calls, host.tree()) == ([], {})


@pytest.mark.parametrize("name", ["lib.sh", "lib-cri.sh"])
def test_a_missing_library_is_named_too(make_host: HostFactory, name: str) -> None:
    host = make_host("docker")
    (host.rootfs / "scripts" / name).unlink()
    run = host.run("docker.sh")
    assert run.code == 1
    assert f"ROOTFS/scripts/{name}: No such file or directory" in run.err
    assert (run.calls, host.tree()) == ([], {})


def test_a_missing_command_is_named_before_anything_changes(make_host: HostFactory) -> None:
    host = make_host("containerd")
    for name in ("systemctl", "ldconfig"):
        (host.stubs / name).unlink()
    run = host.run("containerd.sh")
    assert (run.code, run.calls, host.tree()) == (1, [], {})
    assert run.err == (
        "containerd.sh: error: commands not found on this host: systemctl; install them and run this script again\n"
    )
    host.stub("systemctl")
    assert host.run("containerd.sh").err == (
        "containerd.sh: error: commands not found on this host: ldconfig; install them and run this script again\n"
    )


def cut_archive(host: Host, name: str) -> None:
    """Leave half of an archive, as an interrupted copy does."""
    path = host.rootfs / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("cri", "script", "archive"),
    [("docker", "docker.sh", "cri/docker.tar.gz"), ("containerd", "containerd.sh", "cri/containerd.tar.gz")],
)
def test_a_half_copied_archive_is_refused(make_host: HostFactory, cri: str, script: str, archive: str) -> None:
    host = make_host(cri)
    cut_archive(host, archive)
    run = host.run(script)
    assert (run.code, run.calls, host.tree()) == (1, [], {})
    assert run.err == f"{script}: error: {archive} of the rootfs is damaged; copy the rootfs to this host again\n"


def test_an_archive_without_the_programs_is_refused(make_host: HostFactory) -> None:
    host = make_host("docker")
    shutil.copy(make_host("containerd").rootfs / "cri/containerd.tar.gz", host.rootfs / "cri/docker.tar.gz")
    run = host.run("docker.sh")
    assert (run.code, run.calls, host.tree()) == (1, [], {})
    assert run.err == "docker.sh: error: cri/docker.tar.gz of the rootfs holds no docker/dockerd\n"


@pytest.mark.parametrize("name", ["../evil", "docker/../../evil", "/usr/bin/evil"])
def test_an_archive_that_points_outside_is_refused(make_host: HostFactory, name: str) -> None:
    host = make_host("docker")
    members = ["docker/dockerd", "docker/docker", "docker/containerd", "docker/runc", name]
    with tarfile.open(host.rootfs / "cri/docker.tar.gz", "w:gz") as archive:
        for member in members:
            archive.addfile(tarfile.TarInfo(member))
    run = host.run("docker.sh")
    assert (run.code, run.calls, host.tree()) == (1, [], {})
    assert run.err == "docker.sh: error: cri/docker.tar.gz of the rootfs has members outside of its root\n"


def test_a_dangling_link_is_not_ours_either(make_host: HostFactory) -> None:
    host = make_host("docker")
    (host.root / "usr/bin").mkdir(parents=True)
    (host.root / "usr/bin/runc").symlink_to("nowhere")
    run = host.run("docker.sh")
    assert (run.code, run.calls) == (1, [])
    assert "not from this rootfs: /usr/bin/runc; " in run.err


def test_what_is_not_ours_is_not_replaced(make_host: HostFactory) -> None:
    host = make_host("docker")
    host.write("/usr/bin/runc", "of the distribution")
    host.write("/etc/docker/daemon.json", "{}")
    before = host.inodes()
    run = host.run("docker.sh")
    assert (run.code, run.calls, host.inodes()) == (1, [], before)
    assert run.err == (
        "docker.sh: error: already on this host, and not from this rootfs: /etc/docker/daemon.json /usr/bin/runc; "
        "uninstall the docker that is there and run this script again\n"
    )


@pytest.mark.parametrize("script", ["docker.sh", "init-kube.sh", "init-registry.sh", "init.sh"])
def test_a_sample_is_refused_on_a_real_host(make_host: HostFactory, script: str) -> None:
    host = make_host("docker", source="sample")
    # ROOT is empty here, as on a real host: leave no command in the PATH that could do harm, should the check fail.
    for tool in (host.folder / "tools").iterdir():
        if tool.name not in {"bash", "dirname"}:
            tool.unlink()
    run = host.run(script, ROOT="")
    speaker = "init-kube.sh" if script == "init.sh" else script
    assert (run.code, run.calls) == (1, [])
    assert run.err == (
        f"{speaker}: error: this rootfs is a sample build: its binaries are stand-ins and it cannot be deployed\n"
    )


def test_a_sample_installs_below_a_root(make_host: HostFactory) -> None:
    assert make_host("containerd", source="sample").run("containerd.sh").code == 0


def test_an_incomplete_facts_file_is_refused(make_host: HostFactory) -> None:
    host = make_host("docker")
    (host.rootfs / "etc/rootfs.env").write_text("CRI_SOCKET=/x\nREGISTRY_DOMAIN=sea.hub\nPATH=/evil\nSOURCE=upstream\n")
    run = host.run("docker.sh")
    assert (run.code, run.calls, host.tree()) == (1, [], {})
    assert (
        run.err == "docker.sh: error: etc/rootfs.env of the rootfs does not set REGISTRY_PORT; build the rootfs again\n"
    )


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"RegistryURL": "sea.hub/x:5000"}, "not a registry domain: 'sea.hub/x'"),
        ({"RegistryDomain": "a b"}, "not a registry domain: 'a b'"),
        ({"RegistryPort": "http"}, "not a registry port: 'http'"),
    ],
)
def test_a_bad_registry_is_refused(make_host: HostFactory, env: dict[str, str], message: str) -> None:
    host = make_host("docker")
    run = host.run("docker.sh", **env)
    assert (run.code, run.err, run.calls, host.tree()) == (1, f"docker.sh: error: {message}\n", [], {})
