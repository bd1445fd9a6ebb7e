"""A client of image registries: manifests and blobs by tag or digest, pulled and pushed, as the very bytes.

Source: OCI distribution spec 1.1, with what real registries do beside it. Digests are written `sha256:<hex>` here, as
registries have them.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple, Self

from buildsys.adapters.registry_blob import BlobBody
from buildsys.adapters.registry_exchange import Ask, Exchange
from buildsys.adapters.registry_fault import MAX_MANIFEST, RegistryFault
from buildsys.adapters.registry_upload import Payload, Upload
from buildsys.adapters.registry_wire import drain, read_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    import requests

    from buildsys.adapters.registry_access import Endpoint
    from buildsys.model.access import Access

MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
"""What we can read. All are always named: a registry makes something else for who does not (Docker's first schema)."""

_ACCEPT = {"Accept": ", ".join(MANIFEST_TYPES)}
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+"
_HEX_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}
_NO_HEAD = frozenset({400, 405, 501})
"""What servers say that do not know HEAD."""


class Described(NamedTuple):
    """A manifest that is known without its bytes; `size` is in bytes."""

    digest: str
    media_type: str
    size: int


class Manifest(NamedTuple):
    """A manifest as its registry has it: the very bytes, what they are, and their digest."""

    data: bytes
    media_type: str
    digest: str


