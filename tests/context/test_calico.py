"""Calico: its templates, and calico.sh run against a stub of kubectl."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import jinja2.sandbox
import pytest
import yaml

CALICO = Path(__file__).resolve().parents[2] / "context/calico"
VALUES = {
    "calico": "3.31.7",
    "calico_images": "apiserver cni csi kube-controllers node node-driver-registrar pod2daemon-flexvol typha",
    "calico_registry": "quay.io",
    "tigera_operator": "1.40.15",
    "base_image": "docker.io/sealerio/kubernetes:v1.23.17",
    "pod_subnet": "100.64.0.0/10",
}


def render(name: str, **changes: str) -> str:
    """Render a template as the build does."""
    environment = jinja2.sandbox.SandboxedEnvironment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    return environment.from_string((CALICO / f"{name}.j2").read_text()).render(VALUES | changes)


def test_kubefile() -> None:
    assert render("Kubefile").splitlines() == [
        "# Calico v3.31.7 on top of a cluster image.",
        "FROM docker.io/sealerio/kubernetes:v1.23.17",
        "COPY imageList manifests/",
        "CNI calico local://calico.sh local://tigera-operator.yaml local://custom-resources.yaml",
        'APPCMDS calico ["bash calico.sh"]',
        'LABEL "io.buildsys.calico-version"="v3.31.7"',
        'LAUNCH ["calico"]',
    ]


def test_image_list() -> None:
    assert render("imageList", calico_images="cni node") == (
        "quay.io/calico/cni:v3.31.7\nquay.io/calico/node:v3.31.7\nquay.io/tigera/operator:v1.40.15\n"
    )


@pytest.mark.parametrize(
    ("pod_subnet", "cidrs"),
    [("100.64.0.0/10", ["100.64.0.0/10"]), ("10.0.0.0/16, fd00::/64", ["10.0.0.0/16", "fd00::/64"])],
)
def test_installation(pod_subnet: str, cidrs: list[str]) -> None:
    installation, server = yaml.safe_load_all(render("custom-resources.yaml", pod_subnet=pod_subnet))
    assert (installation["kind"], server["kind"]) == ("Installation", "APIServer")
    pools = installation["spec"]["calicoNetwork"]["ipPools"]
    assert [pool["cidr"] for pool in pools] == cidrs


def operator() -> list[dict[str, Any]]:
    """Objects of the operator installation."""
    return list(yaml.safe_load_all(render("tigera-operator.yaml")))


def test_operator_objects() -> None:
    objects = operator()
    kinds = [item["kind"] for item in objects if item["kind"] != "CustomResourceDefinition"]
    assert kinds == ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Deployment"]
    names = [item["metadata"]["name"] for item in objects]
    assert len(set(zip([item["kind"] for item in objects], names, strict=True))) == len(objects)
    deployment = objects[-1]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "quay.io/tigera/operator:v1.40.15"
    assert {"name": "TIGERA_OPERATOR_INIT_IMAGE_VERSION", "value": "v1.40.15"} in container["env"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_operator_definitions() -> None:
    definitions = [item for item in operator() if item["kind"] == "CustomResourceDefinition"]
    assert len(definitions) == 32
    for item in definitions:
        spec = item["spec"]
        names = spec["names"]
        assert item["metadata"]["name"] == f"{names['plural']}.{spec['group']}"
        assert names["listKind"] == names["kind"] + "List"
        assert names["singular"] == names["kind"].lower()
        assert spec["scope"] in {"Cluster", "Namespaced"}
        [version] = spec["versions"]
        assert version["schema"] == {
            "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        }
        plain = spec["group"] == "crd.projectcalico.org" or names["plural"] == "gatewayapis"
        assert version.get("subresources") == (None if plain else {"status": {}})
        approved = item["metadata"].get("annotations", {}).get("api-approved.kubernetes.io", "")
        assert approved.startswith("unapproved") is spec["group"].endswith(".k8s.io")


def test_operator_rights() -> None:
    [role] = [item for item in operator() if item["kind"] == "ClusterRole"]
    for rule in role["rules"]:
        assert rule.keys() == {"apiGroups", "resources", "verbs"}
        assert rule["resources"] == sorted(rule["resources"])
        assert "*" not in rule["verbs"]
        assert rule["apiGroups"] != ["*"]


KUBECTL = """#!/bin/bash
printf '%s\\n' "kubectl $*" >>"$CALLS"
case "$*" in
  *kubeadm-config*) [[ -n ${CONFIGURATION-} ]] || exit 1; printf '%s' "$CONFIGURATION" ;;
  "apply -f -") cat >"$CALLS.$(wc -l <"$CALLS")" ;;
