"""`python -m benchmarks rootfs|graph|matrix|images`: buildsys and its peers build the same things side by side.

Writes JSON, a page with tables, and plots to --out (docs/benchmarks). docs/benchmarks/README.md says what is measured.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import graph, images, matrix, rootfs
from benchmarks.chart import chart
from benchmarks.page import page
from benchmarks.peers import PEERS
from benchmarks.peers.images import PEERS as PULLERS
from benchmarks.peers.matrix import PEERS as LOOPS

if TYPE_CHECKING:
    from benchmarks.peers.peer import Peer
    from benchmarks.results import Result

OUT = Path(__file__).parents[1] / "docs/benchmarks"


def main() -> None:
    """Parse the arguments, measure, and write what was found."""
    options = _parser().parse_args()
    names = options.peers.split(",")
    kinds: dict[str, dict[str, type[Peer]]] = {"matrix": dict(LOOPS), "images": PULLERS}
    known = kinds.get(options.benchmark, PEERS)
    if unknown := sorted({*names} - set(known)):
        raise SystemExit(f"no such peer: {', '.join(unknown)}; there are {', '.join(known)}")
    with tempfile.TemporaryDirectory(prefix="buildsys-benchmark-") as place:
        folder = Path(place)
        if options.benchmark == "rootfs":
            result = rootfs.measure(folder, names, options.rounds, options.blobs, options.megabytes << 20)
        elif options.benchmark == "matrix":
            size = options.megabytes << 20
            result = matrix.measure(folder, names, options.rounds, options.releases, size, options.many)
        elif options.benchmark == "images":
            result = images.measure(folder, names, options.rounds, options.images, options.megabytes << 20)
        else:
            sizes = [int(word) for word in options.nodes.split(",")]
            result = graph.measure(folder, names, options.rounds, sizes)
    write(result, options.out)


def write(result: Result, out: Path) -> None:
    """Write the result to a folder, and its page to the terminal."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{result.benchmark}.json").write_text(result.to_json())
    for contest in result.contests:
        (out / f"{contest.name}.svg").write_text(chart(contest))
    text = page(result)
    (out / f"{result.benchmark}.md").write_text(text)
    print(text, end="")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    chosen = parser.add_subparsers(dest="benchmark", required=True)
    for name, doc, rounds, peers in (
        ("rootfs", rootfs.__doc__, 5, ",".join(PEERS)),
        ("graph", graph.__doc__, 5, ",".join(PEERS)),
        ("matrix", matrix.__doc__, 3, ",".join(LOOPS)),
        ("images", images.__doc__, 5, ",".join(PULLERS)),
    ):
        one = chosen.add_parser(name, description=doc)
        one.add_argument("--rounds", type=int, default=rounds, help=f"how often each scenario is measured ({rounds})")
        one.add_argument("--peers", default=peers, help=f"those beside buildsys ({peers})")
        one.add_argument("--out", type=Path, default=OUT, help="the folder of the results (docs/benchmarks)")
        if name == "rootfs":
            one.add_argument("--megabytes", type=int, default=480, help="the size of all blobs (480)")
            one.add_argument("--blobs", type=int, default=24, help="how many blobs (24)")
        elif name == "matrix":
            one.add_argument("--releases", type=int, default=10, help="how many releases of a minor (10)")
            one.add_argument("--megabytes", type=int, default=24, help="the size of the blobs of a rootfs (24)")
            one.add_argument("--many", type=int, default=200, help="releases of small rootfs; 0 leaves them out (200)")
        elif name == "images":
            one.add_argument("--images", type=int, default=30, help="how many images (30)")
            one.add_argument("--megabytes", type=int, default=200, help="the size of all of them (200)")
        else:
            one.add_argument("--nodes", default="1000,10000", help="how many nodes: numbers with commas (1000,10000)")
    return parser


if __name__ == "__main__":
    main()
