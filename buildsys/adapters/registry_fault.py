"""What can go wrong between us and an image registry: one exception, sorted by what its reader can do about it."""

from __future__ import annotations

from typing import Literal, Self, TypeAlias

FaultKind: TypeAlias = Literal[
    "unreachable", "login", "missing", "rate-limited", "refused", "mismatch", "too-large", "schema-1", "tls"
]
"""
unreachable   no answer, an answer that broke off, or "later" (408, 5xx)
login         no login, or one that is refused (401, 403); the message says which file it came from
missing       the registry answers, and has no such thing (404)
rate-limited  too many requests (429), still so after waiting as long as it was asked
refused       any other answer that is no success: read-only, no registry, a form that is not understood
mismatch      what arrived has another digest or size than what was asked for
too-large     a manifest of more than `MAX_MANIFEST` bytes
schema-1      a manifest of Docker's first schema, which has no digest of its content
tls           a certificate that cannot be trusted, or one of ours that cannot be read
"""

MAX_MANIFEST = 4 << 20
"""Bytes that a manifest may have (OCI distribution spec, "Pushing Manifests": at least this much is taken)."""


class RegistryFault(Exception):
    """A request failed. The message begins with the registry; `notes` tell what its mirrors said.

    `transient` tells whether the same may succeed later, `retry_after` how many seconds the server asks to wait;
    `status` is that of its answer, if that was the fault.
    """

    def __init__(
        self,
        message: str,
        kind: FaultKind,
        *,
        transient: bool = False,
        retry_after: float = 0.0,
        status: int = 0,
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.transient = transient
        self.retry_after = retry_after
        self.status = status
        self.notes = notes

    def amended(self, message: str, *, kind: FaultKind | None = None, notes: tuple[str, ...] | None = None) -> Self:
        """Return the same fault in other words."""
        return type(self)(
            message,
            self.kind if kind is None else kind,
            transient=self.transient,
            retry_after=self.retry_after,
            status=self.status,
            notes=self.notes if notes is None else notes,
        )