esac
"""
WAIT = (
    "kubectl wait --for=condition=Established --timeout=60s "
    "crd/installations.operator.tigera.io crd/apiservers.operator.tigera.io"
)
ASK = "kubectl -n kube-system get configmap kubeadm-config -o jsonpath={.data.ClusterConfiguration}"


def run_script(folder: Path, configuration: str = "") -> subprocess.CompletedProcess[str]:
    """Run calico.sh where the deploy tool puts it."""
    stubs = folder / "stubs"
    stubs.mkdir(exist_ok=True)
    for tool in ("bash", "cat", "dirname", "sed", "wc"):
        found = shutil.which(tool)
        assert found is not None
        if not (stubs / tool).exists():
            (stubs / tool).symlink_to(found)
    (stubs / "kubectl").write_text(KUBECTL)
    (stubs / "kubectl").chmod(0o755)
    env = {"PATH": str(stubs), "CALLS": str(folder / "calls"), "CONFIGURATION": configuration, "LC_ALL": "C"}
    (folder / "calls").write_text("")
    return subprocess.run(
        [str(stubs / "bash"), str(folder / "calico.sh")],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """Fill the folder of the application as the deploy tool does."""
    shutil.copy(CALICO / "calico.sh", tmp_path)
    for name in ("tigera-operator.yaml", "custom-resources.yaml"):
        (tmp_path / name).write_text(render(name))
    return tmp_path


@pytest.mark.parametrize("repository", ["sea.hub:5000", "reg.example.com/mirror"])
def test_script_installs_from_the_registry_of_the_cluster(app: Path, repository: str) -> None:
    done = run_script(app, f"kind: ClusterConfiguration\nimageRepository: {repository}\nnetworking: {{}}\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (app / "calls").read_text().splitlines() == [ASK, "kubectl apply -f -", WAIT, "kubectl apply -f -"]
    applied = list(yaml.safe_load_all((app / "calls.2").read_text()))
    shipped = operator()
    shipped[-1]["spec"]["template"]["spec"]["containers"][0]["image"] = f"{repository}/tigera/operator:v1.40.15"
    assert applied == shipped
    installation, server = yaml.safe_load_all((app / "calls.4").read_text())
    assert installation["spec"].pop("registry") == f"{repository}/"
    assert [installation, server] == list(yaml.safe_load_all(render("custom-resources.yaml")))


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ("", "the cluster does not answer, or kubeadm did not set it up"),
        ("kind: ClusterConfiguration\n", "the kubeadm configuration of the cluster names no imageRepository"),
        ("imageRepository: a b\n", "the kubeadm configuration of the cluster names no imageRepository"),
    ],
)
def test_script_applies_nothing_without_a_registry(app: Path, configuration: str, message: str) -> None:
    done = run_script(app, configuration)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"calico.sh: error: {message}\n")
    assert (app / "calls").read_text().splitlines() == [ASK]


@pytest.mark.parametrize("name", ["tigera-operator.yaml", "custom-resources.yaml"])
def test_script_names_a_missing_manifest(app: Path, name: str) -> None:
    (app / name).unlink()
    done = run_script(app, "imageRepository: sea.hub:5000\n")
    assert (done.returncode, done.stderr) == (1, f"calico.sh: error: missing beside this script: {name}\n")
    assert (app / "calls").read_text() == ""
