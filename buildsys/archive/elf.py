"""ELF: telling the machine of a binary, and writing the smallest static program, which prints a line and exits 0."""

from __future__ import annotations

import struct

from buildsys.model.platform import ELF_MACHINES

_BASE = 0x400000
_HEADERS = 64 + 56
_ALIGN = 0x10000
"""Segments are aligned for kernels with 64 KiB pages, which some arm64 distributions have."""


def elf_machine(header: bytes) -> int | None:
    """Return e_machine of the ELF header that `header` begins with, or None if it is no ELF (System V ABI, ch. 4)."""
    if len(header) < 20 or header[:4] != b"\x7fELF" or header[5] not in {1, 2}:
        return None
    return int.from_bytes(header[18:20], "little" if header[5] == 1 else "big")


def printing_elf(arch: str, message: str) -> bytes:
    """Return a static Linux executable for `arch` (amd64 or arm64) that prints `message` and a newline, and exits 0.

    It ignores its arguments. The bytes depend on `arch` and `message` alone. Raises `ValueError` for other
    architectures and for messages of 4 GiB.
    """
    text = message.encode() + b"\n"
    if arch == "amd64":
        code = _amd64(len(text))
    elif arch == "arm64":
        code = _arm64(len(text))
    else:
        raise ValueError(f"no program can be written for '{arch}'; known: {', '.join(ELF_MACHINES)}")
    size = _HEADERS + len(code) + len(text)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 2, ELF_MACHINES[arch], 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, _ALIGN)
    return ident + header + segment + code + text


def _amd64(length: int) -> bytes:
    """Write(1, text, length), exit(0); the text follows the code."""
    ending = b"\xba" + struct.pack("<I", length) + b"\x0f\x05"  # mov edx, length; syscall
    ending += b"\xb8\x3c\x00\x00\x00\x31\xff\x0f\x05"  # mov eax, 60; xor edi, edi; syscall
    start = b"\xb8\x01\x00\x00\x00\xbf\x01\x00\x00\x00"  # mov eax, 1; mov edi, 1
    return start + b"\x48\x8d\x35" + struct.pack("<i", len(ending)) + ending  # lea rsi, [rip + ending]


def _arm64(length: int) -> bytes:
    """Write(1, text, length), exit(0); the text follows the code."""
    if length >> 32:
        raise ValueError("the message is too long")
    distance = 7 * 4
    return struct.pack(
        "<9I",
        0xD2800808,  # mov x8, 64
        0xD2800020,  # mov x0, 1
        0x10000001 | (distance >> 2) << 5,  # adr x1, text
        0xD2800002 | (length & 0xFFFF) << 5,  # movz x2, length
        0xF2A00002 | (length >> 16) << 5,  # movk x2, length >> 16, lsl 16
        0xD4000001,  # svc 0
        0xD2800BA8,  # mov x8, 93
        0xD2800000,  # mov x0, 0
        0xD4000001,  # svc 0
    )
