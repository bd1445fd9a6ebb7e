"""A contest as a bar chart in SVG: a group of bars a scenario, a bar a peer, on a logarithmic scale."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.results import Contest

_COLOURS = ("#1f6feb", "#8c959f", "#bf8700", "#2da44e", "#8250df", "#cf222e")
_LEFT, _WIDTH, _RIGHT, _BAR, _GAP, _TOP = 110, 560, 90, 13, 14, 50


def chart(contest: Contest) -> str:
    """Return the chart; the thin line across the end of a bar goes from the lowest to the highest time."""
    figures = [figure for found in contest.figures.values() for figure in found.values()]
    low = math.floor(math.log10(min(figure.low for figure in figures)))
    high = math.ceil(math.log10(max(figure.high for figure in figures)))

    def x(seconds: float) -> float:
        return _LEFT + _WIDTH * (math.log10(seconds) - low) / (high - low)

    parts: list[str] = []
    y = _TOP
    for scenario in contest.scenarios:
        middle = y + _BAR * len(contest.figures) / 2 + 4
        parts.append(f'<text x="{_LEFT - 8}" y="{middle:.0f}" text-anchor="end">{escape(scenario)}</text>')
        for number, found in enumerate(contest.figures.values()):
            figure = found[scenario]
            end, label = x(figure.wall), max(x(figure.wall), x(figure.high)) + 4
            parts += [
                f'<rect x="{_LEFT}" y="{y}" width="{end - _LEFT:.1f}" height="{_BAR - 2}" fill="{_colour(number)}"/>',
                f'<path d="M{x(figure.low):.1f} {y + 5.5}H{x(figure.high):.1f}" stroke="#24292f"/>',
                f'<text x="{label:.1f}" y="{y + _BAR - 3}" font-size="10">{figure.wall:.3f}</text>',
            ]
            y += _BAR
        y += _GAP
    grid = []
    for power in range(low, high + 1):
        place = x(10.0**power)
        grid += [
            f'<path d="M{place:.1f} {_TOP - 6}V{y - _GAP + 4}" stroke="#d0d7de"/>',
            f'<text x="{place:.1f}" y="{y + 4}" text-anchor="middle" font-size="10">{10.0**power:g} s</text>',
        ]
    keys = []
    place = _LEFT
    for number, name in enumerate(contest.figures):
        keys += [
            f'<rect x="{place}" y="24" width="10" height="10" fill="{_colour(number)}"/>',
            f'<text x="{place + 14}" y="33" font-size="11">{escape(name)}</text>',
        ]
        place += 26 + 7 * len(name)
    width, height = max(_LEFT + _WIDTH + _RIGHT, place), y + 16
    title = f'<text x="{_LEFT}" y="15" font-size="13">{escape(contest.title)}</text>'
    style = 'font-family="sans-serif" font-size="12"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {style}>'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        + "\n".join([title, *keys, *grid, *parts])
        + "\n</svg>\n"
    )


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]
