"""Logins of registries, from the files and credential helpers of docker and podman.

Sources: containers-auth.json(5); docker CLI documentation, "docker login", "Credential stores", "Credential helper
protocol"; github.com/docker/docker-credential-helpers.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from buildsys.adapters.registry_fault import RegistryFault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DOCKER_HUB = "docker.io"
_HUB_NAMES = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})
_HUB_KEY = "https://index.docker.io/v1/"
"""What docker stores the login of Docker Hub as, and asks its helpers for."""

_TOKEN_USER = "<token>"
"""The user name by which a helper says that its secret is an identity token."""

_HELPER_NAME = re.compile(r"[A-Za-z0-9_.+-]+")
HELPER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are to a registry; `source` says where that comes from. Secrets are not shown when it is printed.

    With an `identity_token` (OAuth2 refresh token) or a `registry_token` (bearer token) there is no password.
    """

    source: str
    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617); empty when there is no password."""
        if not self.password:
            return ""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def __str__(self) -> str:
        who = f"'{self.user}' " if self.user else ""
        return f"the login {who}of {self.source}"


class Found(NamedTuple):
    """The login for a registry, if there is one, and why a place that should have it could not be asked."""

    login: Login | None
    remarks: tuple[str, ...]


def default_auth_files(environ: Mapping[str, str], explicit: str = "") -> tuple[str, ...]:
    """Return the files that hold logins, the first to be asked first: podman's, then docker's.

    `explicit`, or else `REGISTRY_AUTH_FILE`, replaces all others, as in podman and skopeo.
    """
    only = explicit or environ.get("REGISTRY_AUTH_FILE", "")
    if only:
        return (only,)
    home = environ.get("HOME", "")
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    config = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    docker = environ.get("DOCKER_CONFIG") or f"{home}/.docker"
    return (
        f"{runtime}/containers/auth.json" if runtime else f"/run/containers/{os.getuid()}/auth.json",
        f"{config}/containers/auth.json",
        f"{docker}/config.json",
    )


class Logins:
    """The logins of `files`, read when they are first asked for.

    In a file a helper for the registry counts before the store for all, and that before what the file itself has. Of
    several files the first that has a login counts. A file that `must_exist` is no default: that it is missing is a
    fault.
    """

    def __init__(self, files: Sequence[str], *, must_exist: bool = False) -> None:
        self.files = tuple(files)
        self._must_exist = must_exist
        self._lock = threading.Lock()
        self._contents: dict[str, dict[str, Any]] = {}
        self._found: dict[tuple[str, str], Found] = {}

    def find(self, host: str, repository: str = "") -> Found:
        """Return the login for `repository` of `host`. Raises `RegistryFault` for a file that is no such file."""
        with self._lock:
            key = (host, repository)
            if key not in self._found:
                self._found[key] = self._search(host, repository)
            return self._found[key]

    def _search(self, host: str, repository: str) -> Found:
        remarks: list[str] = []
        for path in self.files:
            content = self._read(path)
            helper = _helper(content, host)
            login = None
            if helper:
                try:
                    login = _ask(helper, host, path)
                except _HelperFailed as failure:
                    remarks.append(str(failure))
            login = login or _stored(content, host, repository, path)
            if login is not None:
                return Found(login, tuple(remarks))
        return Found(None, tuple(remarks))

    def _read(self, path: str) -> dict[str, Any]:
        if path not in self._contents:
            self._contents[path] = self._load(path)
        return self._contents[path]

    def _load(self, path: str) -> dict[str, Any]:
        try:
            with open(path, "rb") as stream:
                content = json.load(stream)
        except OSError as error:
            if isinstance(error, FileNotFoundError | NotADirectoryError) and not self._must_exist:
                return {}
            raise RegistryFault(f"the file of logins {path} cannot be read: {error.strerror}", "login") from error
        except ValueError as error:
            raise RegistryFault(f"the file of logins {path} is no JSON: {error}", "login") from error
        if not isinstance(content, dict):
            raise RegistryFault(f"the file of logins {path} is no JSON object", "login")
        return content


class _HelperFailed(Exception):
    """A helper that is not there, or does not answer as it should; the text says why."""


def _mapping(content: dict[str, Any], name: str) -> dict[str, Any]:
    value = content.get(name)
    return value if isinstance(value, dict) else {}


def _helper(content: dict[str, Any], host: str) -> str:
    """Return the name of the helper that has the login of a registry; empty when there is none."""
    for key, name in _mapping(content, "credHelpers").items():
        if _host_of(key) == _host_of(host) and isinstance(name, str):
            return name  # an empty name says: no helper for this one
    store = content.get("credsStore")
    return store if isinstance(store, str) else ""


def _ask(name: str, host: str, path: str) -> Login | None:
    """Have `docker-credential-NAME` tell the login of a registry; None when it has none."""
    import subprocess

    program = f"docker-credential-{name}"
    if not _HELPER_NAME.fullmatch(name):
        raise _HelperFailed(f"{path} names a malformed credential helper, '{name}'")
    server = _HUB_KEY if host == DOCKER_HUB else host
    try:
        done = subprocess.run(
            [program, "get"], input=server, capture_output=True, text=True, check=False, timeout=HELPER_SECONDS
        )
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "its answer is no text"
        raise _HelperFailed(f"{program}, which {path} names, cannot be run: {why}") from error
    except subprocess.TimeoutExpired as error:
        raise _HelperFailed(f"{program}, which {path} names, has not answered in {HELPER_SECONDS:.0f} s") from error
    if done.returncode:
        said = (done.stdout.strip() or done.stderr.strip()).splitlines()
        if said and "credentials not found" in said[0]:
            return None
        raise _HelperFailed(f"{program}, which {path} names, failed: {said[0] if said else f'exit {done.returncode}'}")
    try:
        answer = json.loads(done.stdout)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError) as error:
        raise _HelperFailed(f"{program}, which {path} names, has not answered with a login") from error
    source = f"{program} (named in {path})"
    if user == _TOKEN_USER:
        return Login(source, identity_token=secret)
    return Login(source, user, secret)


def _stored(content: dict[str, Any], host: str, repository: str, path: str) -> Login | None:
    """Return the login that a file itself has: the most special key that leads to the repository counts."""
    entries = {key: value for key, value in _mapping(content, "auths").items() if isinstance(value, dict) and value}
    for name in _names(host, repository):
        if name in entries:
            return _decode(entries[name], name, path)
    for key, entry in entries.items():
        if _host_of(key) == _host_of(host) and ("/" not in key or _is_api(key)):
            return _decode(entry, key, path)
    return None


def _names(host: str, repository: str) -> Iterator[str]:
    """Yield `host/a/b`, `host/a`, `host`."""
    name = f"{host}/{repository}" if repository else host
    while name:
        yield name
        name = name.rpartition("/")[0]


def _is_api(key: str) -> bool:
    """Tell whether a key is an address, as docker writes them, not a namespace."""
    return "://" in key or re.search(r"/v[12]/?$", key) is not None


def _host_of(key: str) -> str:
    host = re.sub(r"^https?://", "", key).partition("/")[0]
    return DOCKER_HUB if host in _HUB_NAMES else host


def _decode(entry: dict[str, Any], key: str, path: str) -> Login | None:
    fields = {name: value for name, value in entry.items() if isinstance(value, str) and value}
    if "identitytoken" in fields:
        return Login(path, identity_token=fields["identitytoken"])
    if "registrytoken" in fields:
        return Login(path, registry_token=fields["registrytoken"])
    if "auth" in fields:
        try:
            text = base64.b64decode(fields["auth"], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise RegistryFault(f"{path}: the login of '{key}' is malformed", "login") from error
        user, colon, password = text.partition(":")
        if not colon:
            raise RegistryFault(f"{path}: the login of '{key}' is malformed", "login")
        password = password.strip("\0")
        return Login(path, user, password) if password else None
    if "username" in fields and "password" in fields:
        return Login(path, fields["username"], fields["password"])
    return None
