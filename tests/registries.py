"""Real registries on loopback, as long as a test run needs them; needs docker-registry and openssl."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import ssl
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.scripted_http import Reply, Request, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER, PASSWORD = "tester", "s3cret"
_HTPASSWD = "tester:$2b$04$n2f7eHq/rEPe2ubhqhSklO348X0oCUmdgzlAr.bPShwfLt/BdGhRW\n"
"""The login above, hashed by bcrypt with the least effort, which is the one kind that docker-registry takes."""

SERVICE = "test-registry"


class Registry(NamedTuple):
    """A registry that runs. `host` is its name in references, `data` its storage, `folder` holds its certificates."""

    host: str
    data: Path
    folder: Path
    realm: str = ""

    @property
    def ca(self) -> Path:
        """The certificate that signed the registry's."""
        return self.folder / "ca.crt"

    @property
    def cert_dir(self) -> Path:
        """A folder of certificates as podman and docker have them."""
        return self.folder / "certs.d"


@contextmanager
def registry(
    folder: Path,
    *,
    data: Path | None = None,
    auth: str = "",
    tls: bool = False,
    client_certificates: bool = False,
    readonly: bool = False,
    remote: str = "",
) -> Iterator[Registry]:
    """Run a docker-registry over `data`, which may be shared; `auth` is empty, `htpasswd` or `token`.

    `remote` makes it a pull-through cache of another registry.
    """
    folder.mkdir(parents=True, exist_ok=True)
    root = data or folder / "data"
    port = free_port()
    host = f"127.0.0.1:{port}"
    with ExitStack() as stack:
        realm = stack.enter_context(token_service(folder)) if auth == "token" else ""
        config: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "info"},
            "storage": {
                "filesystem": {"rootdirectory": str(root)},
                "delete": {"enabled": True},
                "maintenance": {"uploadpurging": {"enabled": False}, "readonly": {"enabled": readonly}},
            },
            "http": {"addr": host, "secret": "stable", **(_tls(folder, host, client_certificates) if tls else {})},
        }
        if auth == "htpasswd":
            (folder / "htpasswd").write_text(_HTPASSWD)
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
        if auth == "token":
            certificate = str(folder / "token.crt")
            token = {"realm": realm, "service": SERVICE, "issuer": "test-issuer", "rootcertbundle": certificate}
            config["auth"] = {"token": token}
        if remote:
            config["proxy"] = {"remoteurl": remote}
        (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
        stack.enter_context(_running(folder, host))
        yield Registry(host, root, folder, realm)


@contextmanager
def _running(folder: Path, host: str) -> Iterator[None]:
    environment = {"PATH": os.environ["PATH"]}  # no proxies of the machine, no tracing
    with (folder / "registry.log").open("wb") as log:
        command = ["docker-registry", "serve", str(folder / "config.yml")]
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command],  # a test run that is killed leaves nothing behind
            stdout=log, stderr=log, env=environment,
        )  # fmt: skip
        try:
            name, _, port = host.partition(":")
            deadline = time.monotonic() + 30
            while not _listens(name, int(port)):
                text = (folder / "registry.log").read_text()
                assert process.poll() is None, f"docker-registry has ended: {text}"
                assert time.monotonic() < deadline, f"docker-registry does not answer: {text}"
                time.sleep(0.02)
            yield
        finally:
            process.terminate()
            process.wait(10)


