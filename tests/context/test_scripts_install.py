"""docker.sh, containerd.sh and init-kube.sh run for real against a fake host (deploy tool 0.9)."""

from __future__ import annotations

import json
import shutil
import tomllib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.context.conftest import HostFactory

CRI_DOCKERD = "unix:///var/run/cri-dockerd.sock"

DOCKER_TREE = {
    "/etc/docker/daemon.json": "0644",
    "/etc/sealerio/cri/socket-path": "0644",
    "/etc/sealerio/rootfs/docker": "0644",
    "/etc/systemd/system/docker.service": "0644",
    "/usr/bin/containerd": "0755",
    "/usr/bin/containerd-shim-runc-v2": "0755",
    "/usr/bin/ctr": "0755",
    "/usr/bin/docker": "0755",
    "/usr/bin/docker-init": "0755",
    "/usr/bin/docker-proxy": "0755",
    "/usr/bin/dockerd": "0755",
    "/usr/bin/runc": "0755",
}
CRI_DOCKERD_TREE = {
    "/etc/systemd/system/cri-docker.service": "0644",
    "/etc/systemd/system/cri-docker.socket": "0644",
    "/usr/bin/cri-dockerd": "0755",
}
SECCOMP_TREE = {
    "/etc/ld.so.conf.d/00-sealer.conf": "0644",
    "/usr/local/lib/sealer/libseccomp.so.2": "0755",
    "/usr/local/lib/sealer/libseccomp.so.2.5.1": "0755",
}
CONTAINERD_TREE = {
    "/etc/containerd/certs.d/_default/hosts.toml": "0644",
    "/etc/containerd/certs.d/sea.hub:5000/hosts.toml": "0644",
    "/etc/containerd/config.toml": "0644",
    "/etc/sealerio/cri/socket-path": "0644",
    "/etc/sealerio/rootfs/containerd": "0644",
    "/etc/systemd/system/containerd.service": "0644",
    "/usr/local/bin/containerd": "0755",
    "/usr/local/bin/containerd-shim-runc-v2": "0755",
    "/usr/local/bin/ctr": "0755",
    "/usr/local/sbin/runc": "0755",
}
KUBE_TREE = {
    "/etc/modules-load.d/k8s.conf": "0644",
    "/etc/sealerio/rootfs/kube": "0644",
    "/etc/sysctl.d/k8s.conf": "0644",
    "/etc/systemd/system/kubelet.service": "0644",
    "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf": "0644",
    "/usr/bin/conntrack": "0755",
    "/usr/bin/crictl": "0755",
    "/usr/bin/kubeadm": "0755",
    "/usr/bin/kubectl": "0755",
    "/usr/bin/kubelet": "0755",
    "/usr/bin/kubelet-pre-start.sh": "0755",
    "/usr/bin/nerdctl": "0755",
    "/usr/bin/seautil": "0755",
}
PRE_START_CALLS = [
    *(
        f"modprobe -q {name}"
        for name in ["br_netfilter", "overlay", "ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", "nf_conntrack"]
    ),
    "sysctl -e -q -p HOST/etc/sysctl.d/k8s.conf",
    "swapoff -a",
    "getenforce",
    "setenforce 0",
    "iptables -w -P FORWARD ACCEPT",
]


def started(*units: str) -> list[str]:
    """Calls of a first start."""
    calls = ["systemctl daemon-reload"]
    for unit in units:
        calls += [f"systemctl is-enabled --quiet {unit}", f"systemctl enable --quiet {unit}"]
        calls += [f"systemctl is-active --quiet {unit}"]
    return [*calls, "systemctl restart " + " ".join(units)]


def untouched(*units: str) -> list[str]:
    """Calls when all is as it should be."""
    return [f"systemctl {verb} --quiet {unit}" for unit in units for verb in ("is-enabled", "is-active")]


def test_docker_before_1_24(make_host: HostFactory) -> None:
    host = make_host("docker")
    run = host.run("docker.sh")
    assert (run.code, run.out, run.err) == (0, "docker.sh: docker is ready\n", "")
    assert run.calls == started("docker.service")
    assert host.tree() == DOCKER_TREE
    assert host.read("/etc/sealerio/cri/socket-path") == "/var/run/dockershim.sock"
    assert json.loads(host.read("/etc/docker/daemon.json"))["registry-mirrors"] == ["https://sea.hub:5000"]
    assert host.read("/usr/bin/dockerd") == "dockerd"


