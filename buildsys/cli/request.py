"""A request: the parsed command line, with the steps that several commands share."""

from __future__ import annotations

import math
import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from buildsys.errors import UsageError
from buildsys.snapshot import look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from buildsys.cli.options import Parsed
    from buildsys.cli.terminal import Terminal
    from buildsys.execution.outcome import Options
    from buildsys.loading.place import Place
    from buildsys.model.access import Access
    from buildsys.model.events import Events
    from buildsys.model.rewriter import Rewriter
    from buildsys.opened import Session
    from buildsys.snapshot import Seen


@dataclass(slots=True)
class Request:
    """What was asked for: the command, its options, and where it was asked."""

    argv: list[str]
    """The command line without what has no say in what is made: its snapshot goes by these words."""
    typed: list[str]
    """The command line as it was given."""
    command: str
    options: Parsed
    startup: Parsed
    terminal: Terminal
    events: Events
    rc_seen: list[Seen] = field(default_factory=list)
    began_ns: int = 0
    remembers: bool = True
    """Whether the next such request may be answered from a snapshot. Where rc files ask for a profile, it may not."""

    @property
    def patterns(self) -> list[str]:
        """The target patterns; those behind `--` may exclude."""
        return [*self.options.words, *self.options.after]

    @property
    def text(self) -> str:
        """The command line as it could be typed again; bytes that are no text are replaced."""
        import shlex

        return shlex.join(self.typed).encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def place(self) -> Place:
        """Find the workspace."""
        from buildsys.loading.place import locate

        place = locate(
            os.getcwd(),
            command=self.command,
            output_base=self.startup.text("output_base"),
            store=str(self.options.values.get("disk_cache", "")),
        )
        self.terminal.root = place.root
        return place

    def open(self) -> Session:
        """Open the workspace around the working directory."""
        from buildsys.session import open_workspace

        return open_workspace(self.place())

    @contextmanager
    def alone(self, place: Place) -> Iterator[None]:
        """Keep other commands from writing to the output base of this workspace, as long as the context lasts."""
        from buildsys.store.lock import exclusive

        def waiting() -> None:
            self.terminal.note("Another command is running in this workspace. Waiting for it to complete...")

        lock = os.path.join(place.output_base, "lock")
        with ExitStack() as held:
            with self.events.phase("wait for the lock"):
                held.enter_context(exclusive(lock, wait=self.startup.flag("block_for_lock"), waiting=waiting))
            yield

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
        from buildsys.execution.outcome import Options
        from buildsys.model.action import Fetching

        options = self.options
        scale = _number(options.text("http_timeout_scaling"))
        if not 0 < scale < math.inf:
            text = options.text("http_timeout_scaling")
            message = f"--http_timeout_scaling: '{text}' is not a number above 0"
            raise UsageError("B011", message, hint="write --http_timeout_scaling=2.0")
        attempts = max(1, options.number("http_connector_attempts"))
        fetching = Fetching(
            distdirs=tuple(os.path.abspath(folder) for folder in options.list("distdir")),
            attempts=attempts,
            timeout_scale=scale,
            rewriter=self._rewriter(),
            access=self._access(attempts, scale),
        )
        return Options(
            jobs=_jobs(options.text("jobs")),
            downloads=max(1, options.number("http_max_parallel_downloads")),
            keep_going=options.flag("keep_going"),
            fetching=fetching,
        )

    def _access(self, attempts: int, scale: float) -> Callable[[], Access]:
        """Return what tells how registries are reached; found out at once where options say something about it."""

        def access() -> Access:
            from buildsys.cli import registries

            return registries.access(self.options, attempts, scale)

        if any(name.startswith("registry_") and value for name, value in self.options.values.items()):
            access()
        return access

    def _rewriter(self) -> Rewriter:
        """Read the file of --downloader_config; a snapshot then depends on it as on an rc file."""
        from buildsys.model import rewriter

        path = self.options.text("downloader_config")
        if not path:
            return rewriter.Rewriter()
        full = os.path.join(self.place().root, path)  # as in Bazel, so that it can stand in .buildsysrc
        self.rc_seen.append(look(full))
        try:
            with open(full, encoding="utf-8") as stream:
                text = stream.read()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise UsageError(
                "B018",
                f"--downloader_config={path}: {reason}",
                hint="name a file with lines such as `rewrite github.com/(.*) mirror.example/github/$1`",
            ) from error
        return rewriter.parse(text, path)


def _jobs(text: str) -> int:
    cores = len(os.sched_getaffinity(0))
    if text in {"auto", "HOST_CPUS"}:
        return cores
    factor = text.removeprefix("HOST_CPUS*")
    count = cores * _number(factor) if factor != text else _number(text) if text.isdigit() else 0
    if not 0 < count < math.inf:
        raise UsageError(
            "B011",
            f"--jobs: '{text}' is not one of: a number, auto, HOST_CPUS, HOST_CPUS*<float>",
            hint="write --jobs=4",
        )
    return max(1, min(int(count), 5000))


def _number(text: str) -> float:
    """Return the number that a text is; 0 for what is none."""
    try:
        return float(text)
    except ValueError:
        return 0.0
