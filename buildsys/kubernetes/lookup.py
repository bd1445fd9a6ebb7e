"""Looking up the row for a version in a table that must have one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildsys.adapters.versions import Version
    from buildsys.errors import Location
    from buildsys.kubernetes.rows import Row, Table


def at_version(tables: Mapping[str, Table], name: str, version: Version, at: Location | None = None) -> Row:
    """Return the row of table `name` that holds `version`.

    Raises UserError B606 when the table says nothing about that version.
    """
    table = tables[name]
    row = table.find(version)
    if row is None:
        raise UserError(
            "B606",
            f"buildsys knows no {name.replace('_', ' ')} for {table.by.replace('_', ' ')} {version}",
            at=at,
            hint="set the value yourself, or choose a version among " + "; ".join(str(row.range) for row in table.rows),
        )
    return row