def test_docker_with_cri_dockerd(make_host: HostFactory) -> None:
    host = make_host("docker", cri_socket=CRI_DOCKERD)
    run = host.run("docker.sh")
    units = ("docker.service", "cri-docker.socket", "cri-docker.service")
    assert (run.code, run.out, run.err) == (0, "docker.sh: docker is ready\n", "")
    assert run.calls == started(*units)
    assert host.tree() == DOCKER_TREE | CRI_DOCKERD_TREE
    assert host.read("/etc/sealerio/cri/socket-path") == CRI_DOCKERD
    assert "--pod-infra-container-image=sea.hub:5000/pause:3.6\n" in host.read("/etc/systemd/system/cri-docker.service")
    assert host.run("docker.sh").calls == untouched(*units)


def test_containerd(make_host: HostFactory) -> None:
    host = make_host("containerd")
    run = host.run("containerd.sh")
    assert (run.code, run.out, run.err) == (0, "containerd.sh: containerd is ready\n", "")
    assert run.calls == ["ldconfig", *started("containerd.service")]
    assert host.tree() == CONTAINERD_TREE | SECCOMP_TREE
    assert host.read("/etc/sealerio/cri/socket-path") == "unix:///run/containerd/containerd.sock"
    assert host.read("/etc/ld.so.conf.d/00-sealer.conf") == "/usr/local/lib/sealer\n"
    exact = tomllib.loads(host.read("/etc/containerd/certs.d/sea.hub:5000/hosts.toml"))
    default = tomllib.loads(host.read("/etc/containerd/certs.d/_default/hosts.toml"))
    assert exact.pop("server") == "https://sea.hub:5000"
    # Without a server of its own the default entry falls back on the registry that an image names.
    assert (
        default
        == exact
        == {
            "host": {
                "https://sea.hub:5000": {
                    "capabilities": ["pull", "resolve"],
                    "ca": "/etc/containerd/certs.d/sea.hub:5000/sea.hub.crt",
                }
            }
        }
    )


def test_kube(make_host: HostFactory) -> None:
    host = make_host("docker")
    run = host.run("init-kube.sh", RegistryURL="sea.hub:5000")
    assert (run.code, run.out, run.err) == (0, "init-kube.sh: the host is ready for kubeadm\n", "")
    assert run.calls == [
        "systemctl is-active --quiet firewalld.service",
        *PRE_START_CALLS,
        "systemctl daemon-reload",
        "systemctl is-enabled --quiet kubelet.service",
        "systemctl enable --quiet kubelet.service",
    ]
    assert host.tree() == KUBE_TREE
    assert (host.root / "var/lib/kubelet").is_dir()
    assert not (host.state / "active.kubelet.service").exists()


@pytest.mark.parametrize(("cri", "script"), [("docker", "docker.sh"), ("containerd", "containerd.sh")])
def test_second_install_changes_and_restarts_nothing(make_host: HostFactory, cri: str, script: str) -> None:
    host = make_host(cri)
    first = host.run(script)
    files, tree = host.inodes(), host.tree()
    second = host.run(script)
    assert (second.code, second.out, second.err) == (0, first.out, "")
    assert second.calls == untouched(f"{cri}.service")
    owned = host.read(f"/etc/sealerio/rootfs/{cri}").splitlines()
    assert owned == sorted(tree.keys() - {f"/etc/sealerio/rootfs/{cri}"})
    assert (host.inodes(), host.tree()) == (files, tree)


def test_second_init_kube_reloads_nothing(make_host: HostFactory) -> None:
    host = make_host("containerd")
    host.run("init-kube.sh")
    files = host.inodes()
    second = host.run("init-kube.sh")
    assert (second.code, second.err) == (0, "")
    assert second.calls == [
        "systemctl is-active --quiet firewalld.service",
        *PRE_START_CALLS,
        "systemctl is-enabled --quiet kubelet.service",
    ]
    assert host.inodes() == files


def test_a_stopped_runtime_is_started_not_restarted(make_host: HostFactory) -> None:
    host = make_host("containerd")
    host.run("containerd.sh")
    (host.state / "active.containerd.service").unlink()
    assert host.run("containerd.sh").calls == [*untouched("containerd.service"), "systemctl start containerd.service"]


