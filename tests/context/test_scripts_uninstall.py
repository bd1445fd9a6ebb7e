"""uninstall-*.sh, clean-kube.sh and the v0.8 contract: init.sh, then clean.sh, leave the host as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.context.conftest import HostFactory

CRI_DOCKERD = "unix:///var/run/cri-dockerd.sock"
INSPECT = "inspect --format {{.State.Status}} sealer-registry"


def removed(*units: str) -> list[str]:
    """Calls that stop units."""
    return [call for unit in units for call in (f"systemctl stop {unit}", f"systemctl disable --quiet {unit}")]


def test_uninstall_docker(make_host: HostFactory) -> None:
    host = make_host("docker", cri_socket=CRI_DOCKERD)
    host.run("docker.sh")
    host.write("/etc/docker/certs.d/sea.hub:5000/sea.hub.crt", "put there by the deploy tool")
    host.write("/var/lib/docker/image", "data")
    (host.state / "docker0").write_text("")
    run = host.run("uninstall-docker.sh")
    assert (run.code, run.err) == (0, "")
    assert run.out == "uninstall-docker.sh: docker is removed; its data root is left as it is\n"
    assert run.calls == [
        f"docker {INSPECT}",
        *removed("cri-docker.service", "cri-docker.socket", "docker.service"),
        "ip link show docker0",
        "ip link delete docker0",
        "systemctl daemon-reload",
    ]
    assert list(host.tree()) == ["/etc/docker/certs.d/sea.hub:5000/sea.hub.crt", "/var/lib/docker/image"]
    assert not (host.root / "etc/sealerio").exists()


def test_uninstall_containerd(make_host: HostFactory) -> None:
    host = make_host("containerd")
    host.run("containerd.sh")
    host.run("init-registry.sh")
    run = host.run("uninstall-containerd.sh")
    assert (run.code, run.err) == (0, "")
    assert run.out == "uninstall-containerd.sh: containerd is removed; its data root is left as it is\n"
    assert run.calls == [
        f"nerdctl {INSPECT}",
        "nerdctl rm -f sealer-registry",
        *removed("containerd.service"),
        "systemctl daemon-reload",
        "ldconfig",
    ]
    assert host.tree() == {}
    for folder in ("etc/containerd", "etc/sealerio", "usr/local/lib/sealer"):
        assert not (host.root / folder).exists()
    assert (host.root / "usr/local/bin").is_dir()


@pytest.mark.parametrize("cri", ["docker", "containerd"])
def test_nothing_to_uninstall(make_host: HostFactory, cri: str) -> None:
    host = make_host(cri)
    host.write("/usr/bin/dockerd", "of the distribution")
    run = host.run(f"uninstall-{cri}.sh")
    assert (run.code, run.err, run.calls) == (0, "", [])
    assert run.out == f"uninstall-{cri}.sh: this rootfs installed no {cri} here; nothing to do\n"
    assert list(host.tree()) == ["/usr/bin/dockerd"]
    kube = host.run("clean-kube.sh")
    assert (kube.code, kube.err, kube.calls) == (0, "", [])
    assert kube.out == "clean-kube.sh: this rootfs installed no Kubernetes here; nothing to do\n"


@pytest.mark.parametrize("cri", ["docker", "containerd"])
def test_uninstall_after_the_deploy_tool_took_the_kubelet_leaves_no_tool(make_host: HostFactory, cri: str) -> None:
    host = make_host(cri)
    host.run(f"{cri}.sh")
    host.run("init-kube.sh")
    kept = host.run(f"uninstall-{cri}.sh")
    assert "clean-kube.sh" not in kept.out
    assert "/usr/bin/kubelet" in host.tree()
    host.run(f"{cri}.sh")
    for path in ("usr/bin/kubelet", "usr/bin/kubeadm", "etc/systemd/system/kubelet.service", "etc/sysctl.d/k8s.conf"):
        (host.root / path).unlink()
    run = host.run(f"uninstall-{cri}.sh")
    assert (run.code, run.err) == (0, "")
    assert run.out == (
        "clean-kube.sh: Kubernetes' programs and units are removed\n"
        f"uninstall-{cri}.sh: {cri} is removed; its data root is left as it is\n"
    )
    assert host.tree() == {}


def test_a_unit_that_does_not_stop_is_reported_and_removed(make_host: HostFactory) -> None:
    host = make_host("docker")
    host.run("docker.sh")
    host.answer("systemctl", "[[ $1 != stop ]]")
    run = host.run("uninstall-docker.sh")
    assert (run.code, host.tree()) == (0, {})
    assert run.err == (
        "uninstall-docker.sh: warning: docker.service does not stop; its files are removed all the same\n"
    )


def test_an_interrupted_install_can_be_removed(make_host: HostFactory) -> None:
    host = make_host("docker")
    (host.state / "broken.docker.service").write_text("")
    assert host.run("docker.sh").code == 1
    assert "/etc/sealerio/rootfs/docker.pending" in host.tree()
    assert host.run("uninstall-docker.sh").code == 0
    assert host.tree() == {}


@pytest.mark.parametrize("cri", ["docker", "containerd"])
def test_v0_8_from_init_to_clean(make_host: HostFactory, cri: str) -> None:
    host, twin = make_host(cri), make_host(cri)
    run = host.run("init.sh", "/var/lib/docker", "sea.hub", "5000")
    assert (run.code, run.err) == (0, "")
    assert run.out == f"{cri}.sh: {cri} is ready\ninit-kube.sh: the host is ready for kubeadm\n"
    calls = [*twin.run(f"{cri}.sh").calls, *twin.run("init-kube.sh").calls]
    assert run.calls == calls
    link = "/etc/containerd/certs.d/sea.hub:5000/sea.hub.crt"
    expected = twin.tree()
    if cri == "containerd":
        expected[link] = "-> /etc/docker/certs.d/sea.hub:5000/sea.hub.crt"
    assert host.tree() == expected

    files = host.inodes()
    again = host.run("init.sh", "/var/lib/docker", "sea.hub", "5000")
    assert (again.code, again.out, again.err) == (0, run.out, "")
    assert not [call for call in again.calls if call.startswith(("systemctl restart", "systemctl daemon-reload"))]
    assert host.inodes() == files

    clean = host.run("clean.sh")
    assert (clean.code, clean.err) == (0, "")
    assert clean.out == (
        "clean-kube.sh: Kubernetes' programs and units are removed\n"
        f"uninstall-{cri}.sh: {cri} is removed; its data root is left as it is\n"
    )
    assert host.tree() == {}
    assert host.run("clean.sh").calls == []


def test_v0_8_arguments(make_host: HostFactory) -> None:
    docker, containerd = make_host("docker"), make_host("containerd")
    for host in (docker, containerd):
        run = host.run("init.sh", "/data", "reg.example.com", "6000", RegistryURL="not.this:1", RegistryPort="1")
        assert (run.code, run.err) == (0, "")
    daemon = docker.read("/etc/docker/daemon.json")
    assert '"data-root": "/data"' in daemon
    assert '"https://reg.example.com:6000"' in daemon
    config = containerd.read("/etc/containerd/config.toml")
    assert 'root = "/var/lib/containerd"' in config
    assert '"reg.example.com:6000/pause:3.6"' in config
    assert containerd.tree()["/etc/containerd/certs.d/reg.example.com:6000/reg.example.com.crt"] == (
        "-> /etc/docker/certs.d/reg.example.com:6000/reg.example.com.crt"
    )


def test_v0_8_keeps_a_certificate_that_is_there(make_host: HostFactory) -> None:
    host = make_host("containerd")
    path = "/etc/containerd/certs.d/sea.hub:5000/sea.hub.crt"
    host.write(path, "put there by hand")
    assert host.run("init.sh", "/var/lib/docker", "sea.hub", "5000").code == 0
    assert host.read(path) == "put there by hand"
    host.run("clean.sh")
    assert list(host.tree()) == [path]
