"""Addresses of registries and mirrors, and their certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildsys.adapters.registry_access import (
    certificates,
    default_cert_dirs,
    endpoints,
    origin,
    parse_mirror,
)
from buildsys.adapters.registry_fault import RegistryFault
from buildsys.model.access import Access

if TYPE_CHECKING:
    from pathlib import Path


def urls(access: Access, host: str, repository: str = "library/nginx") -> list[str]:
    return [place.url(repository, "manifests/1.0") for place in endpoints(access, host)]


def test_a_registry_is_asked_by_https() -> None:
    assert urls(Access(), "quay.io", "a/b") == ["https://quay.io/v2/a/b/manifests/1.0"]
    assert urls(Access(), "localhost:5000") == ["https://localhost:5000/v2/library/nginx/manifests/1.0"]
    plain = Access(insecure=frozenset({"localhost:5000"}))
    assert urls(plain, "localhost:5000") == ["http://localhost:5000/v2/library/nginx/manifests/1.0"]
    assert urls(plain, "localhost")[0].startswith("https:")


def test_docker_hub_is_asked_elsewhere() -> None:
    (place,) = endpoints(Access(), "docker.io")
    assert place.url("library/nginx", "manifests/1.0") == "https://registry-1.docker.io/v2/library/nginx/manifests/1.0"
    assert place.host == "docker.io", "its login is stored by its name"
    assert place.scope("library/nginx", "pull") == "repository:library/nginx:pull"


@pytest.mark.parametrize(
    ("mirror", "url"),
    [
        ("https://m.test", "https://m.test/v2/library/nginx/manifests/1.0"),
        ("http://m.test:5000/", "http://m.test:5000/v2/library/nginx/manifests/1.0"),
        ("https://m.test/hub/cache", "https://m.test/v2/hub/cache/library/nginx/manifests/1.0"),
        ("https://m.test/v2", "https://m.test/v2/library/nginx/manifests/1.0"),
        ("https://m.test/v2/hub/", "https://m.test/v2/hub/library/nginx/manifests/1.0"),
        ("https://m.test/api/docker/hub/v2", "https://m.test/api/docker/hub/v2/library/nginx/manifests/1.0"),
    ],
)
def test_mirrors_come_first(mirror: str, url: str) -> None:
    access = Access(mirrors=(parse_mirror(f"docker.io={mirror}"), ("quay.io", "https://q.test")))
    assert urls(access, "docker.io") == [url, "https://registry-1.docker.io/v2/library/nginx/manifests/1.0"]


def test_the_scope_of_a_mirror_has_its_prefix() -> None:
    place = endpoints(Access(mirrors=(("docker.io", "https://m.test/hub"),)), "docker.io")[0]
    assert place.scope("library/nginx", "pull") == "repository:hub/library/nginx:pull"
    assert place.host == "m.test"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("quay.io", "is not HOST=URL"),
        ("=https://m.test", "is not HOST=URL"),
        ("quay.io=m.test:5000", "is no http or https address"),
        ("quay.io=file:///m", "is no http or https address"),
        ("quay.io=https://bob:secret@m.test", "'m.test': the address of a mirror has no login"),
        ("quay.io=https://m.test/?a=b", "no login, query or fragment"),
    ],
)
def test_a_mirror_that_is_none(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_mirror(text)
    assert "secret" not in str(caught.value)


def test_one_origin_has_one_spelling() -> None:
    assert origin("https://M.test/a") == origin("https://m.test:443/b?c") == "https://m.test:443"
    assert len({origin(u) for u in ("https://m.test", "http://m.test", "https://m.test:444", "https://n.test")}) == 4


def test_the_first_folder_of_a_host_has_its_certificates(tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("a", "b", "c")]
    for place in places[1:]:
        (place / "q.io:5000").mkdir(parents=True)
        for name in ("ca.crt", "more.crt", "client.cert", "client.key", "readme"):
            (place / "q.io:5000" / name).touch()
    dirs = tuple(map(str, places))
    there = places[1] / "q.io:5000"
    own = (str(there / "ca.crt"), str(there / "more.crt")), (str(there / "client.cert"), str(there / "client.key"))
    assert certificates(Access(cert_dirs=dirs), "q.io:5000", known=False) == own
    assert certificates(Access(cert_dirs=dirs), "q.io", known=True) == ((), None)
    assert certificates(Access(cert_dirs=dirs), "../b/q.io:5000", known=True) == ((), None)
    asked = Access(cert_dirs=dirs, ca="/ca", client_cert="/c")
    assert certificates(asked, "q.io:5000", known=True) == (("/ca", *own[0]), own[1])
    assert certificates(asked, "q.io", known=True) == (("/ca",), ("/c", "/c"))
    assert certificates(asked, "q.io", known=False) == (("/ca",), None), "a stranger is shown nothing"
    (there / "client.key").unlink()
    with pytest.raises(RegistryFault, match=r"client\.key is missing") as caught:
        certificates(asked, "q.io:5000", known=True)
    assert caught.value.kind == "tls"


def test_where_podman_and_docker_look() -> None:
    assert default_cert_dirs({"HOME": "/h"}) == (
        "/h/.config/containers/certs.d",
        "/etc/containers/certs.d",
        "/etc/docker/certs.d",
    )