def _listens(name: str, port: int) -> bool:
    try:
        connection = http.client.HTTPConnection(name, port, timeout=1)
        connection.request("GET", "/")
        connection.getresponse()
        connection.close()
    except http.client.HTTPException:
        return True  # it speaks TLS
    except OSError:
        return False
    return True


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tls(folder: Path, host: str, client_certificates: bool) -> dict[str, object]:
    """Make an authority and what it signs; return that part of the configuration."""
    make_authority(folder)
    sign(folder, "server", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    place = folder / "certs.d" / host
    place.mkdir(parents=True)
    (place / "ca.crt").write_bytes((folder / "ca.crt").read_bytes())
    tls: dict[str, object] = {"certificate": str(folder / "server.crt"), "key": str(folder / "server.key")}
    if client_certificates:
        sign(folder, "client", "extendedKeyUsage=clientAuth")
        (place / "client.cert").write_bytes((folder / "client.crt").read_bytes())
        (place / "client.key").write_bytes((folder / "client.key").read_bytes())
        tls["clientcas"] = [str(folder / "ca.crt")]
    return {"tls": tls}


def make_authority(folder: Path) -> None:
    """Make `ca.crt` and `ca.key`."""
    _openssl(
        folder, "req", "-x509", *_NEW_KEY, "-days", "30", "-subj", "/CN=test ca", "-keyout", "ca.key", "-out", "ca.crt"
    )


def sign(folder: Path, name: str, extension: str) -> None:
    """Make `NAME.crt`, signed by the authority, and `NAME.key`."""
    _openssl(folder, "req", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    (folder / f"{name}.ext").write_text(extension + "\n")
    _openssl(
        folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
        "-days", "30", "-extfile", f"{name}.ext", "-out", f"{name}.crt",
    )  # fmt: skip


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(folder: Path, *arguments: str, data: bytes | None = None) -> bytes:
    done = subprocess.run(["openssl", *arguments], cwd=folder, input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@contextmanager
def token_service(folder: Path) -> Iterator[str]:
    """Run a service that gives tokens; yields its address. What it was asked is in `folder/tokens`, a line each.

    Without a login repositories below `public/` can be read. `GET` takes the login above, `POST` the refresh token
    `refresh-me`.
    """
    _openssl(
        folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=token signer",
        "-keyout", "token.key", "-out", "token.crt",
    )  # fmt: skip
    lock = threading.Lock()
    basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def answer(request: Request) -> Reply:
        with lock, (folder / "tokens").open("a") as log:
            log.write(f"{request.method} {request.path} {request.headers.get('Authorization', '-')}\n")
        if request.method == "POST":
            asked = parse_qs(request.body.decode())
            known = asked.get("grant_type") == ["refresh_token"] and asked.get("refresh_token") == ["refresh-me"]
            return _issue(folder, asked, USER) if known else Reply(401, b'{"error":"invalid_grant"}')
        login = request.headers.get("Authorization", "")
        if login not in {"", basic}:
            return Reply(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"bad login"}]}')
        return _issue(folder, parse_qs(urlsplit(request.path).query), USER if login else "")

    with scripted(answer) as server:
        yield f"http://{server.host}/token"


def _issue(folder: Path, asked: dict[str, list[str]], user: str) -> Reply:
    access = []
    for scope in " ".join(asked.get("scope", [])).split():
        kind, rest = scope.split(":", 1)
        name, _, wanted = rest.rpartition(":")
        actions = wanted.split(",") if user else [a for a in ("pull",) if a in wanted and name.startswith("public/")]
        if actions:
            access.append({"type": kind, "name": name, "actions": actions})
    now = int(time.time())
    claims = {
        "iss": "test-issuer", "sub": user, "aud": asked.get("service", [""])[0], "access": access,
        "iat": now, "nbf": now - 10, "exp": now + 300, "jti": f"{time.monotonic_ns()}",
    }  # fmt: skip
    name = "access_token" if "grant_type" in asked else "token"
    return Reply(200, json.dumps({name: _signed(folder, claims), "expires_in": 300}).encode())


def _signed(folder: Path, claims: dict[str, object]) -> str:
    """Return a JWT, signed by RS256, that carries the certificate of its signer."""
    der = ssl.PEM_cert_to_DER_cert((folder / "token.crt").read_text())
    head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
    body = f"{_url64(json.dumps(head).encode())}.{_url64(json.dumps(claims).encode())}"
    return f"{body}.{_url64(_openssl(folder, 'dgst', '-sha256', '-sign', 'token.key', data=body.encode()))}"


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
