"""Download: one pinned file, streamed into the store and renamed there only when it is what was pinned."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from buildsys.archive.streams import copy
from buildsys.errors import BuildError, DependencyError, Location, NetworkFault
from buildsys.model.action import ActionIO, BaseOperation, BlobWriter, exempt
from buildsys.model.digest import digest_stream

SNIFFED = 512
"""Bytes kept of what arrives, to say what it is when it is not what was pinned."""

LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Download(BaseOperation):
    """The file with digest `sha256`, from the first of `urls` that has it.

    Fails with `NetworkFault` B411 (unreachable, server error), `DependencyError` B412 (404 and other refusals), B413
    (something else arrived), B415 (a mirror that is not set) or B416 (the downloader configuration blocks every
    address). A file that is in the store, or under its name in a distribution folder, is not fetched.
    """

    MNEMONIC: ClassVar[str] = "Download"
    VERSION: ClassVar[int] = 1
    POOL: ClassVar[str] = "network"

    sha256: str
    executable: bool = False
    urls: tuple[str, ...] = exempt("where a pinned file comes from does not change it")
    what: str = exempt("the pin's name, for messages", default="")
    at: Location | None = exempt("where the file is declared, for messages", default=None)
    unset: str = exempt("the parameter that `urls` are relative to, while it has no value", default="")

    def execute(self, io: ActionIO) -> None:
        """Find the file in the store, in a distribution folder, or on the network."""
        if io.adopt(self.sha256, executable=self.executable):
            return
        strangers = self._from_distdir(io)
        if strangers is None:
            return
        if self.unset:
            raise unset_mirror(self.what, self.unset, self.at)
        faults: list[BuildError] = []
        addresses = [address for url in self.urls for address in io.fetching.rewriter.amend(url)]
        if not addresses:
            raise self._blocked(io.fetching.rewriter.message)
        for url in dict.fromkeys(addresses):
            try:
                self._fetch(io, url)
            except (NetworkFault, DependencyError) as fault:
                faults.append(fault)
            else:
                return
        gravest = next((fault for fault in faults if fault.code == "B413"), faults[-1])
        gravest.notes = (*gravest.notes, *(f.message for f in faults if f is not gravest), *strangers)
        raise gravest

    def _blocked(self, message: str) -> DependencyError:
        return DependencyError(
            "B416",
            f"{self.what or self.sha256}: the downloader configuration blocks every address of it",
            notes=(*(f"from    {url}" for url in self.urls), *((message,) if message else ())),
            hint="rewrite or allow one of them in the file of --downloader_config, or give the file by --distdir=DIR",
        )

    def _from_distdir(self, io: ActionIO) -> list[str] | None:
        """Take the file from a distribution folder, where it lies under the last part of its URL or its digest.

        Returns None when it was there, else a remark on each other file of that name.
        """
        strangers: list[str] = []
        names = dict.fromkeys([*(url.rpartition("/")[2] for url in self.urls), self.sha256])
        for folder in io.fetching.distdirs:
            for name in names:
                path = os.path.join(folder, name)
                if not os.path.isfile(path):
                    continue
                with open(path, "rb", buffering=0) as stream:
                    found = digest_stream(stream)[0]
                    if found != self.sha256:
                        strangers.append(f"{path} is another file: sha256:{found}")
                        continue
                    stream.seek(0)
                    with io.create_blob() as writer:
                        copy(stream, writer)
                if io.adopt(self.sha256, executable=self.executable):
                    return None
        return strangers

    def _fetch(self, io: ActionIO, url: str) -> None:
        from buildsys.adapters.http import HttpFault

        attempts = max(1, io.fetching.attempts)
        for attempt in range(1, attempts + 1):
            try:
                self._attempt(io, url)
            except HttpFault as fault:
                if fault.transient and attempt < attempts:
                    io.pause(_pause(io.fetching.backoff_seconds, attempt, fault.retry_after))
                    continue
                raise self._refused(url, fault, attempt) from fault
            io.adopt(self.sha256, executable=self.executable)
            return

    def _attempt(self, io: ActionIO, url: str) -> None:
        """Fetch once; a body that breaks off is asked for again from where it broke."""
        from buildsys.adapters import http

        head = bytearray()
        with io.create_blob() as writer:
            etag, total = "", None
            for _ in range(max(1, io.fetching.attempts)):
                scale = io.fetching.timeout_scale
                with (
                    http.get(url, offset=writer.size, etag=etag, timeout_scale=scale) as answer,
                    io.waking(answer.abort),
                ):
                    if answer.offset != writer.size:
                        raise http.HttpFault("broke off, and the server cannot resume it", transient=True)
                    etag, total = answer.etag, answer.total
                    for chunk in answer.chunks:
                        head += chunk[: max(0, SNIFFED - len(head))]
                        writer.write(chunk)
                        io.transferred(self.what or url, writer.size, total)
                if total is None or writer.size >= total or not etag:
                    break
                io.pause(_pause(io.fetching.backoff_seconds, 1, 0.0))
            if total is not None and writer.size < total:
                raise http.HttpFault(f"truncated at {writer.size} of {total} bytes", transient=True)
            if writer.hexdigest() != self.sha256:
                raise self._mismatch(url, writer, bytes(head))

    def _mismatch(self, url: str, writer: BlobWriter, head: bytes) -> DependencyError:
        arrived = _described(head, writer.size)
        return DependencyError(
            "B413",
            f"{self.what or url}: what arrived is not what is pinned: {arrived}",
            at=self.at,
            notes=(f"from    {url}", f"pinned  sha256:{self.sha256}", f"arrived sha256:{writer.hexdigest()}"),
            hint="if upstream has changed the file on purpose, update its line in the lock file",
        )

    def _refused(self, url: str, fault: object, attempts: int) -> NetworkFault | DependencyError:
        from buildsys.adapters.http import HttpFault

        assert isinstance(fault, HttpFault)  # noqa: S101 - the caller caught one; imported lazily
        tried = f" ({attempts} attempts)" if attempts > 1 else ""
        message = f"{self.what or url}: {url}: {fault.message}{tried}"
        if fault.transient:
            hint = "check the network and the address; --distdir=DIR takes files that are here already"
            return NetworkFault("B411", message, at=self.at, hint=hint)
        hint = "check the address and the version; --distdir=DIR takes files that are here already"
        return DependencyError("B412", message, at=self.at, hint=hint)


def unset_mirror(what: str, parameter: str, at: Location | None) -> DependencyError:
    """Return the error for a file whose addresses are relative to a parameter that has no value."""
    return DependencyError(
        "B415",
        f"{what}: the parameter '{parameter}', where it comes from, is not set",
        at=at,
        hint=f"give --param={parameter}=URL, or add to .buildsysrc: build --param={parameter}=URL",
    )


def _pause(base: float, attempt: int, retry_after: float) -> float:
    """Return how long to wait before the next attempt: what the server asked for, else twice as long each time."""
    import random

    backoff = base * 2.0 ** (attempt - 1) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, not a secret
    return max(retry_after, min(backoff, LONGEST_PAUSE))


def _described(head: bytes, size: int) -> str:
    """Say what a body is by its first bytes."""
    start = head.lstrip().lower()
    if not size:
        return "an empty file"
    if start.startswith((b"<!doctype html", b"<html")):
        return f"an HTML page of {size} bytes"
    if start.startswith(b"<?xml"):
        return f"an XML document of {size} bytes"
    if size <= SNIFFED and head.isascii() and head.decode("ascii").isprintable():
        return f"the text '{head.decode('ascii')[:60]}'"
    return f"a file of {size} bytes"
