"""kubeadm.yml for every release and both runtimes: parses, is accepted, and holds nothing the release does not know."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildsys.adapters import yaml
from buildsys.adapters.versions import parse_range, parse_version
from buildsys.errors import BuildError, BuildErrors, Location, UserError
from buildsys.kubernetes.fields import KINDS, known_fields, unknown_fields
from buildsys.kubernetes.flags import unknown_flags
from buildsys.kubernetes.kubeadm import (
    KubeadmOptions,
    accepted_api_versions,
    api_version,
    cri_socket,
    dns_image_repository,
    documents,
    render,
)
from buildsys.kubernetes.releases import all_versions
from buildsys.kubernetes.tables import Tables

GOLDEN = Path(__file__).parent / "data" / "kubeadm"
RELEASES = ["1.15.11", "1.20.15", "1.22.17", "1.23.17", "1.24.17", "1.28.15", "1.31.14", "1.36.4", "1.37.0"]
HERE = Location("context/rootfs/BUILD.yaml", 7, 3)
TABLES = Tables.load()


def options(version: str, cri: str = "containerd", **more: Any) -> KubeadmOptions:
    return KubeadmOptions(parse_version(version), cri, **more)


def substituted(template: str, environment: dict[str, str]) -> str:
    """What Go's text/template makes of the two actions that a template of ours may hold."""
    text = re.sub(
        r'\{\{or \.RegistryURL "([^"]*)"\}\}', lambda m: environment.get("RegistryURL") or m.group(1), template
    )
    assert "{{" not in text.replace('{{"{{"}}', "")
    return text.replace('{{"{{"}}', "{{")


def codes(caught: pytest.ExceptionInfo[BuildErrors]) -> list[str]:
    return [error.code for error in caught.value.errors]


def body(version: str, kind: str, **more: Any) -> dict[str, object]:
    return next(doc for doc in documents(TABLES, options(version, **more)) if doc["kind"] == kind)


@pytest.mark.parametrize("cri", ["docker", "containerd"])
def test_every_release(cri: str) -> None:
    for version in all_versions(TABLES):
        wanted = KubeadmOptions(version, cri)
        text = render(TABLES, wanted)
        docs = yaml.load_all(text, "kubeadm.yml")
        assert docs == documents(TABLES, wanted)
        api = api_version(TABLES, version)
        assert api in accepted_api_versions(TABLES, version), version
        for doc in docs:
            assert isinstance(doc, dict)
            assert doc["kind"] in KINDS
            assert not unknown_fields(TABLES, doc["kind"], doc, api, version), version
        assert not unknown_flags(TABLES, version, [doc for doc in docs if isinstance(doc, dict)]), version


