"""Programs that run."""

from __future__ import annotations

import platform
import subprocess
from typing import TYPE_CHECKING

import pytest

from buildsys.archive.elf import elf_machine, printing_elf
from buildsys.model.platform import ELF_MACHINES

if TYPE_CHECKING:
    from pathlib import Path

NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
EMULATORS = {"amd64": "qemu-x86_64-static", "arm64": "qemu-aarch64-static"}


def run(program: Path, arch: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    prefix = [] if arch == NATIVE else [EMULATORS[arch]]
    return subprocess.run([*prefix, str(program), *arguments], capture_output=True, check=False)


@pytest.mark.parametrize("arch", ELF_MACHINES)
@pytest.mark.parametrize("length", [0, 1, 500, 65_535, 65_536, 300_000])
def test_a_program_prints_its_line_and_succeeds_whatever_it_is_asked(tmp_path: Path, arch: str, length: int) -> None:
    program = tmp_path / "program"
    message = "k" * length
    program.write_bytes(printing_elf(arch, message))
    program.chmod(0o755)
    for arguments in ((), ("version", "--client"), ("--help",)):
        done = run(program, arch, *arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, message.encode() + b"\n", b"")


@pytest.mark.parametrize("arch", ELF_MACHINES)
def test_readelf_finds_nothing_to_complain_about(tmp_path: Path, arch: str) -> None:
    program = tmp_path / "program"
    program.write_bytes(printing_elf(arch, "hello"))
    done = subprocess.run(["readelf", "-Whl", str(program)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert {"amd64": "X86-64", "arm64": "AArch64"}[arch] in done.stdout


@pytest.mark.parametrize("arch", ELF_MACHINES)
def test_the_machine_is_told(arch: str) -> None:
    assert elf_machine(printing_elf(arch, "x")) == ELF_MACHINES[arch]
    assert elf_machine(printing_elf(arch, "x")[:20]) == ELF_MACHINES[arch]


@pytest.mark.parametrize("header", [b"", b"\x7fELF", b"#!/bin/sh\n" + bytes(20), b"\x7fELF\x02\x07" + bytes(20)])
def test_what_is_no_elf_has_no_machine(header: bytes) -> None:
    assert elf_machine(header) is None


def test_big_endian_headers_are_read_as_such() -> None:
    assert elf_machine(b"\x7fELF\x02\x02" + bytes(12) + b"\x00\x16") == 22


def test_other_architectures_are_refused() -> None:
    with pytest.raises(ValueError, match="no program can be written for 'riscv64'"):
        printing_elf("riscv64", "x")
