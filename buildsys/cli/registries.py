"""How registries are reached, from the options of a command and the environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from buildsys.errors import UsageError
from buildsys.model.access import Access

if TYPE_CHECKING:
    from buildsys.cli.options import Parsed


def access(options: Parsed, attempts: int, scale: float) -> Access:
    """Return how registries are reached. Raises `UsageError` B011 for options that cannot be."""
    from buildsys.adapters.docker_config import default_auth_files
    from buildsys.adapters.registry_access import default_cert_dirs, parse_mirror

    mirrors = []
    for text in options.list("registry_mirror"):
        try:
            mirrors.append(parse_mirror(text))
        except ValueError as error:
            hint = "write --registry_mirror=docker.io=https://mirror.example/docker.io"
            raise UsageError("B011", f"--registry_mirror: {error}", hint=hint) from error
    named = {name: options.text(name) for name in ("registry_auth_file", "registry_ca", "registry_client_cert")}
    named["registry_client_key"] = options.text("registry_client_key")
    for name, path in named.items():
        if path and not os.path.exists(path):
            raise UsageError("B011", f"--{name}: there is no {path}", hint="name a file that is there")
    auth_file = named["registry_auth_file"]
    return Access(
        auth_files=default_auth_files(os.environ, auth_file and os.path.abspath(auth_file)),
        auth_files_must_exist=bool(auth_file),
        ca=named["registry_ca"],
        client_cert=named["registry_client_cert"],
        client_key=named["registry_client_key"],
        cert_dirs=default_cert_dirs(os.environ),
        insecure=frozenset(options.list("registry_insecure")),
        mirrors=tuple(mirrors),
        attempts=attempts,
        timeout_scale=scale,
    )
