"""Every template of context/ renders with the variables it documents, and what it renders is what it says it is."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import jinja2
import jinja2.meta
import jinja2.sandbox
import pytest
import yaml

CONTEXT = Path(__file__).resolve().parents[2] / "context"

# The contract with the BUILD files: the variables of each template, no more and no less.
VARIABLES = {
    "calico/Kubefile.j2": {"base_image", "calico"},
    "calico/custom-resources.yaml.j2": {"calico", "pod_subnet"},
    "calico/imageList.j2": {"calico", "calico_images", "calico_registry", "tigera_operator"},
    "calico/tigera-operator.yaml.j2": {"calico", "tigera_operator"},
    "containerd/etc/dump-config.toml.j2": {
        "containerd_cgroup_table",
        "containerd_config_version",
        "containerd_pause_key",
        "containerd_pause_table",
        "containerd_registry_table",
        "containerd_runtime_table",
        "pause_image",
    },
    "containerd/etc/hosts.toml.j2": {"registry_domain", "registry_port"},
    "docker/etc/cri-docker.service.j2": {"pause_image"},
    "docker/etc/daemon.json.j2": {"registry_domain", "registry_port"},
    "rootfs/Kubefile.j2": {"cri", "cri_version", "kubernetes", "source"},
    "rootfs/Metadata.j2": {"arch", "cri", "cri_version", "kubernetes", "source"},
    "rootfs/README.md.j2": {"cri", "cri_version", "kubernetes", "registry_domain", "registry_port", "source"},
    "rootfs/etc/10-kubeadm.conf.j2": {"kubelet_extra_args"},
    "rootfs/etc/Clusterfile.j2": {
        "cri",
        "kubernetes",
        "pod_subnet",
        "registry_domain",
        "registry_port",
        "service_subnet",
    },
    "rootfs/etc/registry.yml.j2": {"registry_domain", "registry_port"},
    "rootfs/etc/rootfs.env.j2": {"cri_socket", "registry_domain", "registry_port", "source"},
}

VALUES = {
    "kubernetes": "1.23.17",
    "cri": "containerd",
    "cri_version": "1.6.39",
    "cri_socket": "unix:///run/containerd/containerd.sock",
    "arch": "amd64",
    "registry_domain": "sea.hub",
    "registry_port": "5000",
    "pause_image": "sea.hub:5000/pause:3.6",
    "pod_subnet": "100.64.0.0/10",
    "service_subnet": "10.96.0.0/22",
    "source": "upstream",
    "kubelet_extra_args": "",
    "calico": "3.31.7",
    "tigera_operator": "1.40.15",
    "calico_images": "apiserver cni csi kube-controllers node node-driver-registrar pod2daemon-flexvol typha",
    "calico_registry": "quay.io",
    "base_image": "docker.io/sealerio/kubernetes:v1.23.17",
}

V2 = 'plugins."io.containerd.grpc.v1.cri"'
IMAGES, RUNTIME = 'plugins."io.containerd.cri.v1.images"', 'plugins."io.containerd.cri.v1.runtime"'
CONTAINERD = {
    "2": {
        "containerd_pause_table": V2,
        "containerd_pause_key": "sandbox_image",
        "containerd_registry_table": f"{V2}.registry",
        "containerd_runtime_table": f"{V2}.containerd.runtimes.runc",
        "containerd_cgroup_table": f"{V2}.containerd.runtimes.runc.options",
    },
    "3": {
        "containerd_pause_table": f"{IMAGES}.pinned_images",
        "containerd_pause_key": "sandbox",
        "containerd_registry_table": f"{IMAGES}.registry",
        "containerd_runtime_table": f"{RUNTIME}.containerd.runtimes.runc",
        "containerd_cgroup_table": f"{RUNTIME}.containerd.runtimes.runc.options",
    },
}
CONTAINERD["4"] = CONTAINERD["3"]

SOURCES = pytest.mark.parametrize("source", ["upstream", "sample"])
RUNTIMES = pytest.mark.parametrize(("cri", "version"), [("docker", "20.10.24"), ("containerd", "1.6.39")])
RUNC = {"runtime_type": "io.containerd.runc.v2", "options": {"SystemdCgroup": True}}
CERTS = {"config_path": "/etc/containerd/certs.d"}


def environment() -> jinja2.sandbox.SandboxedEnvironment:
    """As the build makes it."""
    return jinja2.sandbox.SandboxedEnvironment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False
    )


def render(path: str, **changes: str) -> str:
    """Render with the documented variables of that template and nothing else."""
    values = VALUES | changes
    values = {name: values[name] for name in VARIABLES[path]}
    text = environment().from_string((CONTEXT / path).read_text()).render(values)
    assert text.endswith("\n")
    assert "{{" not in text
    assert "{%" not in text
    return text


def test_the_table_of_variables_is_complete_and_exact() -> None:
    found = {}
    for path in sorted(CONTEXT.glob("**/*.j2")):
        tree = environment().parse(path.read_text())
        found[str(path.relative_to(CONTEXT))] = jinja2.meta.find_undeclared_variables(tree)
    assert found == VARIABLES


def test_no_template_decides_by_a_version() -> None:
    for path in VARIABLES:
        conditions = re.findall(r"\{%-? *(?:el)?if .*?%\}|\{\{[^}]* if .*?\}\}", (CONTEXT / path).read_text())
        for condition in conditions:
            assert not re.search(r"kubernetes|version|calico|[<>]", condition), (path, condition)


@pytest.mark.parametrize("version", ["2", "3", "4"])
def test_containerd_config(version: str) -> None:
    text = render("containerd/etc/dump-config.toml.j2", containerd_config_version=version, **CONTAINERD[version])
    config = tomllib.loads(text)
    assert (config.pop("version"), config.pop("root")) == (int(version), "/var/lib/containerd")
    assert config.pop("state") == "/run/containerd"
    if version == "2":
        cri = {"sandbox_image": "sea.hub:5000/pause:3.6", "registry": CERTS, "containerd": {"runtimes": {"runc": RUNC}}}
        assert config == {"plugins": {"io.containerd.grpc.v1.cri": cri}}
    else:
        assert config == {
            "plugins": {
                "io.containerd.cri.v1.images": {
                    "pinned_images": {"sandbox": "sea.hub:5000/pause:3.6"},
                    "registry": CERTS,
                },
                "io.containerd.cri.v1.runtime": {"containerd": {"runtimes": {"runc": RUNC}}},
            }
        }


def test_hosts_toml() -> None:
    assert tomllib.loads(render("containerd/etc/hosts.toml.j2")) == {
        "server": "https://sea.hub:5000",
        "host": {
            "https://sea.hub:5000": {
                "capabilities": ["pull", "resolve"],
                "ca": "/etc/containerd/certs.d/sea.hub:5000/sea.hub.crt",
            }
        },
    }


def test_daemon_json_has_keys_of_stock_docker_only() -> None:
    daemon = json.loads(render("docker/etc/daemon.json.j2"))
    assert daemon == {
        "data-root": "/var/lib/docker",
        "exec-opts": ["native.cgroupdriver=systemd"],
        "log-driver": "json-file",
        "log-level": "warn",
        "log-opts": {"max-size": "10m", "max-file": "3"},
        "max-concurrent-downloads": 10,
        "registry-mirrors": ["https://sea.hub:5000"],
    }


@SOURCES
@RUNTIMES
def test_metadata(source: str, cri: str, version: str) -> None:
    for arch in ("amd64", "arm64"):
        text = render("rootfs/Metadata.j2", source=source, cri=cri, cri_version=version, arch=arch)
        assert json.loads(text) == {
            "version": "v1.23.17",
            "arch": arch,
            "kubeVersion": "v1.23.17",
            "ClusterRuntime": "k8s",
            "NydusFlag": False,
            "containerRuntime": {"type": cri, "version": version},
            "source": source,
            "deployable": source != "sample",
        }


@SOURCES
@RUNTIMES
def test_kubefile(source: str, cri: str, version: str) -> None:
    lines = render("rootfs/Kubefile.j2", source=source, cri=cri, cri_version=version).splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "FROM scratch",
        "COPY ${ARCH} .",
        "COPY rootfs .",
        "COPY imageList manifests/",
        'LABEL "cluster.alpha.sealer.io/cluster-runtime-type"="kubernetes"',
        'LABEL "cluster.alpha.sealer.io/cluster-runtime-version"="v1.23.17"',
        f'LABEL "cluster.alpha.sealer.io/container-runtime-type"="{cri}"',
        f'LABEL "cluster.alpha.sealer.io/container-runtime-version"="{version}"',
        f'LABEL "io.buildsys.source"="{source}"',
    ]


@SOURCES
@RUNTIMES
def test_readme(source: str, cri: str, version: str) -> None:
    text = render("rootfs/README.md.j2", source=source, cri=cri, cri_version=version)
    assert text.startswith(f"# Kubernetes v1.23.17 with {cri} {version}\n\n")
    assert ("**This is a sample build." in text) is (source == "sample")
    assert f"`uninstall-{cri}.sh`" in text


@RUNTIMES
def test_clusterfile(cri: str, version: str) -> None:
    cluster = yaml.safe_load(render("rootfs/etc/Clusterfile.j2", cri=cri, cri_version=version))
    assert (cluster["apiVersion"], cluster["kind"]) == ("sealer.cloud/v2", "Cluster")
    spec = cluster["spec"]
    assert spec["image"] == "kubernetes:v1.23.17"
    assert spec["containerRuntime"] == {"type": cri}
    assert spec["registry"] == {"localRegistry": {"domain": "sea.hub", "port": 5000}}
    assert spec["env"] == ["PodCIDR=100.64.0.0/10", "SvcCIDR=10.96.0.0/22"]
    assert [host["roles"] for host in spec["hosts"]] == [["master"], ["node"]]


def test_registry_settings() -> None:
    assert yaml.safe_load(render("rootfs/etc/registry.yml.j2")) == {
        "domain": "sea.hub",
        "port": "5000",
        "username": "",
        "password": "",
    }
    config = yaml.safe_load((CONTEXT / "rootfs/etc/registry_config.yml").read_text())
    assert config["version"] == 0.1
    assert config["storage"]["filesystem"]["rootdirectory"] == "/var/lib/registry"
    assert config["http"]["addr"] == ":5000"


def test_facts_for_the_scripts() -> None:
    lines = render("rootfs/etc/rootfs.env.j2").splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "CRI_SOCKET=unix:///run/containerd/containerd.sock",
        "REGISTRY_DOMAIN=sea.hub",
        "REGISTRY_PORT=5000",
        "SOURCE=upstream",
    ]


def test_audit_policy() -> None:
    policy = yaml.safe_load((CONTEXT / "rootfs/statics/audit-policy.yml").read_text())
    assert (policy["apiVersion"], policy["kind"]) == ("audit.k8s.io/v1", "Policy")
    fields = {"level", "users", "userGroups", "verbs", "resources", "namespaces", "nonResourceURLs", "omitStages"}
    for rule in policy["rules"]:
        assert rule.keys() <= fields
        assert rule["level"] in {"None", "Metadata", "Request", "RequestResponse"}
        # The API server refuses a policy in which one rule speaks of both.
        assert not {"resources", "nonResourceURLs"} <= rule.keys()
    secrets = next(i for i, rule in enumerate(policy["rules"]) if "secrets" in str(rule))
    bodies = next(i for i, rule in enumerate(policy["rules"]) if rule["level"].startswith("Request"))
    assert policy["rules"][secrets]["level"] == "Metadata"
    assert secrets < bodies
    assert policy["rules"][-1] == {"level": "Metadata"}


def test_extra_images() -> None:
    lines = (CONTEXT / "rootfs/extra-images.txt").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == [
        "docker.io/sealerio/lvscare:v1.1.3-beta.8",
        "docker.io/library/registry:2.7.1",
    ]


UNITS = {
    "rootfs/etc/kubelet.service": "/usr/bin/kubelet",
    "docker/etc/docker.service": "/usr/bin/dockerd",
    "docker/etc/cri-docker.service.j2": "/usr/bin/cri-dockerd",
    "containerd/etc/containerd.service": "/usr/local/bin/containerd",
    "docker/etc/cri-docker.socket": "",
    "rootfs/etc/10-kubeadm.conf.j2": "/usr/bin/kubelet",
}
KEYS = {
    "Unit": {"Description", "Documentation", "Wants", "After", "Requires", "PartOf"},
    "Service": {
        "Type",
        "ExecStart",
        "ExecStartPre",
        "ExecStartPost",
        "ExecReload",
        "Restart",
        "RestartSec",
        "TimeoutStartSec",
        "TimeoutSec",
        "Delegate",
        "KillMode",
        "OOMScoreAdjust",
        "LimitNOFILE",
        "LimitNPROC",
        "LimitCORE",
        "TasksMax",
        "StartLimitInterval",
        "Environment",
        "EnvironmentFile",
    },
    "Socket": {"ListenStream", "SocketMode", "SocketUser", "SocketGroup"},
    "Install": {"WantedBy"},
}
REPEATABLE = {"ExecStart", "ExecStartPre", "Environment", "EnvironmentFile"}


def read_unit(text: str) -> dict[str, list[tuple[str, str]]]:
    """Sections of a unit with their keys in order; fails on anything systemd would only warn of."""
    sections: dict[str, list[tuple[str, str]]] = {}
    current = ""
    for line in text.splitlines():
        assert line == line.strip(), line
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            current = line.strip("[]")
            assert current not in sections
            sections[current] = []
        else:
            key, equals, value = line.partition("=")
            assert equals, line
            assert key in KEYS[current], (current, key)
            sections[current].append((key, value))
    return sections


@pytest.mark.parametrize("path", UNITS)
def test_units(path: str) -> None:
    text = (
        render(path, kubelet_extra_args="--v=2 --node-ip=::") if path.endswith(".j2") else (CONTEXT / path).read_text()
    )
    unit = read_unit(text)
    for section, pairs in unit.items():
        keys = [key for key, _ in pairs if key not in REPEATABLE]
        assert len(keys) == len(set(keys)), (section, keys)
    if path.endswith(".conf.j2"):
        assert unit.keys() == {"Service"}
        starts = [value for key, value in unit["Service"] if key == "ExecStart"]
        assert starts[0] == ""  # a drop-in has to empty the command before it sets its own
        assert starts[1].split()[0] == UNITS[path]
        assert ("Environment", '"KUBELET_EXTRA_ARGS=--v=2 --node-ip=::"') in unit["Service"]
        return
    assert list(unit) == ["Unit", "Socket" if path.endswith(".socket") else "Service", "Install"]
    assert {"Description"} <= {key for key, _ in unit["Unit"]}
    assert unit["Install"] == [("WantedBy", "sockets.target" if path.endswith(".socket") else "multi-user.target")]
    if UNITS[path]:
        [start] = [value for key, value in unit["Service"] if key == "ExecStart"]
        assert start.split()[0] == UNITS[path]
        assert all(value.lstrip("-").startswith("/") for key, value in unit["Service"] if key.startswith("Exec"))


def test_cri_dockerd_listens_where_kubeadm_looks() -> None:
    socket = dict(read_unit((CONTEXT / "docker/etc/cri-docker.socket").read_text())["Socket"])
    assert socket["ListenStream"] == "/run/cri-dockerd.sock"  # /var/run is a link to /run
    service = dict(read_unit(render("docker/etc/cri-docker.service.j2"))["Service"])
    assert "--container-runtime-endpoint fd://" in service["ExecStart"]
    assert "--pod-infra-container-image=sea.hub:5000/pause:3.6" in service["ExecStart"]


def test_no_upstream_registry_and_no_foreign_path_in_configuration() -> None:
    for path in sorted(CONTEXT.glob("*/etc/*")) + sorted(CONTEXT.glob("*/scripts/*")):
        text = path.read_text()
        assert "registry.k8s.io" not in text, path
        assert "k8s.gcr.io" not in text, path
