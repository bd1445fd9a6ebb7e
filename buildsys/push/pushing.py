"""Pushing an image to registries: what they lack, and the tag last, so that it never leads to half an image.

Source: OCI distribution spec 1.1, "Push".
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, TypeAlias

from buildsys.adapters.registry import RegistryClient
from buildsys.adapters.registry_fault import RegistryFault
from buildsys.errors import BuildError, NetworkFault, UsageError, UserError
from buildsys.oci.reference import Reference, ReferenceFault
from buildsys.push.at_once import at_once
from buildsys.push.image import lost
from buildsys.store.cas import BlobMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from buildsys.model.access import Access
    from buildsys.model.digest import Digest
    from buildsys.oci.image import Descriptor
    from buildsys.push.image import Image
    from buildsys.store.workspace_state import WorkspaceState

How: TypeAlias = Literal["there", "mounted", "uploaded"]

CHUNK = 32 << 20
"""Bytes of a blob that go over in one request: what is lost at most when the line breaks."""


class Pushed(NamedTuple):
    """What became of a push: how many blobs were uploaded, mounted and there, and how many manifests were put.

    `size` are the bytes of the blobs that were uploaded; `was_tagged` tells that the tag stood for this image before.
    """

    target: Reference
    digest: Digest
    uploaded: int
    size: int
    mounted: int
    there: int
    manifests: int
    was_tagged: bool

    @property
    def name(self) -> str:
        """The image by its digest, which no later push changes."""
        return f"{self.target.name}@sha256:{self.digest}"


def destinations(words: Sequence[str]) -> list[Reference]:
    """Return where an image is to be pushed. Raises `UsageError` B450."""
    hint = "write REGISTRY/NAME:TAG, such as registry.example:5000/clusters/containerd:v1.28.15"
    found = []
    for word in words:
        try:
            reference = Reference.parse(word)
        except ReferenceFault as fault:
            raise UsageError("B450", f"there is no pushing to this: {fault}", hint=hint) from fault
        if reference.digest:
            message = f"there is no pushing to '{word}': the digest follows from what is pushed"
            raise UsageError("B450", message, hint=hint)
        found.append(reference)
    if not found:
        raise UsageError("B450", "it has to be told where to push", hint=f"behind `--`, {hint}")
    return found


class Pusher:
    """Pushes images, one after the other; `state` remembers which repository of a registry has which blob.

    `progress` is told now and then how far a blob has come, from several threads.
    """

    def __init__(self, access: Access, state: WorkspaceState, progress: Callable[[str, int, int], None]) -> None:
        self._stop = threading.Event()
        self._at_once = access.at_once
        self._state = state
        self._progress = progress
        self._client = RegistryClient(access._replace(mirrors=()), self._pause)  # a mirror is not who is pushed to

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def push(self, image: Image, target: Reference) -> Pushed:
        """Push an image; return what became of it.

        Raises `BuildError`: B451 to B454 for what registries do, B458 for a blob that is lost. Then the tag is what it
        was, and what has been uploaded is there for the next time.
        """
        try:
            return self._push(image, target)
        except RegistryFault as fault:
            raise push_error(target, fault) from fault

    def _push(self, image: Image, target: Reference) -> Pushed:
        host, path, digests = target.host, target.path, [blob.digest for blob in image.blobs]
        done = self._blobs(image, target)
        self._state.remember_pushed(host, path, digests)
        put = 0
        for manifest in image.manifests[:-1]:
            name = f"sha256:{manifest.digest}"
            if self._client.head_manifest(host, path, name) is None:
                self._client.put_manifest(host, path, name, image.read(manifest), manifest.media_type)
                put += 1
        top = image.top
        tagged = self._client.head_manifest(host, path, target.tag)
        was_tagged = tagged is not None and tagged.digest == f"sha256:{top.digest}"
        if not was_tagged:
            self._client.put_manifest(host, path, target.tag, image.read(top), top.media_type)
            put += 1
        hows = [how for _, how in done]
        size = sum(blob.size for blob, how in done if how == "uploaded")
        counts = hows.count("uploaded"), size, hows.count("mounted"), hows.count("there")
        return Pushed(target, top.digest, *counts, put, was_tagged)

    def _blobs(self, image: Image, target: Reference) -> list[tuple[Descriptor, How]]:
        """See to it that the repository has all blobs, several at a time, the largest first."""
        known = self._state.pushed(target.host, [blob.digest for blob in image.blobs])
        blobs = sorted(image.blobs, key=lambda blob: -blob.size)
        return at_once(self._at_once, lambda blob: self._blob(image, blob, target, known), blobs, self._stop)

    def _blob(self, image: Image, blob: Descriptor, target: Reference, known: Mapping[Digest, str]) -> How:
        host, path, digest = target.host, target.path, f"sha256:{blob.digest}"
        if self._client.has_blob(host, path, digest):
            return "there"
        source = known.get(blob.digest, path)
        if source != path and self._is_mounted(target, source, digest):
            return "mounted"

        def sent(number: int) -> None:
            self._check()
            self._progress(f"Push {digest}", number, blob.size)

        try:
            self._client.upload_blob(
                host, path, digest, blob.size, lambda at: image.open(blob, at), sent=sent, chunk=CHUNK
            )
        except BlobMissing as missing:
            raise lost(missing.digest) from missing
        return "uploaded"

    def _is_mounted(self, target: Reference, source: str, digest: str) -> bool:
        """Have the registry take a blob from another of its repositories, where it still is and we may read it."""
        try:
            return self._client.mount(target.host, target.path, source, digest)
        except RegistryFault as fault:
            if fault.kind == "unreachable":
                raise
            return False

    def _pause(self, seconds: float) -> None:
        self._stop.wait(seconds)
        self._check()

    def _check(self) -> None:
        """End what a thread is doing when another one has failed."""
        if self._stop.is_set():
            raise _Stopped


class _Stopped(Exception):
    """The push has failed elsewhere."""


def push_error(target: Reference, fault: RegistryFault) -> BuildError:
    """Return what a user is told of a fault.

    B451 login, B452 unreachable, B453 refused, B454 something else arrived there than was sent.
    """
    message, notes = f"{target}: {fault.message}", tuple(f"before: {note}" for note in fault.notes)
    match fault.kind:
        case "login":
            hint = (
                "log in (docker login, podman login) as somebody who may push, or name the file: --registry_auth_file"
            )
            return UserError("B451", message, notes=notes, hint=hint)
        case "unreachable" | "rate-limited":
            hint = "run it again: what has been uploaded is there, and the tag is what it was"
            return NetworkFault("B452", message, notes=notes, hint=hint)
        case "mismatch":
            hint = "run it again; if it stays, a proxy on the way or the registry itself is damaged"
            return UserError("B454", message, notes=notes, hint=hint)
        case "tls":
            hint = "trust it with --registry_ca=FILE, or speak plain http to it with --registry_insecure=HOST"
        case "missing":
            hint = "check the name: many registries want a project or repository to be made before it is pushed to"
        case _:
            hint = "check the name, and whether the registry can be written to"
    return UserError("B453", message, notes=notes, hint=hint)
