"""References as docker reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildsys.oci.reference import Reference, ReferenceFault

D = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "host", "path", "tag", "digest"),
    [
        ("nginx", "docker.io", "library/nginx", "latest", ""),
        ("nginx:1.25", "docker.io", "library/nginx", "1.25", ""),
        ("library/nginx", "docker.io", "library/nginx", "latest", ""),
        ("calico/node:v3.22.1", "docker.io", "calico/node", "v3.22.1", ""),
        ("docker.io/nginx", "docker.io", "library/nginx", "latest", ""),
        ("index.docker.io/nginx", "docker.io", "library/nginx", "latest", ""),
        ("index.docker.io/calico/node", "docker.io", "calico/node", "latest", ""),
        ("registry.k8s.io/pause:3.6", "registry.k8s.io", "pause", "3.6", ""),
        ("registry.k8s.io/coredns/coredns:v1.8.6", "registry.k8s.io", "coredns/coredns", "v1.8.6", ""),
        ("quay.io/tigera/operator@" + D, "quay.io", "tigera/operator", "", D),
        ("quay.io/tigera/operator:v1@" + D, "quay.io", "tigera/operator", "v1", D),
        ("localhost/x", "localhost", "x", "latest", ""),
        ("localhost:5000/x:y", "localhost:5000", "x", "y", ""),
        ("sea.hub:5000/kube-proxy:v1.23.17", "sea.hub:5000", "kube-proxy", "v1.23.17", ""),
        ("127.0.0.1:5000/a/b/c", "127.0.0.1:5000", "a/b/c", "latest", ""),
        ("[::1]:5000/x", "[::1]:5000", "x", "latest", ""),
        ("MyHost/x", "MyHost", "x", "latest", ""),
        ("a.b/x", "a.b", "x", "latest", ""),
        ("a__b/c-d.e_f", "docker.io", "a__b/c-d.e_f", "latest", ""),
        ("a---b", "docker.io", "library/a---b", "latest", ""),
        ("x:_tag", "docker.io", "library/x", "_tag", ""),
        ("x:" + "t" * 128, "docker.io", "library/x", "t" * 128, ""),
        ("x@sha512:" + "0" * 128, "docker.io", "library/x", "", "sha512:" + "0" * 128),
        ("a" * 63, "docker.io", "library/" + "a" * 63, "latest", ""),
    ],
)
def test_a_reference_is_normalised(text: str, host: str, path: str, tag: str, digest: str) -> None:
    found = Reference.parse(text)
    assert found == (host, path, tag, digest)
    assert Reference.parse(str(found)) == found
    assert Reference.parse(found.familiar) == found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "malformed"),
        ("a" * 64, "image id"),
        ("Nginx", "capitals"),
        ("docker.io/Nginx", "capitals"),
        ("quay.io/Tigera/operator", "capitals"),
        ("nginx:", "tag ''"),
        ("nginx:a b", "tag 'a b'"),
        ("nginx:-x", "tag '-x'"),
        ("nginx:" + "t" * 129, "malformed tag"),
        ("nginx:ü", "tag"),
        ("nginx:1:2", "tag '1:2'"),
        ("nginx@", "digest ''"),
        ("nginx@sha256:abc", "malformed digest"),
        ("nginx@sha256:" + "a" * 63, "none of sha256 with 64"),
        ("nginx@sha256:" + "A" * 64, "malformed digest"),
        ("nginx@md5:" + "a" * 32, "none of sha256 with 64"),
        ("nginx@" + D + "@" + D, "malformed digest"),
        ("http://nginx", "malformed"),
        ("https://quay.io/x", "malformed"),
        ("quay.io//x", "malformed"),
        ("quay.io/x/", "malformed"),
        ("/x", "malformed"),
        ("a..b", "malformed"),
        ("a_-b", "malformed"),
        ("-x", "malformed"),
        (" nginx", "malformed"),
        ("nginx\n", "malformed"),
        ("host-.com/x", "host"),
        ("host:port/x", "host"),
        ("a.b/" + "x" * 252, "longer than 255"),
        ("名/x", "malformed"),
    ],
)
def test_what_is_no_reference_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ReferenceFault) as caught:
        Reference.parse(text)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "familiar"),
    [
        ("docker.io/library/registry:2.7.1", "registry:2.7.1"),
        ("docker.io/calico/node:v3", "calico/node:v3"),
        ("quay.io/library/x:1", "quay.io/library/x:1"),
        ("x@" + D, "x@" + D),
    ],
)
def test_the_familiar_form_is_short(text: str, familiar: str) -> None:
    assert Reference.parse(text).familiar == familiar


def test_the_name_is_host_and_path() -> None:
    assert Reference.parse("nginx:1").name == "docker.io/library/nginx"


@given(st.text("abAB01.-_/:@[]%ü \n", max_size=30))
def test_any_text_is_a_stable_reference_or_a_fault(text: str) -> None:
    try:
        found = Reference.parse(text)
    except ReferenceFault:
        return
    assert Reference.parse(str(found)) == found
