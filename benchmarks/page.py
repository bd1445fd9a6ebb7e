"""A result as a page of markdown: one row a peer, one of targets, one of how far buildsys is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.targets import PASS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.measure import Figure
    from benchmarks.results import Contest, Result


def page(result: Result) -> str:
    """Return the page."""
    bare = result.bare
    lines = [
        f"# {result.title}",
        "",
        result.what,
        "",
        f"Median of {result.rounds} rounds (lowest .. highest), all peers in turn in each round. {result.date}.",
        f"Machine: {result.machine}.",
        f"`{PASS}` took {bare.wall:.4f} s ({bare.low:.4f} .. {bare.high:.4f}) in the same run.",
    ]
    for contest in result.contests:
        lines += ["", *_contest(contest, bare)]
    lines += ["", "## How it was measured", "", f"    {result.command}", "", "Each peer is started by:", ""]
    lines += [f"- {name}: `{command}`" for name, command in result.contests[0].commands.items()]
    lines += ["", "What has to be known of them:", ""]
    lines += [f"- {name}: {remark}." for name, remark in result.remarks.items() if remark]
    lines += ["", "Versions:", ""]
    lines += [f"- {name}: {version}" for name, version in result.versions.items()]
    return "\n".join(lines) + "\n"


def _contest(contest: Contest, bare: Figure) -> list[str]:
    names = contest.scenarios
    memory = {target.scenario: target for target in contest.targets if not target.of}
    times = {target.scenario: target for target in contest.targets if target.of}
    shown = [name for name in names if name in memory] or [""]
    heads = [*names, *(f"peak RSS {name} MB".replace("  ", " ") for name in shown)]
    lines = [f"## {contest.title}", "", "Seconds of wall clock, and MB of memory of all processes together.", ""]
    lines += _head(heads)
    for peer, found in contest.figures.items():
        cells = [f"{found[name].wall:.3f} ({found[name].low:.3f} .. {found[name].high:.3f})" for name in names]
        cells += [f"{_rss(found, name):.0f}" for name in shown]
        lines.append(_row(peer, cells))
    lines += [_row(peer, [reason, *[""] * (len(heads) - 1)]) for peer, reason in contest.absent.items()]
    targets = [*(times.get(name) for name in names), *(memory.get(name) for name in shown)]
    lines.append(_row("target", [target.text if target else "" for target in targets]))
    verdicts = [target.verdict(contest.figures, bare) if target else "" for target in targets]
    lines += [_row("**buildsys**", verdicts), "", f"![{contest.title}]({contest.name}.svg)", ""]
    lines += ["Seconds of CPU, daemons included:", "", *_table(contest, lambda figure: f"{figure.cpu:.3f}")]
    if any(figure.requests for found in contest.figures.values() for figure in found.values()):
        counts = _table(contest, lambda figure: f"{figure.downloaded / 1e6:.1f} ({figure.requests})")
        lines += ["", "MB downloaded (requests):", "", *counts]
    lines += _counts(contest)
    disk = ", ".join(f"{peer} {size / 1e6:.0f} MB" for peer, size in contest.disk.items())
    lines += ["", f"On disk after {names[0]}, without what the user wrote: {disk}."]
    for note in contest.notes:
        lines += ["", note]
    return lines


def _counts(contest: Contest) -> list[str]:
    lines: list[str] = []
    for peer, found in contest.counts.items():
        kinds = list(dict.fromkeys(kind for counts in found.values() for kind in counts))
        rows = [_row(kind, (_count(kind, found[name].get(kind, 0)) for name in contest.scenarios)) for kind in kinds]
        lines += ["", f"Work of {peer}, in the last round:", "", *_head(contest.scenarios), *rows]
    return lines


def _count(kind: str, number: int) -> str:
    return f"{number / 1e6:.2f}" if kind.startswith("MB") else str(number)


def _rss(found: dict[str, Figure] | object, scenario: str) -> float:
    assert isinstance(found, dict)
    return max(figure.rss for name, figure in found.items() if scenario in {"", name})


def _table(contest: Contest, cell: Callable[[Figure], str]) -> list[str]:
    rows = [_row(peer, (cell(found[name]) for name in contest.scenarios)) for peer, found in contest.figures.items()]
    return [*_head(contest.scenarios), *rows]


def _head(names: list[str]) -> list[str]:
    return [_row("", names), "|---|" + "--:|" * len(names)]


def _row(title: str, cells: Iterable[str]) -> str:
    return f"| {title} | " + " | ".join(cells) + " |"
