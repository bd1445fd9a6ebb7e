"""The harness, run for real on little: tables, plots and JSON of a rootfs and of a graph, with make and ninja."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

PEERS = ["buildsys", "make", "ninja"]
SCENARIOS = ["COLD", "NULL", "TOUCH", "EDIT1", "VERSION", "REVERT", "CLEAN+CACHE"]
REPOSITORY = Path(__file__).parents[2]


def harness(out: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *words, "--rounds=1", f"--out={out}"]
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    environment = {**kept, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=out, env=environment, capture_output=True, text=True, check=False)


def test_a_rootfs(tmp_path: Path) -> None:
    done = harness(tmp_path, "rootfs", "--megabytes=4", "--blobs=5", "--peers=make,ninja")
    assert done.returncode == 0, done.stderr
    (contest,) = json.loads((tmp_path / "rootfs.json").read_text())["contests"]
    assert {peer: list(found) for peer, found in contest["figures"].items()} == dict.fromkeys(PEERS, SCENARIOS)
    for peer, found in contest["figures"].items():
        check_figures(peer, found)
    check_page((tmp_path / "rootfs.md").read_text())
    check_plot(tmp_path / "rootfs.svg")


def test_images(tmp_path: Path) -> None:
    done = harness(tmp_path, "images", "--megabytes=3", "--images=6")
    assert done.returncode == 0, done.stderr
    (contest,) = json.loads((tmp_path / "images.json").read_text())["contests"]
    peers, scenarios = ["buildsys", "skopeo-copy", "skopeo-sync"], ["COLD", "NULL", "IMAGE1"]
    assert {peer: list(found) for peer, found in contest["figures"].items()} == dict.fromkeys(peers, scenarios)
    assert "**buildsys**" in (tmp_path / "images.md").read_text()


def check_figures(peer: str, found: dict[str, Any]) -> None:
    for figure in found.values():
        assert 0 < figure["low"] <= figure["wall"] <= figure["high"]
        assert 0 < figure["cpu"] < 60
        assert 1 < figure["rss"] < 1000
    requests = {name: figure["requests"] for name, figure in found.items() if figure["requests"]}
    assert requests == {"COLD": 5, "VERSION": 3}, f"{peer} downloads what is new and nothing else"
    assert found["COLD"]["downloaded"] > found["VERSION"]["downloaded"] > 1e6


def check_page(text: str) -> None:
    rows = re.findall(r"^\| (\S[^|]*) \|(.*)\|$", text.partition("Seconds of CPU")[0], re.MULTILINE)
    assert [name for name, _ in rows] == [*PEERS, "target", "**buildsys**"]
    judged = [cell.strip() for cell in rows[-1][1].split("|")]
    assert len(judged) == 8
    assert all(re.fullmatch(r"\d+\.\d\d x: (met|\*\*.* too slow\*\*)", cell) for cell in judged[:-1])
    assert "buildsys-benchmark-" not in text, "places of this run are of no use to anybody"


def check_plot(path: Path) -> None:
    texts = {element.text for element in ET.parse(path).getroot().iter("{http://www.w3.org/2000/svg}text")}
    assert {*PEERS, *SCENARIOS} <= texts


def test_a_graph(tmp_path: Path) -> None:
    done = harness(tmp_path, "graph", "--nodes=130,7", "--peers=make,ninja")
    assert done.returncode == 0, done.stderr
    contests = json.loads((tmp_path / "graph.json").read_text())["contests"]
    assert [contest["title"] for contest in contests] == ["130 nodes", "7 nodes"]
    for contest in contests:
        scenarios = {peer: list(found) for peer, found in contest["figures"].items()}
        assert scenarios == {peer: ["COLD", "NULL", "EDIT1"] for peer in PEERS}
    assert {path.name for path in tmp_path.glob("*.svg")} == {"graph-130.svg", "graph-7.svg"}


def test_a_matrix(tmp_path: Path) -> None:
    done = harness(tmp_path, "matrix", "--releases=2", "--megabytes=1", "--many=3")
    assert done.returncode == 0, done.stderr
    minor, many = json.loads((tmp_path / "matrix.json").read_text())["contests"]
    assert (minor["title"], many["title"]) == ("One minor: 2 releases, 8 rootfs", "12 rootfs of small files")
    steps = ["ONE", "OTHER", "COLD", "NULL", "ADD"]
    assert {peer: list(found) for peer, found in minor["figures"].items()} == dict.fromkeys(
        ["buildsys", "shell"], steps
    )
    for found in minor["figures"].values():
        assert [found[name]["requests"] for name in steps] == [7, 2, 2 * (2 + 2 * 2) + 2 * 2 * 3, 0, 6]
    counts = minor["counts"]["buildsys"]
    actions = [counts[name]["actions that ran"] for name in steps]
    assert actions == [7 + 24 + 2, 2 + 2 + 2, 24 + 24 + 2 + 2 + 16, 0, 6 + 2 + 8]
    store = {name: counts[name]["MB added to the store"] for name in steps}
    assert store["NULL"] == 0
    assert store["OTHER"] < store["ONE"] / 2
    assert store["ADD"] < store["COLD"] / 2
    assert list(many["figures"]["buildsys"]) == ["COLD", "NULL"]
    page = (tmp_path / "matrix.md").read_text()
    assert page.count("times as many.") == 2, "what `cache stats` says"
    assert {path.name for path in tmp_path.glob("*.svg")} == {"matrix.svg", "matrix-many.svg"}


def test_a_matrix_has_peers_of_its_own(tmp_path: Path) -> None:
    done = harness(tmp_path, "matrix", "--peers=ninja")
    assert done.returncode == 1
    assert done.stderr.startswith("no such peer: ninja; there are buildsys, shell")


def test_an_unknown_peer_is_refused(tmp_path: Path) -> None:
    done = harness(tmp_path, "rootfs", "--peers=cmake")
    assert done.returncode == 1
    assert done.stderr.startswith("no such peer: cmake; there are buildsys, shell, make, ninja, bazel")
