"""What a command costs: its children, orphans and daemons are counted; what others do is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measure import disk_usage, run
from benchmarks.mirror import make_mirror
from benchmarks.server import Server

ENVIRONMENT = {"PATH": os.environ["PATH"]}
EAT = "data = b'x' * {megabytes}_000_000; import time; time.sleep(0.3)"
BURN = "import time; end = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
WAIT = "until [ -e done ]; do sleep 0.1; done"


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def test_memory_is_that_of_all_processes_together(tmp_path: Path) -> None:
    one = run(python(EAT.format(megabytes=60)), tmp_path, ENVIRONMENT, tmp_path / "log")
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-S', '-c', {EAT.format(megabytes=60)!r}]);"
    two = run(python(code + EAT.format(megabytes=60)), tmp_path, ENVIRONMENT, tmp_path / "log")
    assert 60 < one.rss < 100
    assert one.rss + 60 < two.rss < 200


def test_a_short_command_is_measured_though_it_ends_between_two_looks(tmp_path: Path) -> None:
    sample = run(python("data = b'x' * 50_000_000"), tmp_path, ENVIRONMENT, tmp_path / "log")
    assert sample.rss > 50


def test_what_a_command_leaves_behind_is_counted(tmp_path: Path) -> None:
    daemon = f"{BURN}\nopen('part', 'w').write(str(os.getpid()))\nos.rename('part', 'done')\ntime.sleep(60)"
    orphan = f"import os\nif os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n  exec({daemon!r})\n os._exit(0)"
    sample = run(["sh", "-c", f'"$@"; {WAIT}', "sh", *python(orphan)], tmp_path, ENVIRONMENT, tmp_path / "log")
    os.kill(int((tmp_path / "done").read_text()), signal.SIGKILL)
    assert sample.cpu >= 0.45


def test_daemons_of_earlier_commands_are_counted_from_now_on(tmp_path: Path) -> None:
    code = f"{BURN}\nprint(1, flush=True); input()\n{BURN}\nopen('done', 'w'); input()"
    command = python(code)
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdin is not None
        assert daemon.stdout is not None
        daemon.stdout.readline()
        script = f"echo >/proc/{daemon.pid}/fd/0; {WAIT}"
        sample = run(["sh", "-c", script], tmp_path, ENVIRONMENT, tmp_path / "log", [daemon.pid])
        daemon.stdin.write(b"\n")
    assert 0.45 <= sample.cpu < 0.9


def test_a_failure_shows_what_was_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no luck"):
        run(["sh", "-c", "echo no luck; exit 3"], tmp_path, ENVIRONMENT, tmp_path / "log")


def test_a_file_with_two_names_takes_its_place_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x" * 100_000)
    before = disk_usage(tmp_path)
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    assert before == disk_usage(tmp_path) >= 100_000


def test_the_mirror_is_the_same_every_time(tmp_path: Path) -> None:
    first, second = (make_mirror(tmp_path / name, 6, 3_000_000, 3) for name in ("one", "two"))
    assert first.versions == second.versions
    new = [{a.name for a, b in zip(first.versions[0], other, strict=True) if a != b} for other in first.versions]
    assert new == [set(), *[{"blob-01", "blob-02", "blob-04"}] * 2]
    assert 2_000_000 < sum(blob.size for blob in first.versions[0]) < 4_000_000
    assert len({blob.sha256 for version in first.versions for blob in version}) == 6 + 2 * 3


def test_the_server_counts(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"x" * 1000)
    with Server(tmp_path) as server:
        before = server.counts()
        for path, code in (("blob", "200"), ("blob", "200"), ("missing", "404")):
            done = subprocess.run(
                ["curl", "-s", "-o", str(tmp_path / "out"), "-w", "%{http_code}", f"{server.url}/{path}"],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.stdout == code
        assert server.counts().since(before) == (3, 2000)