def test_a_changed_file_restarts_once(make_host: HostFactory) -> None:
    host = make_host("docker")
    host.run("docker.sh")
    host.write("/etc/docker/daemon.json", "{}")
    assert host.run("docker.sh").calls == [
        "systemctl daemon-reload",
        *untouched("docker.service"),
        "systemctl restart docker.service",
    ]
    assert host.run("docker.sh").calls == untouched("docker.service")


@pytest.mark.parametrize(("cri", "script"), [("docker", "docker.sh"), ("containerd", "containerd.sh")])
def test_a_restart_that_failed_is_made_up_for(make_host: HostFactory, cri: str, script: str) -> None:
    host = make_host(cri)
    (host.state / f"broken.{cri}.service").write_text("")
    first = host.run(script)
    assert (first.code, first.out) == (1, "")
    assert first.err == f"{script}: error: cannot restart {cri}.service; see: journalctl -u {cri}.service\n"
    (host.state / f"broken.{cri}.service").unlink()
    (host.state / f"active.{cri}.service").write_text("")
    second = host.run(script)
    assert (second.code, second.err) == (0, "")
    assert second.calls[-1] == f"systemctl restart {cri}.service"
    assert host.run(script).calls == untouched(f"{cri}.service")


def test_tools_of_the_host_are_kept_but_kubernetes_is_replaced(make_host: HostFactory) -> None:
    host = make_host("docker")
    host.write("/usr/bin/conntrack", "of the distribution")
    host.write("/usr/bin/kubelet", "of another version")
    run = host.run("init-kube.sh")
    assert (run.code, run.err) == (0, "")
    assert run.out == (
        "init-kube.sh: /usr/bin/conntrack was here before and is kept\ninit-kube.sh: the host is ready for kubeadm\n"
    )
    assert host.read("/usr/bin/conntrack") == "of the distribution"
    assert host.read("/usr/bin/kubelet") == (host.rootfs / "bin/kubelet").read_text()
    host.run("clean-kube.sh")
    assert list(host.tree()) == ["/usr/bin/conntrack"]


def test_firewalls_are_opened(make_host: HostFactory) -> None:
    host = make_host("docker")
    (host.state / "active.firewalld.service").write_text("")
    host.stub("ufw")
    host.answer("ufw", '[[ $1 != status ]] || echo "Status: active"')
    run = host.run("init-kube.sh")
    assert run.out.splitlines()[:2] == [
        "init-kube.sh: firewalld is stopped and disabled",
        "init-kube.sh: ufw is disabled",
    ]
    assert run.calls[:4] == [
        "systemctl is-active --quiet firewalld.service",
        "systemctl disable --quiet --now firewalld.service",
        "ufw status",
        "ufw disable",
    ]


@pytest.mark.parametrize(
    ("env", "endpoint", "domain"),
    [
        ({"RegistryURL": "reg.example.com:6000"}, "reg.example.com:6000", "reg.example.com"),
        ({"RegistryDomain": "reg.example.com", "RegistryPort": "6000"}, "reg.example.com:6000", "reg.example.com"),
        ({"RegistryDomain": "reg.example.com"}, "reg.example.com:5000", "reg.example.com"),
        ({"RegistryURL": "reg.example.com", "RegistryPort": "0"}, "reg.example.com", "reg.example.com"),
        ({"RegistryURL": ""}, "sea.hub:5000", "sea.hub"),
    ],
)
def test_the_registry_of_the_cluster_replaces_that_of_the_build(
    make_host: HostFactory, env: dict[str, str], endpoint: str, domain: str
) -> None:
    host = make_host("containerd")
    assert host.run("containerd.sh", **env).code == 0
    config = tomllib.loads(host.read("/etc/containerd/config.toml"))
    assert config["plugins"]["io.containerd.grpc.v1.cri"]["sandbox_image"] == f"{endpoint}/pause:3.6"
    hosts = tomllib.loads(host.read(f"/etc/containerd/certs.d/{endpoint}/hosts.toml"))
    assert hosts["server"] == f"https://{endpoint}"
    assert hosts["host"][f"https://{endpoint}"]["ca"] == f"/etc/containerd/certs.d/{endpoint}/{domain}.crt"
    docker = make_host("docker", cri_socket=CRI_DOCKERD)
    assert docker.run("docker.sh", **env).code == 0
    assert json.loads(docker.read("/etc/docker/daemon.json"))["registry-mirrors"] == [f"https://{endpoint}"]
    assert f"--pod-infra-container-image={endpoint}/pause:3.6\n" in docker.read(
        "/etc/systemd/system/cri-docker.service"
    )


