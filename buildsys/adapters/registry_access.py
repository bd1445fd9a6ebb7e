"""How this machine reaches image registries: addresses, mirrors, certificates, patience. Values and a few look-ups."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from buildsys.adapters.docker_config import DOCKER_HUB
from buildsys.adapters.registry_fault import RegistryFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildsys.model.access import Access

_API_HOSTS = {DOCKER_HUB: "registry-1.docker.io"}
"""Registries whose interface is at another host than their name says."""


class Endpoint(NamedTuple):
    """One place that has the repositories of a registry: the registry itself or a mirror.

    `root` is the address of the interface, up to and with `/v2`; `prefix` is empty, or begins all names there and ends
    with a slash.
    """

    host: str
    root: str
    prefix: str = ""

    def url(self, repository: str, tail: str) -> str:
        """Return the address of something in a repository."""
        return f"{self.root}/{self.prefix}{repository}/{tail}"

    def scope(self, repository: str, actions: str) -> str:
        """Return what a token must allow (distribution project, "Token scope documentation")."""
        return f"repository:{self.prefix}{repository}:{actions}"

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return origin(self.root)


class Certificates(NamedTuple):
    """Files of certificates to trust beside the system's; `client` is a pair of certificate and key."""

    authorities: tuple[str, ...]
    client: tuple[str, str] | None


def parse_mirror(text: str) -> tuple[str, str]:
    """Parse `HOST=URL`. Raises `ValueError` with the reason."""
    host, equals, url = text.partition("=")
    if not equals or not host:
        raise ValueError(f"'{text}' is not HOST=URL")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"'{url}' is no http or https address")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"'{parts.hostname}': the address of a mirror has no login, query or fragment")
    return host, url


def endpoints(access: Access, host: str) -> tuple[Endpoint, ...]:
    """Return where to ask for images of `host`, the first to be asked first; the host itself is the last."""
    mirrors = [_mirror(url) for name, url in access.mirrors if name == host]
    return (*mirrors, own_endpoint(access, host))


def own_endpoint(access: Access, host: str) -> Endpoint:
    """Return the registry itself."""
    scheme = "http" if host in access.insecure else "https"
    return Endpoint(host, f"{scheme}://{_API_HOSTS.get(host, host)}/v2")


def _mirror(url: str) -> Endpoint:
    """Return the endpoint of a mirror's address.

    `/a/b` means that all names there begin with `a/b/` (podman's mirrors, and those of Harbor); where the path has a
    part `v2`, it is that of the interface itself (containerd's `override_path`, and Artifactory).
    """
    parts = urlsplit(url)
    before, found, after = f"{parts.path.rstrip('/')}/".partition("/v2/")
    if not found:
        before, after = "", before.lstrip("/")
    root = f"{parts.scheme}://{parts.netloc}{before}/v2"
    return Endpoint(parts.netloc, root, after)


def origin(url: str) -> str:
    """Return scheme, host and port of an address, in one spelling (RFC 6454)."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return f"{parts.scheme}://{parts.hostname or ''}:{port}"


def default_cert_dirs(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the folders where podman and docker look for certificates (containers-certs.d(5))."""
    config = environ.get("XDG_CONFIG_HOME") or environ.get("HOME", "") + "/.config"
    return (f"{config}/containers/certs.d", "/etc/containers/certs.d", "/etc/docker/certs.d")


def certificates(access: Access, host: str, *, known: bool) -> Certificates:
    """Return the certificates for a host; `known` hosts are registries and mirrors that the user named.

    The first folder for the host counts (containers-certs.d(5)). Raises `RegistryFault` for a certificate of ours
    without a key.
    """
    authorities = [access.ca] if access.ca else []
    client = None
    for folder in access.cert_dirs:
        place = os.path.join(folder, host)
        if not re.fullmatch(r"[A-Za-z0-9\[][A-Za-z0-9.\-:\[\]]*", host) or not os.path.isdir(place):
            continue
        names = sorted(os.listdir(place))
        authorities += [os.path.join(place, name) for name in names if name.endswith(".crt")]
        for name in names:
            if name.endswith(".cert") and client is None:
                client = os.path.join(place, name), os.path.join(place, name.removesuffix(".cert") + ".key")
                if not os.path.exists(client[1]):
                    raise RegistryFault(f"{host}: {client[0]} has no key beside it: {client[1]} is missing", "tls")
        break
    if client is None and known and access.client_cert:
        client = access.client_cert, access.client_key or access.client_cert
    return Certificates(tuple(authorities), client)
