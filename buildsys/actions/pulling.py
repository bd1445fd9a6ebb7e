"""Images out of registries, by digest alone: manifests and blobs that the store does not have are fetched into it.

What is in the store is never asked for again, whatever image named it. Blobs are fetched several at a time; one that
breaks off is gone on with, in this build or a later one.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from buildsys.errors import BuildError, DependencyError, Location, NetworkFault
from buildsys.model.action import Value
from buildsys.oci import manifest as manifests
from buildsys.oci.image import Descriptor
from buildsys.oci.manifest import Index, Manifest, ManifestFault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildsys.adapters.registry import RegistryClient
    from buildsys.adapters.registry_fault import RegistryFault
    from buildsys.model.action import ActionIO, BlobWriter
    from buildsys.model.digest import Digest

ATTEMPTS = 3
"""How often a blob is asked for that arrives damaged while there is another place to ask."""


class Source(NamedTuple):
    """Where an image comes from: the registry and its repository; `image` and `at` name it in messages."""

    host: str
    repository: str
    image: str
    at: Location | None = None


class Pulled(NamedTuple):
    """An image of one architecture: `chain` leads from what was asked for to its manifest, which is the last."""

    chain: tuple[Descriptor, ...]
    manifest: Manifest

    @property
    def top(self) -> Descriptor:
        """What a tag leads to."""
        return self.chain[0]


class Puller:
    """Fetches what belongs to one image."""

    def __init__(self, io: ActionIO, source: Source) -> None:
        self._io = io
        self._source = source

    def image(self, top: Digest, child: Digest) -> Pulled:
        """Fetch the manifests from `top` down to `child`, and then the config and layers of that.

        Raises `BuildError`: B440 to B445 for what registries do, B448 where `top` does not lead to `child`.
        """
        chain = self._path(top, child, 0)
        if not chain:
            raise DependencyError(
                "B448",
                f"{self._source.image}: the index sha256:{top} does not lead to sha256:{child}, as the lock file says",
                at=self._source.at,
                hint=f"lock the image again: buildsys lock --update={self._source.image}",
            )
        found = self._parsed(child)
        if isinstance(found, Index):
            raise self._unusable(child, "it is an index, where the manifest of one image should be")
        self._fetch(child, found.blobs)
        return Pulled(chain, found)

    def _path(self, top: Digest, child: Digest, depth: int) -> tuple[Descriptor, ...]:
        """Return the descriptors from `top` to `child`; none where there is no way."""
        parsed = self._parsed(top)
        own = Descriptor(parsed.media_type, top, self._size(top))
        if top == child:
            return (own,)
        if isinstance(parsed, Manifest) or depth == manifests.DEEPEST:
            return ()
        entries = [entry.descriptor for entry in parsed.children]
        direct = [entry for entry in entries if entry.digest == child]
        for entry in direct or [entry for entry in entries if entry.media_type in manifests.INDEXES]:
            below = self._path(entry.digest, child, depth + 1)
            if below and below[0].size != entry.size:
                raise self._unusable(entry.digest, f"it has {below[0].size} bytes; its index says {entry.size}")
            if below:
                return (own, *below)
        return ()

    def _size(self, digest: Digest) -> int:
        with self._io.open_blob(digest) as stream:
            return stream.seek(0, os.SEEK_END)

    def _read(self, digest: Digest) -> bytes:
        with self._io.open_blob(digest) as stream:
            return stream.read(manifests.MOST_BYTES + 1)  # an index may name a layer that is in the store as a manifest

    def _parsed(self, digest: Digest) -> Index | Manifest:
        """Return a manifest, fetched if it is not in the store."""
        from buildsys.adapters.registry_fault import RegistryFault

        if not self._io.holds(digest):
            source = self._source
            try:
                found = self.client().manifest(source.host, source.repository, f"sha256:{digest}")
            except RegistryFault as fault:
                raise self._error(fault) from fault
            self._io.put_blob(found.data)
        try:
            return manifests.parse(self._read(digest))
        except ManifestFault as fault:
            raise self._unusable(digest, str(fault)) from fault

    def _unusable(self, digest: Digest, why: str) -> DependencyError:
        return DependencyError(
            "B444",
            f"{self._source.image}: the manifest sha256:{digest} cannot be used: {why}",
            at=self._source.at,
            hint="ask for a version of the image that is built for Linux in a current form",
        )

    def _fetch(self, manifest: Digest, blobs: Iterable[Descriptor]) -> None:
        """Fetch what is not there, several at a time."""
        missing = []
        for blob in blobs:
            if not self._io.holds(blob.digest):
                missing.append(blob)
            elif (size := self._size(blob.digest)) != blob.size:
                raise self._unusable(manifest, f"sha256:{blob.digest} has {size} bytes; it says {blob.size}")
        waits = [self._io.begin(f"blob {blob.digest}", partial(self._blob, blob), fetched=True) for blob in missing]
        for wait in waits:
            wait()

    def _blob(self, blob: Descriptor) -> Value:
        """Fetch one blob; where it arrives damaged, from the next place that has it.

        What an earlier build left may be what is damaged: then it is asked for once more, from its beginning.
        """
        from buildsys.adapters.registry_fault import RegistryFault

        for attempt in range(1, ATTEMPTS + 1):
            begun = 0
            try:
                with self._io.resume_blob(blob.digest, blob.size) as writer:
                    begun = writer.size
                    self._arrive(blob, writer)
            except RegistryFault as fault:
                hopeful = fault.kind == "mismatch" and (fault.transient or begun)
                if not hopeful or attempt == ATTEMPTS:
                    raise self._error(fault) from fault
            else:
                break
        return Value(blob.digest, blob.size)

    def _arrive(self, blob: Descriptor, writer: BlobWriter) -> None:
        """Write what is missing of a blob, and check its digest. Raises `RegistryFault`."""
        from buildsys.adapters.registry_fault import RegistryFault

        source, digest = self._source, f"sha256:{blob.digest}"
        try:
            asked = self.client().blob(source.host, source.repository, digest, blob.size, writer.size)
            with asked as body, self._io.waking(body.abort):
                for chunk in body:
                    writer.write(chunk)
                    self._io.transferred(f"{source.image} {blob.digest[:12]}", writer.size, blob.size)
                body.check(writer.hexdigest())
        except RegistryFault as fault:
            if fault.kind == "mismatch":
                writer.abandon()
            raise

    def client(self) -> RegistryClient:
        """Return the client of this build; it waits as this action does."""
        from buildsys.adapters.registry import RegistryClient

        access = self._io.fetching.access
        return self._io.shared("registries", lambda: RegistryClient(access())).waiting_by(self._io.pause)

    def _error(self, fault: RegistryFault) -> BuildError:
        return registry_error(self._source.image, fault, self._source.at)


def registry_error(
    image: str, fault: RegistryFault, at: Location | None = None, *, is_locked: bool = True
) -> BuildError:
    """Return what a user is told of a fault.

    B440 unreachable, B441 login, B442 missing, B443 damaged, B444 unusable, B445 refused.
    """
    kind, notes = fault.kind, tuple(f"before: {note}" for note in fault.notes)
    message = f"{image}: {fault.message}"
    if kind in {"unreachable", "rate-limited"}:
        hint = "check the network, or name a mirror: --registry_mirror=HOST=URL; what has arrived is kept"
        if kind == "rate-limited":
            hint = "wait, log in (docker login, podman login), or name a mirror: --registry_mirror=HOST=URL"
        return NetworkFault("B440", message, at=at, notes=notes, hint=hint)
    code, hint = {
        "login": ("B441", "log in (docker login, podman login), or name the file of the login: --registry_auth_file"),
        "missing": (
            "B442",
            f"if it was removed or replaced there, lock what is there now: buildsys lock --update={image}"
            if is_locked
            else "check the name of the image, and its tag",
        ),
        "mismatch": ("B443", "the registry or a mirror is damaged: ask another one with --registry_mirror=HOST=URL"),
        "too-large": ("B444", "this is no image that can be pulled"),
        "schema-1": ("B444", "push the image again with a current tool, which makes a schema 2 manifest of it"),
        "refused": ("B445", "check the name of the registry, and what it says"),
        "tls": ("B445", "trust it with --registry_ca=FILE, or speak plain http to it with --registry_insecure=HOST"),
    }[kind]
    return DependencyError(code, message, at=at, notes=notes, hint=hint)
