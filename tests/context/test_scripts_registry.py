"""init-registry.sh: one container, started once, replaced only when what it runs with changes."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.context.conftest import Host, HostFactory

INSPECT = "inspect --format {{.State.Status}} sealer-registry"
ENGINES = pytest.mark.parametrize(("cri", "engine"), [("docker", "docker"), ("containerd", "nerdctl")])


def arguments(host: Host, port: str = "5000", domain: str = "sea.hub") -> tuple[str, str, str]:
    """What both versions of the deploy tool pass."""
    return port, str(host.rootfs / "registry"), domain


def certify(host: Host, domain: str = "sea.hub") -> None:
    """Put the pair where the deploy tool puts it."""
    (host.rootfs / "certs").mkdir(exist_ok=True)
    for suffix in ("crt", "key"):
        (host.rootfs / f"certs/{domain}.{suffix}").write_text(f"{domain} {suffix}")


def options(call: str) -> list[str]:
    """Words of the `run` call between the name and the image."""
    return call.partition(" --name sealer-registry ")[2].removesuffix(" registry:2.7.1").split(" -")


@ENGINES
def test_first_start(make_host: HostFactory, cri: str, engine: str) -> None:
    host = make_host(cri)
    certify(host)
    run = host.run("init-registry.sh", *arguments(host))
    assert (run.code, run.out, run.err) == (0, "init-registry.sh: sealer-registry runs on port 5000\n", "")
    assert [call for call in run.calls if " run " not in call] == [
        f"{engine} {INSPECT}",
        f"{engine} image inspect registry:2.7.1",
        f"{engine} load -i ROOTFS/images/registry.tar",
        *["sleep 1", f"{engine} {INSPECT}"] * 3,
    ]
    assert run.calls[3].startswith(f"{engine} run -d --name sealer-registry --restart")
    assert options(run.calls[3]) == [
        "--restart=always",
        "-net=host",
        "v ROOTFS/registry:/var/lib/registry",
        "v ROOTFS/etc/registry_config.yml:/etc/docker/registry/config.yml:ro",
        "e REGISTRY_HTTP_ADDR=:5000",
        "v ROOTFS/certs:/certs:ro",
        "e REGISTRY_HTTP_TLS_CERTIFICATE=/certs/sea.hub.crt",
        "e REGISTRY_HTTP_TLS_KEY=/certs/sea.hub.key",
    ]
    assert run.calls[3].endswith(" registry:2.7.1")
    assert host.tree() == {"/etc/sealerio/rootfs/registry": "0644"}


@ENGINES
def test_second_start_does_nothing(make_host: HostFactory, cri: str, engine: str) -> None:
    host = make_host(cri)
    certify(host)
    host.run("init-registry.sh", *arguments(host))
    run = host.run("init-registry.sh", *arguments(host))
    assert (run.code, run.out, run.err) == (0, "init-registry.sh: sealer-registry already runs on port 5000\n", "")
    assert run.calls == [f"{engine} {INSPECT}"]


def test_a_change_replaces_the_container(make_host: HostFactory) -> None:
    host = make_host("docker")
    certify(host)
    certify(host, "reg.example.com")
    host.run("init-registry.sh", *arguments(host))
    labels = []
    call = ""
    for change in ("port", "domain", "certificate", "password", "other password", "config", "stopped"):
        if change == "certificate":
            (host.rootfs / "certs/reg.example.com.crt").write_text("renewed")
        if change == "password":
            (host.rootfs / "etc/registry_htpasswd").write_text("user:hash")
        if change == "other password":
            (host.rootfs / "etc/registry_htpasswd").write_text("user:other")
        if change == "config":
            (host.rootfs / "etc/registry_config.yml").write_text("version: 0.1\n")
        if change == "stopped":
            state = host.state / "registry"
            state.write_text(state.read_text().replace("running", "exited"))
        domain = "sea.hub" if change == "port" else "reg.example.com"
        run = host.run("init-registry.sh", *arguments(host, "6000", domain))
        assert run.out == "init-registry.sh: sealer-registry runs on port 6000\n", change
        assert run.calls[2] == "docker rm -f sealer-registry", change
        assert not [call for call in run.calls if " load " in call]
        call = run.calls[3]
        labels.append(host.read("/etc/sealerio/rootfs/registry"))
    assert len(set(labels)) == 6
    assert options(call)[-4:] == [
        "v ROOTFS/etc/registry_htpasswd:/htpasswd:ro",
        "e REGISTRY_AUTH=htpasswd",
        "e REGISTRY_AUTH_HTPASSWD_PATH=/htpasswd",
        "e REGISTRY_AUTH_HTPASSWD_REALM=private registry",
    ]


def test_without_a_certificate_it_says_that_it_is_insecure(make_host: HostFactory) -> None:
    host = make_host("docker")
    run = host.run("init-registry.sh", *arguments(host))
    assert run.code == 0
    assert run.err == (
        "init-registry.sh: warning: no certs/sea.hub.crt and .key in the rootfs: sealer-registry serves plain HTTP\n"
    )
    assert "TLS" not in run.calls[3]


@pytest.mark.parametrize(("there", "missing"), [("crt", "key"), ("key", "crt")])
def test_half_a_certificate_is_refused(make_host: HostFactory, there: str, missing: str) -> None:
    host = make_host("docker")
    (host.rootfs / "certs").mkdir()
    (host.rootfs / f"certs/sea.hub.{there}").write_text("x")
    run = host.run("init-registry.sh", *arguments(host))
    assert (run.code, run.out, run.calls) == (1, "", [])
    assert run.err == f"init-registry.sh: error: certs/sea.hub.{there} of the rootfs has no certs/sea.hub.{missing}\n"


def test_defaults_come_from_the_environment_and_the_build(make_host: HostFactory) -> None:
    host = make_host("docker")
    (host.rootfs / "registry").rmdir()
    run = host.run("init-registry.sh", RegistryURL="reg.example.com:6000")
    assert run.out == "init-registry.sh: sealer-registry runs on port 6000\n"
    assert "v ROOTFS/registry:/var/lib/registry" in options(run.calls[3])
    assert (host.rootfs / "registry").is_dir()
    assert host.run("init-registry.sh").out == "init-registry.sh: sealer-registry runs on port 5000\n"
    none = host.run("init-registry.sh", RegistryURL="reg.example.com")
    assert (none.code, none.calls) == (1, [])
    assert none.err == (
        "init-registry.sh: error: the registry needs a port; give one as the first argument or as RegistryPort\n"
    )


def test_a_container_that_does_not_stay_up_shows_its_last_words(make_host: HostFactory) -> None:
    host = make_host("docker")
    certify(host)
    (host.state / "crash").write_text("")
    run = host.run("init-registry.sh", *arguments(host))
    assert (run.code, run.out) == (1, "")
    assert run.err == (
        "panic: bad configuration\n"
        "init-registry.sh: error: sealer-registry does not stay up; its last messages are above\n"
    )
    assert run.calls.count("sleep 1") == 1
    assert run.calls[-1] == "docker logs --tail 20 sealer-registry"


def test_an_image_that_cannot_be_loaded(make_host: HostFactory) -> None:
    host = make_host("docker")
    certify(host)
    (host.state / "bad-image").write_text("")
    run = host.run("init-registry.sh", *arguments(host))
    assert (run.code, run.out) == (1, "")
    assert run.err == "init-registry.sh: error: images/registry.tar of the rootfs cannot be loaded\n"
    assert not [call for call in run.calls if " run " in call]


def test_v0_8_calls_it_as_a_program(make_host: HostFactory) -> None:
    host = make_host("containerd")
    certify(host)
    host.calls.write_text("")
    done = subprocess.run(
        ["./init-registry.sh", *arguments(host)],
        env={**host.env, "PATH": f"{host.env['PATH']}{os.pathsep}/nowhere"},
        cwd=host.rootfs / "scripts",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "init-registry.sh: sealer-registry runs on port 5000\n")
