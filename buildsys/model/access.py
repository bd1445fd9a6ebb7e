"""How this machine reaches image registries: files with logins, mirrors, certificates, patience."""

from __future__ import annotations

from typing import NamedTuple


class Access(NamedTuple):
    """How registries are reached. A host is `name` or `name:port`, as image references have it.

    None of it can change the bytes, which have digests.
    """

    auth_files: tuple[str, ...] = ()
    """Files with logins, the first to be asked first."""
    auth_files_must_exist: bool = False
    """True where the user named the file."""
    ca: str = ""
    """A file or folder of certificates to trust, beside the system's."""
    client_cert: str = ""
    """A certificate to show to registries and their mirrors (PEM); `client_key`, if that is not in the same file."""
    client_key: str = ""
    cert_dirs: tuple[str, ...] = ()
    """Folders with a folder for each host, as docker and podman have them: `HOST:PORT/{*.crt,*.cert,*.key}`."""
    insecure: frozenset[str] = frozenset()
    """Hosts that are spoken to by plain http; no host is otherwise, not even this one."""
    mirrors: tuple[tuple[str, str], ...] = ()
    """Pairs of a host and the address of a mirror, the first to be asked first; the host itself is asked last."""
    attempts: int = 5
    backoff_seconds: float = 0.5
    timeout_scale: float = 1.0
    at_once: int = 6
    """Requests to one host at a time."""
