"""serve: what was built, to those who pull it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys import session
from buildsys.cli import making
from buildsys.cli.measured import count
from buildsys.cli.terminal import failing
from buildsys.errors import UsageError

if TYPE_CHECKING:
    from buildsys.cli.request import Request


def serve(request: Request) -> int:
    """Build images, or the registries of rootfs, and serve them read-only until interrupted."""
    options, terminal = request.options, request.terminal
    if not options.flag("registry"):
        hint = "write `buildsys serve --registry //rootfs:registry`"
        raise UsageError("B043", "serve has to be told as what it is to serve: --registry", hint=hint)
    ready = making.prepare(request)
    if ready is None:
        return 0
    built = making.make(request, ready, session.build)
    making.report_failures(request, built)
    if built.errors:
        return making.failure(built)
    address = options.text("address"), options.number("port")
    with failing(terminal), session.serving(ready.opened, built, address, terminal.note) as server:
        repositories = server.contents.repositories.values()
        tags = sum(len(repository.tags) for repository in repositories)
        terminal.message("INFO", f"Serving {count(tags, 'image')} read-only; to end it, interrupt it.")
        terminal.answer(server.url, now=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            terminal.message("INFO", "Ended.")
    return 0