class RegistryClient:
    """Reads from registries, or their mirrors, and writes to them; safe for several threads.

    `host` is the registry as image references name it (`docker.io`, `localhost:5000`), `repository` the whole path
    there (`library/nginx`), `ref` a tag or a digest. All methods raise `RegistryFault`, after as many attempts as may
    help, with `sleep` in between.
    """

    def __init__(
        self, access: Access, sleep: Callable[[float], None] = time.sleep, *, exchange: Exchange | None = None
    ) -> None:
        self._access = access
        self._sleep = sleep
        self._exchange = exchange or Exchange(access)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections, also of those that share them."""
        self._exchange.close()

    def waiting_by(self, sleep: Callable[[float], None]) -> RegistryClient:
        """Return a client that shares connections, tokens and bounds with this one, but waits in another way."""
        return RegistryClient(self._access, sleep, exchange=self._exchange)

    def head_manifest(self, host: str, repository: str, ref: str) -> Described | None:
        """Return what a tag or digest stands for, without its bytes where possible; None where there is no such thing.

        Some registries count what is fetched, but not this.
        """

        def attempt(place: Endpoint) -> Described:
            ask = Ask("HEAD", repository, {200, *_NO_HEAD}, headers=_ACCEPT)
            with self._exchange.open(place, ask, place.url(repository, f"manifests/{ref}")) as answer:
                drain(answer)
                found = _described(answer, place, ref) if answer.status_code == 200 else None
            if found is None:
                manifest = self._manifest(place, repository, ref)
                found = Described(manifest.digest, manifest.media_type, len(manifest.data))
            return found

        try:
            return self._exchange.each_place(host, self._sleep, attempt)
        except RegistryFault as fault:
            if fault.kind == "missing":
                return None
            raise

    def manifest(self, host: str, repository: str, ref: str) -> Manifest:
        """Fetch a manifest; its bytes have the digest that was asked for, or that the registry states."""
        return self._exchange.each_place(host, self._sleep, lambda place: self._manifest(place, repository, ref))

    def _manifest(self, place: Endpoint, repository: str, ref: str) -> Manifest:
        ask = Ask("GET", repository, {200}, headers=_ACCEPT)
        with self._exchange.open(place, ask, place.url(repository, f"manifests/{ref}")) as answer:
            _refuse_schema_1(answer, place, ref)
            data = _read_manifest(answer, place, ref)
            stated = answer.headers.get("Docker-Content-Digest", "")
            kind = _media_type(answer)
        asked = ref if is_digest(ref) else ""
        for wanted in (asked, stated if is_digest(stated) else ""):
            if wanted and digest_of(data, wanted) != wanted:
                message = f"{place.host}: {repository}: the manifest {ref} arrived with the digest"
                raise RegistryFault(f"{message} {digest_of(data, wanted)}, not {wanted}", "mismatch")
        content = _parse(data, place, ref, is_known=bool(asked))
        if content.get("schemaVersion") == 1:
            raise _schema_1(place, ref)
        own = content.get("mediaType")
        return Manifest(data, own if isinstance(own, str) and own else kind, asked or digest_of(data))

    @contextmanager
    def blob(self, host: str, repository: str, digest: str, size: int, offset: int = 0) -> Iterator[BlobBody]:
        """Fetch a blob of `size` bytes, from byte `offset` on, in chunks; the caller checks the digest (`check`).

        A body that breaks off is asked for again from there, a fault is raised when nothing comes any more. While it
        lasts, the thread must not ask anything else.
        """
        with closing(BlobBody(self._exchange, self._sleep, host, repository, digest, size, offset)) as body:
            yield body

    def has_blob(self, host: str, repository: str, digest: str) -> bool:
        """Tell whether the registry itself has a blob, for pushing there."""
        return self._upload(host, repository).has(digest)

    def mount(self, host: str, repository: str, source: str, digest: str) -> bool:
        """Have the registry take a blob from its repository `source`; False where it does not."""
        return self._upload(host, repository).mount(source, digest)

    def upload_blob(
        self,
        host: str,
        repository: str,
        digest: str,
        size: int,
        open_at: Callable[[int], BinaryIO],
        *,
        sent: Callable[[int], None] = lambda _: None,
        chunk: int = 32 << 20,
    ) -> None:
        """Upload a blob in pieces of `chunk` bytes, going on where it broke off.

        `open_at` opens the blob at an offset; `sent` is told, now and then, how many bytes are over.
        """
        self._upload(host, repository).run(Payload(digest, size, open_at, sent), chunk)

    def put_manifest(self, host: str, repository: str, ref: str, data: bytes, media_type: str) -> str:
        """Put a manifest under a tag or its digest; return its digest. What it names must be there."""
        place = self._exchange.place_of(host)
        wanted = digest_of(data, ref if is_digest(ref) else "sha256:")

        def attempt(place: Endpoint) -> str:
            headers = {"Content-Type": media_type}
            ask = Ask("PUT", repository, {200, 201, 202}, "pull,push", headers=headers, body=lambda: data, patient=True)
            with self._exchange.open(place, ask, place.url(repository, f"manifests/{ref}")) as answer:
                drain(answer)
                stated = answer.headers.get("Docker-Content-Digest", "")
            if is_digest(stated) and digest_of(data, stated) != stated:
                raise RegistryFault(
                    f"{place.host}: {repository}:{ref} was stored as {stated}, not {wanted}", "mismatch"
                )
            return wanted

        return self._exchange.each_place(host, self._sleep, attempt, only=place)

    def _upload(self, host: str, repository: str) -> Upload:
        return Upload(self._exchange, self._sleep, host, repository)


def is_digest(text: str) -> bool:
    """Tell whether a text is a digest of a kind that we can check."""
    algorithm, _, digits = text.partition(":")
    return _HEX_DIGITS.get(algorithm) == len(digits) and re.fullmatch(r"[0-9a-f]+", digits) is not None


def digest_of(data: bytes, like: str = "sha256:") -> str:
    """Return the digest of `data`, by the algorithm of the digest `like`."""
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def _media_type(answer: requests.Response) -> str:
    return answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _described(answer: requests.Response, place: Endpoint, ref: str) -> Described | None:
    """Return what the headers of an answer to HEAD say; None if they do not say enough."""
    _refuse_schema_1(answer, place, ref)
    digest, size = answer.headers.get("Docker-Content-Digest", ""), answer.headers.get("Content-Length", "")
    if not is_digest(digest) or not (size.isascii() and size.isdigit()) or _media_type(answer) not in MANIFEST_TYPES:
        return None
    if is_digest(ref) and digest.partition(":")[0] == ref.partition(":")[0] and digest != ref:
        raise RegistryFault(f"{place.host}: asked for the manifest {ref}, it has {digest}", "mismatch")
    if int(size) > MAX_MANIFEST:
        raise _too_large(place, ref)
    return Described(digest, _media_type(answer), int(size))


def _read_manifest(answer: requests.Response, place: Endpoint, ref: str) -> bytes:
    try:
        return read_all(answer, place.host, MAX_MANIFEST)
    except RegistryFault as fault:
        raise (_too_large(place, ref) if fault.kind == "too-large" else fault) from fault


def _parse(data: bytes, place: Endpoint, ref: str, *, is_known: bool) -> dict[str, object]:
    """Return a manifest as JSON. What was asked for by its digest is what it is: others judge it."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) and is_known:
        return {}
    if not isinstance(content, dict):
        raise RegistryFault(f"{place.host}: what it has as the manifest {ref} is no JSON object", "refused")
    return content


def _refuse_schema_1(answer: requests.Response, place: Endpoint, ref: str) -> None:
    if _media_type(answer).startswith(_SCHEMA_1):
        raise _schema_1(place, ref)


def _schema_1(place: Endpoint, ref: str) -> RegistryFault:
    return RegistryFault(
        f"{place.host}: the manifest {ref} is of Docker's schema 1, which is not supported", "schema-1"
    )


def _too_large(place: Endpoint, ref: str) -> RegistryFault:
    return RegistryFault(f"{place.host}: the manifest {ref} has more than {MAX_MANIFEST >> 20} MiB", "too-large")