def test_another_data_root(make_host: HostFactory) -> None:
    docker, containerd = make_host("docker"), make_host("containerd")
    docker.run("docker.sh", ContainerDataRoot="/data/a&b")
    containerd.run("containerd.sh", ContainerDataRoot="/data/c")
    assert json.loads(docker.read("/etc/docker/daemon.json"))["data-root"] == "/data/a&b"
    assert tomllib.loads(containerd.read("/etc/containerd/config.toml"))["root"] == "/data/c"


@pytest.mark.parametrize(
    ("library", "installed"),
    [
        ("/usr/lib64/libseccomp.so.2.3.1", True),
        ("/usr/lib/x86_64-linux-gnu/libseccomp.so.2.5.0", True),
        ("/usr/lib/aarch64-linux-gnu/libseccomp.so.2.5.1", False),
        ("/lib64/libseccomp.so.2.5.4", False),
        ("/usr/lib/libseccomp.so.2.10.0", False),
    ],
)
def test_libseccomp_comes_only_to_hosts_with_an_older_one(
    make_host: HostFactory, library: str, installed: bool
) -> None:
    host = make_host("containerd")
    host.write(library, "of the distribution")
    run = host.run("containerd.sh")
    assert (run.code, run.err) == (0, "")
    assert (SECCOMP_TREE.keys() <= host.tree().keys()) is installed
    assert ("ldconfig" in run.calls) is installed
    assert host.read(library) == "of the distribution"


def test_a_host_with_libseccomp_needs_none_in_the_rootfs(make_host: HostFactory) -> None:
    host = make_host("containerd")
    shutil.rmtree(host.rootfs / "cri/lib64")
    host.write("/usr/lib64/libseccomp.so.2.3.1", "")
    assert host.run("containerd.sh").code == 0


def test_a_hostile_umask_does_not_matter(make_host: HostFactory) -> None:
    host = make_host("docker")
    (host.folder / "profile").write_text("umask 077\n")
    assert host.run("docker.sh", BASH_ENV=str(host.folder / "profile")).code == 0
    assert host.tree() == DOCKER_TREE
    assert (host.root / "etc/docker").stat().st_mode & 0o777 == 0o755


def test_no_work_folder_stays_behind(make_host: HostFactory) -> None:
    host = make_host("docker")
    host.run("docker.sh")
    assert list((host.root / "var/tmp").iterdir()) == []


def test_a_link_and_a_wrong_mode_are_repaired(make_host: HostFactory) -> None:
    host = make_host("docker")
    host.run("docker.sh")
    (host.root / "usr/bin/runc").rename(host.root / "usr/bin/runc.real")
    (host.root / "usr/bin/runc").symlink_to("runc.real")
    (host.root / "etc/docker/daemon.json").chmod(0o600)
    run = host.run("docker.sh")
    assert (run.code, run.err, run.calls[-1]) == (0, "", "systemctl restart docker.service")
    assert host.tree() == DOCKER_TREE | {"/usr/bin/runc.real": "0755"}


def test_a_name_that_is_part_of_another_one_is_not_taken_for_ours(make_host: HostFactory) -> None:
    host = make_host("docker")
    host.run("init-kube.sh")
    (host.rootfs / "bin/kube").write_text("a tool of this rootfs")
    host.write("/usr/bin/kube", "a tool of somebody else")
    assert host.run("init-kube.sh").out.startswith("init-kube.sh: /usr/bin/kube was here before and is kept\n")
    assert host.read("/usr/bin/kube") == "a tool of somebody else"


def test_a_new_program_reloads_no_unit(make_host: HostFactory) -> None:
    host = make_host("docker")
    host.run("init-kube.sh")
    host.write("/usr/bin/crictl", "an older one of ours")
    run = host.run("init-kube.sh")
    assert host.read("/usr/bin/crictl") == (host.rootfs / "bin/crictl").read_text()
    assert "systemctl daemon-reload" not in run.calls
