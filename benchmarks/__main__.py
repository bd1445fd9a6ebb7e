"""`python -m benchmarks rootfs`: buildsys, make and a shell script build one rootfs side by side.

Writes `rootfs.json` and `rootfs.md` to --out (docs/benchmarks): medians, and ratios to the peers of the same run.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import buildsys
from benchmarks.measure import Figure, repeat, run
from benchmarks.mirror import make_mirror
from benchmarks.peers import Buildsys, Make, Peer, Shell

SCENARIOS = ("COLD", "NULL", "TOUCH", "EDIT1", "REVERT")


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("benchmark", choices=["rootfs"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=480, help="size of all blobs")
    parser.add_argument("--blobs", type=int, default=24)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs/benchmarks")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="buildsys-benchmark-") as folder:
        result = rootfs(Path(folder), options.rounds, options.blobs, options.megabytes << 20)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "rootfs.json").write_text(json.dumps(result, indent=1) + "\n")
    text = table(result)
    (options.out / "rootfs.md").write_text(text)
    print(text)


def rootfs(folder: Path, rounds: int, count: int, size: int) -> dict[str, object]:
    """Measure every scenario of every peer, and check that all made the same tree."""
    with ProcessPoolExecutor(1) as aside:  # its memory is not to be counted with that of the contestants
        blobs = aside.submit(make_mirror, folder / "mirror", count, size).result()
    peers: list[Peer] = []
    for kind in (Buildsys, Make, Shell):
        place = folder / kind.__name__.lower()
        place.mkdir()
        peers.append(kind(place, blobs))
    compileall.compile_dir(str(Path(buildsys.__file__).parent), quiet=1)
    figures: dict[str, dict[str, Figure]] = {}
    for peer in peers:
        peer.set_up()
        figures[peer.name] = scenarios(peer, rounds)
        print(f"{peer.name} done", file=sys.stderr)
    trees = {listing(peer.tarball) for peer in peers}
    if len(trees) != 1:
        raise SystemExit("the peers made different trees")
    bare = repeat(lambda: None, lambda: run([sys.executable, "-c", "pass"], folder, os.environ), max(rounds, 5))
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "blobs": len(blobs),
        "bytes": sum(blob.size for blob in blobs),
        "tarball_bytes": {peer.name: peer.tarball.stat().st_size for peer in peers},
        "rounds": rounds,
        "python_c_pass": bare._asdict(),
        "figures": {name: {s: f._asdict() for s, f in found.items()} for name, found in figures.items()},
    }


def scenarios(peer: Peer, rounds: int) -> dict[str, Figure]:
    """Measure one peer."""
    counter = iter(range(1 << 30))

    def settled() -> None:
        time.sleep(0.15)  # a file changed a moment ago is looked at again by whoever keys on content

    def edited() -> None:
        peer.edit(next(counter))
        settled()

    def reverted() -> None:
        peer.edit(next(counter))
        peer.build()
        peer.edit(-1)
        settled()

    def touched() -> None:
        os.utime(peer.folder / peer.template(0))
        settled()

    found = {"COLD": repeat(peer.forget, peer.build, rounds)}
    peer.edit(-1)
    _settle(peer.build)
    found["NULL"] = repeat(settled, peer.build, rounds)
    found["TOUCH"] = repeat(touched, peer.build, rounds)
    _settle(peer.build)
    found["EDIT1"] = repeat(edited, peer.build, rounds)
    found["REVERT"] = repeat(reverted, peer.build, rounds)
    return found


def _settle(build: object) -> None:
    assert callable(build)
    for _ in range(3):
        build()
        time.sleep(0.15)


def listing(tarball: Path) -> str:
    """Return names and digests of the files in a tarball, whatever their order and metadata."""
    command = f"zstd -dcq '{tarball}' | tar -xf - --to-command='sha256sum | cut -c1-64 | sed \"s|\\$| $TAR_FILENAME|\"'"
    out = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout
    return "\n".join(sorted(line.replace(" ./", " ") for line in out.splitlines()))


def table(result: dict[str, object]) -> str:
    """Return the result as a page of markdown."""
    figures = result["figures"]
    assert isinstance(figures, dict)
    what = (
        f"`python -m benchmarks rootfs`, {time.strftime('%Y-%m-%d')}: {result['blobs']} blobs of"
        f" {int(str(result['bytes'])) / 1e6:.0f} MB in all, 24 templates, one .tar.zst; {result['machine']}; median of"
        f" {result['rounds']} rounds (lowest .. highest), seconds of wall clock."
    )
    lines = [
        "# One rootfs, side by side",
        "",
        what,
        "",
        "| | " + " | ".join(SCENARIOS) + " | peak RSS MB |",
        "|---|" + "--:|" * (len(SCENARIOS) + 1),
    ]
    for name, found in figures.items():
        cells = [f"{f['wall']:.3f} ({f['low']:.3f} .. {f['high']:.3f})" for f in (found[s] for s in SCENARIOS)]
        lines.append(f"| {name} | {' | '.join(cells)} | {max(f['rss'] for f in found.values()):.0f} |")
    lines += ["", "buildsys as a multiple of each peer (below 1: buildsys is faster):", ""]
    lines += ["| | " + " | ".join(SCENARIOS) + " |", "|---|" + "--:|" * len(SCENARIOS)]
    own = figures["buildsys"]
    for name, found in figures.items():
        if name != "buildsys":
            lines.append(
                f"| {name} | " + " | ".join(f"{own[s]['wall'] / found[s]['wall']:.2f}" for s in SCENARIOS) + " |"
            )
    bare = result["python_c_pass"]
    sizes = result["tarball_bytes"]
    assert isinstance(bare, dict)
    assert isinstance(sizes, dict)
    made = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sizes.items())
    ratio = own["NULL"]["wall"] / bare["wall"]
    lines += [
        "",
        f"`python -c pass` took {bare['wall']:.3f} s; the null build is {ratio:.2f} times that. Tarballs: {made}.",
        "make and the shell script verify less: make trusts modification times. All three made the same tree.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
