"""The client with real registries: what is pushed is pulled, byte for byte, by us and by skopeo."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from buildsys.adapters.registry_fault import RegistryFault
from tests.images import docker_image, oci_image, random_bytes, write_layout
from tests.registries import PASSWORD, USER, registry
from tests.registry_clients import auth_file, client, fetch, opener, push

if TYPE_CHECKING:
    from buildsys.adapters.registry import RegistryClient
    from tests.images import Sample
    from tests.registries import Registry


def skopeo(*arguments: str) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    done = subprocess.run(["skopeo", *arguments], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check(source: RegistryClient, host: str, sample: Sample) -> None:
    """Pull all of an image."""
    by_tag = source.manifest(host, sample.repository, sample.tag)
    assert (by_tag.data, by_tag.media_type, by_tag.digest) == (
        sample.top.data,
        sample.top.media_type,
        sample.top.digest,
    )
    for piece in sample.manifests:
        assert source.manifest(host, sample.repository, piece.digest).data == piece.data
        described = source.head_manifest(host, sample.repository, piece.digest)
        assert described == (piece.digest, piece.media_type, len(piece.data))
    for piece in sample.blobs:
        assert fetch(source, host, sample.repository, piece.digest, len(piece.data)) == piece.data


@pytest.mark.parametrize("sample", [oci_image(size=3_000_000), oci_image(tag="nested", nested=True), docker_image()])
def test_what_is_pushed_is_pulled(plain_registry: Registry, sample: Sample) -> None:
    with client(plain_registry.host) as both:
        push(both, plain_registry.host, sample)
        check(both, plain_registry.host, sample)
    inspected = skopeo(
        "inspect", "--raw", "--tls-verify=false", f"docker://{plain_registry.host}/{sample.repository}:{sample.tag}"
    )
    assert inspected.encode() == sample.top.data


def test_what_skopeo_pushes_is_pulled(plain_registry: Registry, tmp_path: Path) -> None:
    sample = oci_image("from/skopeo")
    write_layout(tmp_path / "layout", [sample])
    target = f"docker://{plain_registry.host}/from/skopeo:1.0"
    layout = f"oci:{tmp_path}/layout:from/skopeo:1.0"
    skopeo("copy", "--all", "--preserve-digests", "--dest-tls-verify=false", layout, target)
    with client(plain_registry.host) as source:
        check(source, plain_registry.host, sample)


def test_what_is_not_there_is_missing(plain_registry: Registry) -> None:
    digest = "sha256:" + "0" * 64
    with client(plain_registry.host) as source:
        assert source.head_manifest(plain_registry.host, "no/such", "v1") is None
        with pytest.raises(RegistryFault, match=r"404 Not Found: manifest unknown$") as caught:
            source.manifest(plain_registry.host, "no/such", "v1")
        assert (caught.value.kind, caught.value.transient) == ("missing", False)
        with pytest.raises(RegistryFault, match="404 Not Found: blob unknown") as caught:
            fetch(source, plain_registry.host, "no/such", digest, 5)
        assert caught.value.kind == "missing"
        assert not source.has_blob(plain_registry.host, "no/such", digest)


def test_a_blob_is_had_from_a_byte_on(plain_registry: Registry) -> None:
    sample = oci_image("partly", size=100_000)
    blob = max(sample.blobs, key=lambda piece: len(piece.data))
    size = len(blob.data)
    with client(plain_registry.host) as both:
        push(both, plain_registry.host, sample)
        for offset in (0, 1, 77_777, size - 1, size):
            assert fetch(both, plain_registry.host, "partly", blob.digest, size, offset) == blob.data[offset:]
        for claimed, offset in ((size + 9, size + 3), (size + 9, 7), (size - 9, 0), (size - 9, 7)):
            with pytest.raises(RegistryFault, match=f"has {size} bytes there, not {claimed}") as caught:
                fetch(both, plain_registry.host, "partly", blob.digest, claimed, offset)
            assert caught.value.kind == "mismatch"


def test_a_blob_is_uploaded_in_pieces_and_mounted_elsewhere(plain_registry: Registry) -> None:
    data = random_bytes(1_000_003)
    sample = oci_image("mounted/from", size=70_000)
    digest = _digest(data)
    told: list[int] = []
    host = plain_registry.host
    with client(host) as both:
        both.upload_blob(host, "pieces", digest, len(data), opener(data), sent=told.append, chunk=300_000)
        assert fetch(both, host, "pieces", digest, len(data)) == data
        assert told == sorted(told)
        assert told[-1] == len(data)
        assert both.mount(host, "mounted/to", "pieces", digest)
        assert both.has_blob(host, "mounted/to", digest)
        assert not both.mount(host, "mounted/to", "pieces", sample.blobs[0].digest)
        both.upload_blob(host, "pieces", _digest(b""), 0, lambda _: io.BytesIO())
        assert both.has_blob(host, "pieces", _digest(b""))
    uploads = Path(plain_registry.data, "docker/registry/v2/repositories/mounted/to/_uploads")
    assert not list(uploads.rglob("startedat")), "the session that was not wanted has not been ended"


def test_a_blob_that_is_not_what_it_is_called_is_not_taken(plain_registry: Registry) -> None:
    host = plain_registry.host
    with client(host) as target:
        with pytest.raises(RegistryFault, match="sent was sha256:00") as caught:
            target.upload_blob(host, "wrong", "sha256:" + "0" * 64, 5, lambda at: io.BytesIO(b"hello"[at:]))
        assert caught.value.kind == "mismatch"
        with pytest.raises(RegistryFault, match="ends after 5 of 9 bytes") as caught:
            target.upload_blob(host, "wrong", _digest(b"hello"), 9, lambda at: io.BytesIO(b"hello"[at:]))
        assert caught.value.kind == "mismatch"


def test_a_read_only_registry_refuses_at_once(plain_registry: Registry, tmp_path: Path) -> None:
    sample = oci_image("library/readonly")
    with client(plain_registry.host) as target:
        push(target, plain_registry.host, sample)
    with registry(tmp_path / "ro", data=plain_registry.data, readonly=True) as frozen, client(frozen.host) as both:
        check(both, frozen.host, sample)
        with pytest.raises(RegistryFault, match=r"405 Method Not Allowed$") as caught:
            push(both, frozen.host, oci_image("library/readonly", size=9))
        assert (caught.value.kind, caught.value.transient) == ("refused", False)


def test_a_pull_through_cache_is_a_mirror_like_any_other(plain_registry: Registry, tmp_path: Path) -> None:
    sample = oci_image("cached", size=50_000)
    with client(plain_registry.host) as target:
        push(target, plain_registry.host, sample)
    remote = f"http://{plain_registry.host}"
    with (
        registry(tmp_path / "proxy", remote=remote) as cache,
        client(mirrors=(("quay.test", f"http://{cache.host}"),)) as source,
    ):
        check(source, "quay.test", sample)


def test_a_name_and_password(login_registry: Registry, tmp_path: Path) -> None:
    host, sample = login_registry.host, oci_image("private")
    good = auth_file(tmp_path / "good.json", **{host: f"{USER}:{PASSWORD}"})
    bad = auth_file(tmp_path / "bad.json", **{host: f"{USER}:wrong"})
    with client(host, auth_files=(good,)) as both:
        push(both, host, sample)
        check(both, host, sample)
    with client(host, auth_files=(bad,)) as both, pytest.raises(RegistryFault) as caught:
        both.manifest(host, "private", "1.0")
    assert caught.value.kind == "login"
    assert caught.value.message == (
        f"{host}: the server answered 401 Unauthorized: authentication required; sent was the login 'tester' of {bad}"
    )
    nowhere = str(tmp_path / "none.json")
    with client(host, auth_files=(nowhere,)) as both, pytest.raises(RegistryFault) as caught:
        both.head_manifest(host, "private", "1.0")
    assert caught.value.message == f"{host}: wants a login: there is no login for it in {nowhere}"


def test_tokens(token_registry: Registry, tmp_path: Path) -> None:
    host, open_one, closed = token_registry.host, oci_image("public/hello"), oci_image("private/hello")
    asked = token_registry.folder / "tokens"
    login = auth_file(tmp_path / "auth.json", **{host: f"{USER}:{PASSWORD}"})
    with client(host, auth_files=(login,)) as both:
        push(both, host, open_one)
        push(both, host, closed)
        assert len(asked.read_text().splitlines()) == 2, "a token for each repository, whatever is done there"
        assert both.mount(host, "private/other", "private/hello", closed.blobs[0].digest)
        check(both, host, closed)
    asked.unlink()
    with client(host) as anyone:
        check(anyone, host, open_one)
        assert len(asked.read_text().splitlines()) == 1
        with pytest.raises(RegistryFault, match=r"401 Unauthorized.*there is no login for it") as caught:
            anyone.manifest(host, "private/hello", "1.0")
        assert caught.value.kind == "login"
    bad = auth_file(tmp_path / "bad.json", **{host: f"{USER}:wrong"})
    with client(host, auth_files=(bad,)) as wrong, pytest.raises(RegistryFault) as caught:
        wrong.manifest(host, "public/hello", "1.0")
    assert caught.value.kind == "login"
    assert caught.value.message.endswith(f"401 Unauthorized: bad login; sent was the login 'tester' of {bad}")


def test_a_refresh_token(token_registry: Registry, tmp_path: Path) -> None:
    host = token_registry.host
    path = tmp_path / "auth.json"
    path.write_text(f'{{"auths": {{"{host}": {{"auth": "Og==", "identitytoken": "refresh-me"}}}}}}')
    with client(host, auth_files=(str(path),)) as both:
        push(both, host, docker_image("private/refreshed"))
        check(both, host, docker_image("private/refreshed"))
    path.write_text(path.read_text().replace("refresh-me", "another"))
    with client(host, auth_files=(str(path),)) as both, pytest.raises(RegistryFault, match="no token from") as caught:
        both.manifest(host, "private/refreshed", "3.6")
    assert caught.value.kind == "login"
    assert "another" not in caught.value.message


def test_https_with_an_authority_and_a_certificate_of_our_own(secure_registry: Registry, tmp_path: Path) -> None:
    host, folder, sample = secure_registry.host, secure_registry.folder, oci_image("secure")
    login = auth_file(tmp_path / "auth.json", **{host: f"{USER}:{PASSWORD}"})
    with client(auth_files=(login,), cert_dirs=(str(tmp_path), str(secure_registry.cert_dir))) as both:
        push(both, host, sample)
    certificate: dict[str, Any] = {"client_cert": str(folder / "client.crt"), "client_key": str(folder / "client.key")}
    with client(auth_files=(login,), ca=str(secure_registry.ca), **certificate) as both:
        check(both, host, sample)
    with client(auth_files=(login,), **certificate) as both:
        with pytest.raises(
            RegistryFault, match=r"the certificate cannot be trusted: unable to get local issuer certificate$"
        ) as caught:
            both.manifest(host, "secure", "1.0")
        assert (caught.value.kind, caught.value.transient) == ("tls", False)
    with client(auth_files=(login,), ca=str(secure_registry.ca)) as both:
        with pytest.raises(RegistryFault, match="refuses our certificate, or the lack of one") as caught:
            both.manifest(host, "secure", "1.0")
        assert caught.value.kind == "tls"
    with (
        client(ca=str(folder / "server.key")) as both,
        pytest.raises(RegistryFault, match=r"server\.key cannot be used"),
    ):
        both.manifest(host, "secure", "1.0")


def test_plain_http_is_not_spoken_unasked(plain_registry: Registry) -> None:
    with client() as source, pytest.raises(RegistryFault) as caught:
        source.manifest(plain_registry.host, "library/hello", "1.0")
    assert caught.value.kind == "tls"
    assert "does not speak TLS as it should: wrong version number" in caught.value.message


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
