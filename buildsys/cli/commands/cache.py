"""cache: what is in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildsys.cli.measured import count
from buildsys.errors import UsageError, did_you_mean
from buildsys.store.statistics import gather

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildsys.cli.request import Request
    from buildsys.store.statistics import Statistics

WORDS = ("stats",)
_UNITS = ("kB", "MB", "GB", "TB")


def cache(request: Request) -> int:
    """Say how much the store holds, and how much of it results share."""
    words = request.patterns
    if len(words) != 1 or words[0] not in WORDS:
        given = f", not '{' '.join(words)}'" if words else ""
        hint = (did_you_mean(words[0], WORDS) if len(words) == 1 else "") or "write `buildsys cache stats`"
        raise UsageError("B042", f"cache takes one of these words: {', '.join(WORDS)}{given}", hint=hint)
    found = gather(request.place().store)
    if request.options.text("output") == "json":
        import json

        request.terminal.answer(json.dumps(_plain(found), indent=2))
        return 0
    for line in _lines(found):
        request.terminal.answer(line)
    return 0


def _lines(found: Statistics) -> Iterator[str]:
    logical, unique = found.results.size, found.unique
    yield f"store: {found.root}"
    numbers = ((found.results.number, "action"), (found.frames, "frame"), (found.recipes, "recipe"))
    yield f"results: {', '.join(count(number, noun) for number, noun in numbers)} of tarballs"
    yield f"logical bytes: {_size(logical)} in the results of actions, if each were kept by itself"
    for mnemonic, amount in sorted(found.actions.items(), key=lambda item: (-item[1].size, item[0])):
        yield f"  {mnemonic}: {_size(amount.size)} in {count(amount.number, 'result')}"
    if found.lost_trees:
        lost = count(found.lost_trees, "tree")
        yield f"  without the files of {lost} whose list is not in the store any more"
    yield f"unique bytes: {_size(unique)} in {count(found.small.number + found.files.number, 'blob')}"
    yield f"  small blobs in the index: {_size(found.small.size)} in {found.small.number}"
    yield f"  files: {_size(found.files.size)} in {found.files.number}"
    yield f"  lists of the files of trees, in either: {_size(found.manifests.size)} in {found.manifests.number}"
    yield f"logical / unique: {found.ratio:.1f}"
    yield f"on the disk: {_size(found.index_disk)} of index, {_size(found.files_disk)} of files"


def _size(number: int) -> str:
    """Return a number of bytes for people, with all of its digits behind it."""
    scaled, unit = float(number), "bytes"
    for larger in _UNITS:
        if scaled < 1000:
            break
        scaled, unit = scaled / 1000, larger
    return f"{scaled:.1f} {unit} ({number})" if unit != "bytes" else f"{number} bytes"


def _plain(found: Statistics) -> dict[str, object]:
    return {
        "store": found.root,
        "results": found.results.number,
        "frames": found.frames,
        "recipes": found.recipes,
        "logical_bytes": found.results.size,
        "unique_bytes": found.unique,
        "ratio": round(found.ratio, 3),
        "lost_trees": found.lost_trees,
        "actions": {mnemonic: _amount(amount) for mnemonic, amount in found.actions.items()},
        "manifests": _amount(found.manifests),
        "small_blobs": _amount(found.small),
        "files": _amount(found.files),
        "disk_bytes": {"index": found.index_disk, "files": found.files_disk},
    }


def _amount(amount: tuple[int, int]) -> dict[str, int]:
    return {"count": amount[0], "bytes": amount[1]}
