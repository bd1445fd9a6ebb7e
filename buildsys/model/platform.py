"""Platforms a rootfs is built for: the operating system and the architecture names of Go and OCI."""

from __future__ import annotations

from typing import NamedTuple


class Platform(NamedTuple):
    """An OCI platform; `arch` is Go's GOARCH."""

    os: str
    arch: str

    def __str__(self) -> str:
        return f"{self.os}/{self.arch}"


ELF_MACHINES = {"amd64": 62, "arm64": 183}
"""e_machine of the ELF header by architecture (System V ABI, "ELF Header")."""