@pytest.mark.parametrize("cri", ["docker", "containerd"])
@pytest.mark.parametrize("version", RELEASES)
def test_golden(version: str, cri: str) -> None:
    """`BUILDSYS_UPDATE_GOLDEN=1 pytest ...` writes the files anew; read the difference before you commit it."""
    path = GOLDEN / f"{version}-{cri}.yml"
    text = render(TABLES, options(version, cri))
    if os.environ.get("BUILDSYS_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_what_releases_share_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the releases of a minor, only ClusterConfiguration differs."""
    written: list[object] = []
    dump = yaml.dump

    def counting(document: object) -> str:
        written.append(document)
        return dump(document)

    monkeypatch.setattr(yaml, "dump", counting)
    own = {"image_repository": "once.example.com", "pod_subnet": "10.99.0.0/16", "cri": "docker"}
    for version in ("1.30.1", "1.30.2", "1.30.3"):
        for template in (False, True):
            render(TABLES, options(version, **own), template=template)
    assert len(written) <= 4 + 3


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize("repository", ["sea.hub:5000", "registry.example.com/mirror/k8s", "10.0.0.1:5000"])
def test_the_template_without_an_environment_is_the_plain_file(version: str, repository: str) -> None:
    wanted = options(version, image_repository=repository)
    template = render(TABLES, wanted, template=True)
    assert substituted(template, {}) == render(TABLES, wanted)
    other = substituted(template, {"RegistryURL": "other.hub:6000"})
    assert other == render(TABLES, options(version, image_repository="other.hub:6000"))


def test_braces_of_the_user_survive_the_template() -> None:
    changes = {"ClusterConfiguration": {"clusterName": "{{x}}", "certificatesDir": "a {{or .RegistryURL}}"}}
    wanted = options("1.28.15", overrides=changes)
    assert substituted(render(TABLES, wanted, template=True), {}) == render(TABLES, wanted)


@pytest.mark.parametrize(
    ("version", "api"),
    [
        ("1.14.10", "v1beta1"), ("1.15.0", "v1beta2"), ("1.22.17", "v1beta2"), ("1.23.0", "v1beta3"),
        ("1.23.0-rc.0", "v1beta3"), ("1.36.4", "v1beta3"), ("1.37.0", "v1beta4"), ("1.37.0-rc.0", "v1beta4"),
    ],
)  # fmt: skip
def test_api_version(version: str, api: str) -> None:
    assert api_version(TABLES, parse_version(version)) == api


@pytest.mark.parametrize(
    ("version", "cri", "socket"),
    [
        ("1.23.17", "docker", "/var/run/dockershim.sock"),
        ("1.24.0", "docker", "unix:///var/run/cri-dockerd.sock"),
        ("1.23.17", "containerd", "/run/containerd/containerd.sock"),
        ("1.24.0", "containerd", "unix:///run/containerd/containerd.sock"),
    ],
)
def test_socket(version: str, cri: str, socket: str) -> None:
    assert cri_socket(TABLES, parse_version(version), cri) == socket
    assert body(version, "InitConfiguration", cri=cri)["nodeRegistration"] == {"criSocket": socket}


@pytest.mark.parametrize("version", ["1.20.15", "1.21.0", "1.22.17", "1.25.0", "1.37.0"])
def test_dns_repository_is_always_written(version: str) -> None:
    suffix = "" if version == "1.20.15" else "/coredns"
    assert dns_image_repository(TABLES, parse_version(version), "sea.hub:5000") == f"sea.hub:5000{suffix}"
    assert body(version, "ClusterConfiguration")["dns"] == {"imageRepository": f"sea.hub:5000{suffix}"}


@pytest.mark.parametrize(
    ("version", "gates"),
    [
        ("1.15.11", "TTLAfterFinished=true"),
        ("1.16.0", "TTLAfterFinished=true,EphemeralContainers=true"),
        ("1.20.15", "TTLAfterFinished=true,EphemeralContainers=true"),
        ("1.22.17", "EphemeralContainers=true"),
        ("1.23.0", None),
        ("1.25.0", None),
    ],
)
def test_feature_gates(version: str, gates: str | None) -> None:
    cluster = body(version, "ClusterConfiguration")
    for component in ("apiServer", "controllerManager", "scheduler"):
        holder = cluster[component]
        assert isinstance(holder, dict)
        assert holder.get("extraArgs", {}).get("feature-gates") == gates


@pytest.mark.parametrize(
    ("version", "flag"), [("1.18.20", "experimental-cluster-signing-duration"), ("1.19.0", "cluster-signing-duration")]
)
def test_signing_duration(version: str, flag: str) -> None:
    manager = body(version, "ClusterConfiguration")["controllerManager"]
    assert isinstance(manager, dict)
    assert [name for name in manager["extraArgs"] if "signing" in name] == [flag]


def test_kubelet_and_kube_proxy() -> None:
    for version in all_versions(TABLES):
        kubelet = body(str(version), "KubeletConfiguration")
        assert kubelet["cgroupDriver"] == "systemd"
        assert ("failCgroupV1" in kubelet) == (version >= parse_version("1.31.0"))
        proxy = body(str(version), "KubeProxyConfiguration")
        assert proxy["mode"] == ("iptables" if version >= parse_version("1.37.0") else "ipvs")


def test_v1beta4_takes_lists_and_timeouts() -> None:
    changes = {"ClusterConfiguration": {"apiServer": {"timeoutForControlPlane": "5m0s", "extraArgs": {"v": 2}}}}
    docs = {str(doc["kind"]): doc for doc in documents(TABLES, options("1.37.0", overrides=changes))}
    server = docs["ClusterConfiguration"]["apiServer"]
    assert isinstance(server, dict)
    assert {"name": "v", "value": "2"} in server["extraArgs"]
    assert "timeoutForControlPlane" not in server
    assert docs["InitConfiguration"]["timeouts"] == {"controlPlaneComponentHealthCheck": "5m0s"}
    assert docs["JoinConfiguration"]["timeouts"] == {"discovery": "5m0s"}
    old = {str(doc["kind"]): doc for doc in documents(TABLES, options("1.36.4", overrides=changes))}
    assert old["JoinConfiguration"]["discovery"] == {"timeout": "5m0s"}
    assert "timeouts" not in old["InitConfiguration"]


def test_nodes_join_with_the_socket_they_were_initialised_with() -> None:
    """sealer takes JoinConfiguration's socket from this file, or dockershim's where the file has none."""
    for version in ("1.20.15", "1.24.17", "1.37.0"):
        for cri in ("docker", "containerd"):
            first = body(version, "InitConfiguration", cri=cri)["nodeRegistration"]
            assert body(version, "JoinConfiguration", cri=cri)["nodeRegistration"] == first


def test_join_configuration_can_be_left_out() -> None:
    kinds = [doc["kind"] for doc in documents(TABLES, options("1.28.15"))]
    assert kinds == [
        "InitConfiguration",
        "ClusterConfiguration",
        "KubeletConfiguration",
        "KubeProxyConfiguration",
        "JoinConfiguration",
    ]
    assert [doc["kind"] for doc in documents(TABLES, options("1.28.15", join=False))] == kinds[:-1]
    changes: dict[str, Any] = {"JoinConfiguration": {"nodeRegistration": {"taints": []}}}
    join = body("1.28.15", "JoinConfiguration", join=False, overrides=changes)
    assert join["nodeRegistration"] == {"criSocket": "unix:///run/containerd/containerd.sock", "taints": []}


def test_overrides_merge_replace_and_remove() -> None:
    changes: dict[str, Any] = {
        "ClusterConfiguration": {
            "networking": {"podSubnet": "10.244.0.0/16"},
            "apiServer": {
                "certSANs": ["a"],
                "extraArgs": {"audit-log-maxage": 30, "profiling": False, "audit-log-path": None},
            },
            "etcd": None,
        },
        "KubeletConfiguration": {"maxPods": 250},
    }
    cluster = body("1.28.15", "ClusterConfiguration", overrides=changes)
    assert cluster["networking"] == {"podSubnet": "10.244.0.0/16", "serviceSubnet": "10.96.0.0/22"}
    assert "etcd" not in cluster
    server = cluster["apiServer"]
    assert isinstance(server, dict)
    assert server["certSANs"] == ["a"]
    assert server["extraArgs"]["audit-log-maxage"] == "30"
    assert server["extraArgs"]["profiling"] == "false"
    assert "audit-log-path" not in server["extraArgs"]
    assert body("1.28.15", "KubeletConfiguration", overrides=changes)["maxPods"] == 250
    assert "etcd" in body("1.28.15", "ClusterConfiguration"), "overrides leave the tables alone"


def test_arguments_as_a_list() -> None:
    changes = {"ClusterConfiguration": {"scheduler": {"extraArgs": [{"name": "v", "value": "4"}]}}}
    old = body("1.22.17", "ClusterConfiguration", overrides=changes)["scheduler"]
    assert isinstance(old, dict)
    assert old["extraArgs"] == {"feature-gates": "EphemeralContainers=true", "v": "4"}
    new = body("1.37.0", "ClusterConfiguration", overrides=changes)["scheduler"]
    assert isinstance(new, dict)
    assert new["extraArgs"] == [{"name": "v", "value": "4"}]
    twice = {"ClusterConfiguration": {"scheduler": {"extraArgs": [{"name": "v", "value": "4"}] * 2}}}
    assert body("1.37.0", "ClusterConfiguration", overrides=twice)["scheduler"]
    with pytest.raises(UserError) as caught:
        documents(TABLES, options("1.22.17", overrides=twice), HERE)
    assert (caught.value.code, caught.value.at) == ("B604", HERE)


@pytest.mark.parametrize(
    ("version", "path", "value", "hint"),
    [
        ("1.28.15", "ClusterConfiguration.kubernetesversion", "v1", "did you mean 'kubernetesVersion'?"),
        ("1.23.17", "ClusterConfiguration.dns.type", "CoreDNS", "<v1beta3"),
        ("1.30.0", "KubeletConfiguration.failCgroupV1", False, ">=1.31"),
        ("1.26.0", "KubeProxyConfiguration.udpIdleTimeout", "0s", "<1.26"),
        ("1.20.15", "InitConfiguration.skipPhases", [], ">=v1beta3"),
        ("1.36.4", "InitConfiguration.timeouts", {}, ">=v1beta4"),
        ("1.37.0", "InitConfiguration.timeouts.discover", "1m", "did you mean 'discovery'?"),
        ("1.28.15", "ClusterConfiguration.apiServer", "x", "its fields are certSANs, extraArgs"),
        ("1.28.15", "ClusterConfiguration.dns.{x}", "y", "DNS has imageRepository, imageTag"),
        ("1.28.15", "KubeletConfiguration.zzz", 1, "KubeletConfiguration has address"),
    ],
)
def test_fields_a_release_does_not_know(version: str, path: str, value: object, hint: str) -> None:
    overrides: Any = value
    for step in reversed(path.split(".")):
        overrides = {step: overrides}
    with pytest.raises(BuildErrors) as caught:
        documents(TABLES, options(version, overrides=overrides), HERE)
    (error,) = caught.value.errors
    assert error.code == "B604"
    assert path in error.message
    assert hint in error.hint
    assert error.at == HERE


@pytest.mark.parametrize("kind", ["ClusterConfig", "Deployment"])
def test_kinds_that_do_not_exist(kind: str) -> None:
    with pytest.raises(UserError) as caught:
        documents(TABLES, options("1.28.15", overrides={kind: {}}), HERE)
    assert caught.value.code == "B604"
    assert "ClusterConfiguration" in caught.value.hint


@pytest.mark.parametrize("fixed", ["apiVersion", "kind"])
def test_the_api_is_chosen_by_its_option_alone(fixed: str) -> None:
    changes = {"ClusterConfiguration": {fixed: "kubeadm.k8s.io/v1beta1"}}
    with pytest.raises(UserError) as caught:
        documents(TABLES, options("1.28.15", overrides=changes), HERE)
    assert (caught.value.code, caught.value.hint) == ("B604", "set api_version instead")


def test_flags_and_gates_a_release_does_not_know() -> None:
    changes = {
        "ClusterConfiguration": {
            "controllerManager": {"extraArgs": {"experimental-cluster-signing-duration": "1h"}},
            "apiServer": {"extraArgs": {"feature-gates": "TTLAfterFinished=true,SomeGate=true"}},
        },
        "KubeletConfiguration": {"featureGates": {"EphemeralContainers": True}},
        "InitConfiguration": {"nodeRegistration": {"kubeletExtraArgs": {"pod-infra-container-image": "x"}}},
    }
    with pytest.raises(BuildErrors) as caught:
        documents(TABLES, options("1.37.0", overrides=changes), HERE)
    assert sorted(codes(caught)) == ["B615", "B615", "B616", "B616"]
    assert all(error.hint and error.at == HERE for error in caught.value.errors)
    assert documents(TABLES, options("1.24.17", overrides=changes))
    with pytest.raises(BuildErrors) as caught:
        documents(TABLES, options("1.25.0", overrides=changes))
    assert sorted(codes(caught)) == ["B615", "B616"]


@pytest.mark.parametrize(
    ("version", "api"),
    [("1.37.0", "v1beta3"), ("1.28.15", "v1beta2"), ("1.22.0", "v1beta1"), ("1.30.0", "v1beta4"), ("1.30.0", "v9")],
)
def test_an_api_that_kubeadm_refuses(version: str, api: str) -> None:
    with pytest.raises(UserError) as caught:
        render(TABLES, options(version, api_version=api), at=HERE)
    assert caught.value.code == "B614"
    assert "it reads" in caught.value.hint


@pytest.mark.parametrize(("version", "api"), [("1.31.0", "v1beta4"), ("1.20.15", "v1beta1"), ("1.22.17", "v1beta3")])
def test_an_api_that_kubeadm_accepts(version: str, api: str) -> None:
    assert f"apiVersion: kubeadm.k8s.io/{api}\n" in render(TABLES, options(version, api_version=api))


@pytest.mark.parametrize("repository", ["", "https://sea.hub:5000", 'x"}}', "a b", "sea.hub:5000/", "sea.hub:port"])
def test_image_repositories_that_are_none(repository: str) -> None:
    with pytest.raises(UserError) as caught:
        render(TABLES, options("1.28.15", image_repository=repository), at=HERE)
    assert (caught.value.code, caught.value.at) == ("B607", HERE)


def test_unknown_release_and_runtime() -> None:
    with pytest.raises(UserError) as caught:
        documents(TABLES, options("1.23.99"))
    assert caught.value.code == "B601"
    with pytest.raises(UserError) as caught:
        documents(TABLES, options("1.23.17", "dokcer"))
    assert (caught.value.code, caught.value.hint) == ("B609", "did you mean 'docker'?")


def refusals(wanted: KubeadmOptions) -> set[str]:
    try:
        render(TABLES, wanted)
    except BuildErrors as caught:
        return {error.code for error in caught.errors}
    except BuildError as caught:
        return {caught.code}
    return set()


FIELDS = [*sorted(known_fields(TABLES, "KubeletConfiguration", parse_version("1.37.0"))), "apiServer", "dns"]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(all_versions(TABLES)),
    st.sampled_from(["docker", "containerd"]),
    st.dictionaries(
        st.sampled_from(KINDS),
        st.dictionaries(
            st.sampled_from(FIELDS),
            st.none() | st.integers() | st.text("{}ab: '\"\n", max_size=6) | st.lists(st.booleans(), max_size=2),
            max_size=3,
        ),
        max_size=2,
    ),
)  # fmt: skip
def test_overrides_are_kept_or_refused(version: object, cri: str, changes: dict[str, dict[str, object]]) -> None:
    wanted = options(str(version), cri, overrides=changes)
    refused = refusals(wanted)
    assert refused <= {"B604"}
    if refused:
        return
    plain = render(TABLES, wanted)
    assert substituted(render(TABLES, wanted, template=True), {}) == plain
    docs = {doc["kind"]: doc for doc in yaml.load_all(plain, "kubeadm.yml") if isinstance(doc, dict)}
    for kind, fields in changes.items():
        for field, value in fields.items():
            assert docs[kind].get(field) == value


def test_a_range_of_api_versions_reads_as_one() -> None:
    assert parse_range(">=v1beta2,<v1beta4").contains(parse_version("v1beta3"))
