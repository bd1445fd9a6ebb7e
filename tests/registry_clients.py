"""Clients of registries for tests, and what tests do with them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from buildsys.adapters.registry import RegistryClient
from buildsys.model.access import Access

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from tests.images import Sample


class Pauses(list[float]):
    """Takes what a client would wait, without waiting."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@contextmanager
def client(*hosts: str, sleep: Pauses | None = None, **access: Any) -> Iterator[RegistryClient]:
    """Return a client that may speak plain http to `hosts`, and does not wait."""
    access = {"insecure": frozenset(hosts), **access}
    with closing(RegistryClient(Access(**access), Pauses() if sleep is None else sleep)) as made:
        yield made


def auth_file(path: Path, **logins: str) -> str:
    """Write a file of logins, `host=user:password`, as docker does; return its path."""
    entries = {host: {"auth": base64.b64encode(login.encode()).decode()} for host, login in logins.items()}
    path.write_text(json.dumps({"auths": entries}))
    return str(path)


def push(target: RegistryClient, host: str, sample: Sample) -> None:
    """Push an image."""
    for blob in sample.blobs:
        if not target.has_blob(host, sample.repository, blob.digest):
            target.upload_blob(host, sample.repository, blob.digest, len(blob.data), opener(blob.data))
    for manifest in sample.manifests:
        ref = sample.tag if manifest == sample.top else manifest.digest
        assert target.put_manifest(host, sample.repository, ref, manifest.data, manifest.media_type) == manifest.digest


def opener(data: bytes) -> Callable[[int], BinaryIO]:
    """Return what opens bytes at an offset."""
    return lambda at: io.BytesIO(data[at:])


def fetch(source: RegistryClient, host: str, repository: str, digest: str, size: int, offset: int = 0) -> bytes:
    """Return a blob from an offset on; checks its digest when it is whole."""
    with source.blob(host, repository, digest, size, offset) as body:
        data = b"".join(body)
        if not offset:
            body.check(hashlib.sha256(data).hexdigest())
    return data
