"""A request: the parsed command line, with the steps that several commands share."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from buildsys.errors import UsageError

if TYPE_CHECKING:
    from buildsys.cli.options import Parsed
    from buildsys.cli.terminal import Terminal
    from buildsys.execution.executor import Options
    from buildsys.session import Place, Session
    from buildsys.snapshot import Seen


@dataclass(slots=True)
class Request:
    """What was asked for: the command, its options, and where it was asked."""

    argv: list[str]
    command: str
    options: Parsed
    startup: Parsed
    terminal: Terminal
    rc_files: list[Seen] = field(default_factory=list)
    """What `stat` said of each rc file before it was read."""
    began_ns: int = 0

    @property
    def patterns(self) -> list[str]:
        """The target patterns; those behind `--` may exclude."""
        return [*self.options.words, *self.options.after]

    def place(self) -> Place:
        """Find the workspace."""
        from buildsys.session import locate

        place = locate(os.getcwd(), output_base=self.startup.text("output_base"), store=self.options.text("disk_cache"))
        self.terminal.root = place.root
        return place

    def open(self) -> Session:
        """Open the workspace around the working directory."""
        from buildsys.session import open_workspace

        return open_workspace(self.place())

    def params(self) -> dict[str, str]:
        """Return the parameters given with --param."""
        found = {}
        for text in self.options.list("param"):
            name, equals, value = text.partition("=")
            if not equals or not name:
                raise UsageError(
                    "B011", f"--param: '{text}' is no NAME=VALUE", hint="write --param=kubernetes=v1.28.15"
                )
            found[name.strip()] = value
        return found

    def execution(self) -> Options:
        """Return how actions are to run."""
        from buildsys.execution.executor import Options
        from buildsys.model.action import Fetching

        options = self.options
        try:
            scale = float(options.text("http_timeout_scaling"))
        except ValueError as error:
            raise UsageError("B011", f"--http_timeout_scaling: {error}", hint="write a number such as 2.0") from error
        fetching = Fetching(
            distdirs=tuple(os.path.abspath(folder) for folder in options.list("distdir")),
            attempts=max(1, options.number("http_connector_attempts")),
            timeout_scale=scale,
        )
        return Options(
            jobs=_jobs(options.text("jobs")),
            downloads=max(1, options.number("http_max_parallel_downloads")),
            keep_going=options.flag("keep_going"),
            fetching=fetching,
        )


def _jobs(text: str) -> int:
    cores = len(os.sched_getaffinity(0))
    if text in {"auto", "HOST_CPUS"}:
        return cores
    factor = text.removeprefix("HOST_CPUS*")
    try:
        count = int(cores * float(factor)) if factor != text else int(text)
    except ValueError:
        count = 0
    if count < 1 and factor == text:
        raise UsageError("B011", f"--jobs: '{text}' is not one of: a number, auto, HOST_CPUS, HOST_CPUS*<float>")
    return max(1, min(count, 5000))
