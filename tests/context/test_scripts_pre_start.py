"""kubelet-pre-start.sh: what it sets, and that a host which refuses a part of it still gets its kubelet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.context.conftest import HostFactory

SETTINGS = """net.bridge.bridge-nf-call-ip6tables = 1
net.bridge.bridge-nf-call-iptables = 1
net.ipv4.conf.all.rp_filter = 0
net.ipv4.conf.default.rp_filter = 0
net.ipv4.ip_forward = 1
net.ipv6.conf.all.forwarding = 1
"""


def test_a_plain_host(make_host: HostFactory) -> None:
    host = make_host("docker")
    run = host.run("kubelet-pre-start.sh")
    assert (run.code, run.out, run.err) == (0, "", "")
    assert host.tree() == {"/etc/modules-load.d/k8s.conf": "0644", "/etc/sysctl.d/k8s.conf": "0644"}
    assert host.read("/etc/sysctl.d/k8s.conf") == SETTINGS
    assert host.read("/etc/modules-load.d/k8s.conf").splitlines() == [
        *("br_netfilter", "overlay", "ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", "nf_conntrack")
    ]


def test_swap_and_selinux_stay_off_after_a_reboot(make_host: HostFactory) -> None:
    host = make_host("docker")
    host.write(
        "/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n/dev/sda2\tnone swap sw 0 0\n#/dev/sda3 none swap sw 0 0\n"
    )
    host.write("/etc/selinux/config", "# SELINUX=enforcing is the default\nSELINUX=enforcing\nSELINUXTYPE=targeted\n")
    assert host.run("kubelet-pre-start.sh").code == 0
    fstab = "/dev/sda1 / ext4 defaults 0 1\n# kubelet: /dev/sda2\tnone swap sw 0 0\n#/dev/sda3 none swap sw 0 0\n"
    assert host.read("/etc/fstab") == fstab
    assert host.read("/etc/selinux/config") == (
        "# SELINUX=enforcing is the default\nSELINUX=permissive\nSELINUXTYPE=targeted\n"
    )
    files = host.inodes()
    assert host.run("kubelet-pre-start.sh").code == 0
    assert host.inodes() == files


def test_what_the_host_refuses_is_only_reported(make_host: HostFactory) -> None:
    host = make_host("docker")
    host.answer("modprobe", "[[ $2 != ip_vs* && $2 != nf_conntrack* ]]")
    for name in ("sysctl", "swapoff", "setenforce", "iptables"):
        host.answer(name, "exit 1")
    run = host.run("kubelet-pre-start.sh")
    assert (run.code, run.out) == (0, "")
    assert run.err.splitlines() == [
        f"kubelet-pre-start.sh: warning: {text}"
        for text in (
            "kernel module ip_vs cannot be loaded",
            "kernel module ip_vs_rr cannot be loaded",
            "kernel module ip_vs_wrr cannot be loaded",
            "kernel module ip_vs_sh cannot be loaded",
            "kernel module nf_conntrack cannot be loaded",
            "not every setting of /etc/sysctl.d/k8s.conf took effect",
            "swap is still on; the kubelet may refuse to start",
            "SELinux stays enforcing",
            "the FORWARD policy of iptables cannot be set to ACCEPT",
        )
    ]
    assert host.read("/etc/modules-load.d/k8s.conf") == "br_netfilter\noverlay\n"


def test_an_old_kernel_and_a_bare_host(make_host: HostFactory) -> None:
    host = make_host("docker")
    host.answer("modprobe", "[[ $2 != nf_conntrack ]]")
    for name in ("iptables", "getenforce", "setenforce"):
        (host.stubs / name).unlink()
    run = host.run("kubelet-pre-start.sh")
    assert (run.code, run.out) == (0, "")
    assert run.err == "kubelet-pre-start.sh: warning: iptables is not installed; kube-proxy needs it\n"
    assert host.read("/etc/modules-load.d/k8s.conf").splitlines()[-1] == "nf_conntrack_ipv4"


def test_it_needs_nothing_of_the_rootfs(make_host: HostFactory) -> None:
    host = make_host("docker")
    for path in (host.rootfs / "scripts").iterdir():
        if path.name != "kubelet-pre-start.sh":
            path.unlink()
    assert host.run("kubelet-pre-start.sh").code == 0
