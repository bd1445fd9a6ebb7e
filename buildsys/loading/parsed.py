"""What was parsed before: kept below the output base, and found again by the content of the file that was parsed.

It is kept as marshalled data, a file for each name, so that one package costs one small file, and a thousand do not
have to be read for the sake of one. All of it can be made again: what is damaged, or was made by another program or out
of another text, is not there.
"""

from __future__ import annotations

import marshal
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from buildsys.model.digest import digest_bytes
from buildsys.snapshot import PARSED, checksum, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from buildsys.snapshot import Seen

_T = TypeVar("_T")

FORMAT = 1
MOST = 20_000
"""Files that are kept; where there are more, those go that were not asked for."""

_HEAD = 8
_KEY = 32


class Parsed:
    """Keeps what was parsed, by name. `program` is what was seen of the program: another one parses anew."""

    def __init__(self, output_base: str, program: Sequence[Seen]) -> None:
        self._folder = os.path.join(output_base, PARSED)
        self._program = digest_bytes(repr((program, sys.version)).encode("utf-8", "surrogateescape"))
        self._asked: set[str] = set()
        self._is_ready = False

    def of(self, name: str, key: str, make: Callable[[], _T]) -> _T:
        """Return what was kept under a name with a key, else what `make` makes, and keep that."""
        found: _T | None = self.find(name, key)
        if found is None:
            found = make()
            self.keep(name, key, found)
        return found

    def find(self, name: str, key: str) -> Any:
        """Return what was kept under a name with a key; None where there is nothing."""
        file, wanted = self._file(name), self._key(name, key)
        try:
            with open(file, "rb", buffering=0) as stream:
                data = stream.read()
        except OSError:
            return None
        body = data[_HEAD:]
        if body[:_KEY] != wanted or checksum(body) != data[:_HEAD]:
            return None
        try:
            return marshal.loads(body[_KEY:])  # noqa: S302 - our own
        except (ValueError, EOFError, TypeError):
            return None

    def keep(self, name: str, key: str, found: Any) -> None:
        """Keep what was made, in place of what was kept before. Nothing is raised: it can be made again."""
        body = self._key(name, key) + marshal.dumps(found)
        if not self._is_ready:
            self._prepare()
        replace(self._file(name), [checksum(body), body])

    def _file(self, name: str) -> str:
        file = digest_bytes(name.encode("utf-8", "surrogateescape"))[:_KEY]
        self._asked.add(file)
        return os.path.join(self._folder, file)

    def _key(self, name: str, key: str) -> bytes:
        text = f"{FORMAT}\0{self._program}\0{name}\0{key}"
        return bytes.fromhex(digest_bytes(text.encode("utf-8", "surrogateescape")))

    def _prepare(self) -> None:
        """Make the folder, where the output base is there already, and keep it from growing forever."""
        self._is_ready = True
        with suppress(OSError):
            os.mkdir(self._folder)
        with suppress(OSError):
            names = os.listdir(self._folder)
            if len(names) > MOST:
                for name in names:
                    if name not in self._asked:
                        os.unlink(os.path.join(self._folder, name))


class NothingParsed(Parsed):
    """Where nothing is kept."""

    def __init__(self) -> None:
        super().__init__("", ())

    def find(self, name: str, key: str) -> Any:
        """Return nothing."""
        return None

    def keep(self, name: str, key: str, found: Any) -> None:
        """Keep nothing."""
