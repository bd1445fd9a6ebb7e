"""Whether a build wants stand-ins of what comes from the network: the convention that rules share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from buildsys.sdk.context import Context

SOURCE = "source"
"""The parameter that says where files come from, in workspaces that declare it."""

SAMPLE = "sample"
"""Its value for stand-ins."""


def wants_sample(ctx: Context) -> bool:
    """Tell whether the workspace has a parameter `source` and it is `sample`."""
    return ctx.has_param(SOURCE) and ctx.param(SOURCE) == SAMPLE
