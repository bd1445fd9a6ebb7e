"""What buildsys has to reach: ratios to peers of the same run, and limits of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.measure import Figure

OWN = "buildsys"
SECONDS = "s"
"""In place of a peer: the factor counts seconds."""
PASS = "python -c pass"
"""The yardstick of a null build: what starting an interpreter costs."""


class Target(NamedTuple):
    """The wall time of a scenario is at most `factor` times that of `of`: a peer, the yardstick, or its own scenario.

    Without `of` the target is about memory: at most `factor` MB; without a scenario, in all of them.
    """

    scenario: str
    factor: float
    of: str = ""

    @property
    def text(self) -> str:
        """The target as a table shows it."""
        if not self.of:
            return f"<= {self.factor:.0f}"
        if self.of == SECONDS:
            return f"<= {self.factor:g} s"
        if self.factor <= 0.5:
            return f"<= {self.of} / {1 / self.factor:.0f}"
        return f"<= {self.of}" if self.factor == 1 else f"<= {self.factor:g} x {self.of}"

    def verdict(self, figures: Mapping[str, Mapping[str, Figure]], bare: Figure) -> str:
        """Say how far buildsys is: what it reaches, and what is missing."""
        own = figures[OWN]
        if not self.of:
            reached = max(figure.rss for name, figure in own.items() if self.scenario in {"", name})
            over = reached - self.factor
            return f"{reached:.0f}: " + ("met" if over <= 0 else f"**{over:.0f} MB too much**")
        if self.of == SECONDS:
            wall = own[self.scenario].wall
            over = wall - self.factor
            return f"{wall:.3f} s: " + ("met" if over <= 0 else f"**{over:.3f} s too slow**")
        if self.of == PASS:
            reference = bare.wall
        elif self.of in own:
            reference = own[self.of].wall
        elif self.of in figures:
            reference = figures[self.of][self.scenario].wall
        else:
            return f"{self.of} was not measured"
        wall = own[self.scenario].wall
        over = wall - self.factor * reference
        return f"{wall / reference:.2f} x: " + ("met" if over <= 0 else f"**{over:.3f} s too slow**")


ROOTFS = (
    Target("COLD", 0.8, "ninja"),
    Target("NULL", 2, PASS),
    Target("TOUCH", 1, "ninja"),
    Target("EDIT1", 1 / 5, "ninja"),
    Target("VERSION", 1 / 2, "ninja"),
    Target("REVERT", 3, "NULL"),
    Target("CLEAN+CACHE", 1 / 5, "ninja"),
    Target("", 120),
)


MATRIX = (Target("NULL", 0.3, SECONDS), Target("", 120))
MATRIX_MANY = (Target("NULL", 0.3, SECONDS),)


IMAGES = (
    Target("COLD", 1, "skopeo-copy"),
    Target("NULL", 2, PASS),
    Target("IMAGE1", 1 / 2, "skopeo-copy"),
    Target("", 120),
)


def graph(nodes: int) -> tuple[Target, ...]:
    """Return the targets of a graph with so many nodes."""
    if nodes < 10_000:
        return (Target("NULL", 1.5, "ninja"), Target("EDIT1", 1.5, "ninja"))
    times = (Target("COLD", 1 / 5, "ninja"), Target("NULL", 1, "ninja"), Target("EDIT1", 1, "ninja"))
    return times if nodes < 100_000 else (*times, Target("NULL", 250), Target("COLD", 600))
