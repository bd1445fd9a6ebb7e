"""Outputs out of segments: always the bytes of the segments and their digest, with little work."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildsys.adapters import sha256
from buildsys.archive.streams import SizeFault
from buildsys.execution import assembly
from buildsys.execution.copying import copy_range
from buildsys.execution.outputs import Outputs
from buildsys.execution.recipes import Recipe, Recipes
from buildsys.model.action import Segment, Value
from buildsys.model.digest import digest_bytes
from buildsys.store.cas import BlobMissing
from buildsys.store.local import LocalStore, open_store
from buildsys.store.workspace_state import WorkspaceState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from buildsys.execution.assembly import Made
    from buildsys.model.action import Writer

LARGE, SMALL, MADE = 70_000, 900, 2_000
"""Sizes of the three kinds of segments: a blob with a file, one without, and bytes that are made each time."""

needs_library = pytest.mark.skipif(not sha256.begin().freeze(), reason="no libcrypto.so.3 here")
needs_leases = pytest.mark.skipif(not hasattr(__import__("fcntl"), "F_SETLEASE"), reason="no leases here")


def content(kind: str, number: int) -> bytes:
    size = {"large": LARGE, "small": SMALL, "made": MADE}[kind]
    return hashlib.shake_128(f"{kind} {number}".encode()).digest(size)


class Folder:
    """An output folder, the store behind it, and the outputs assembled in it."""

    def __init__(self, root: Path) -> None:
        self.base, self.root = root / "out", root
        self.open()

    def open(self) -> None:
        self.store: LocalStore = open_store(str(self.root / "store"))
        self.state = WorkspaceState(str(self.base / "state.sqlite"))
        self.outputs = Outputs(str(self.base), self.store.blobs, self.state)

    def close(self) -> None:
        self.state.close()
        self.store.close()

    def reopen(self) -> None:
        """Go on as another process."""
        self.close()
        self.open()

    def segment(self, kind: str, number: int) -> Segment:
        data = content(kind, number)
        if kind == "made":
            return Segment(f"made {number}", write=lambda out: _dribble(data, out))
        return Segment.of_blob(self.store.blobs.put(data), len(data))

    def segments(self, *names: str) -> list[Segment]:
        """Return segments by names such as `large 1`."""
        return [self.segment(kind, int(number)) for kind, number in (name.split() for name in names)]

    def parts(self, *names: str, known: int | None = None) -> tuple[list[Segment], Iterator[Segment] | None]:
        """Return segments of which the first `known` are known; all of them by default."""
        segments = self.segments(*names)
        return segments[:known], None if known is None else iter(segments[known:])

    def assemble(self, *names: str, path: str = "x", expected: str = "", known: int | None = None) -> Made:
        """Assemble an output and compare it with what it must be."""
        parts = self.parts(*names, known=known)
        made = self.outputs.assemble(path, parts, lambda: None, Recipes(self.store), expected)
        data = self.path(path).read_bytes()
        assert data == whole(*names)
        assert (made.digest, made.size) == (digest_bytes(data), len(data))
        assert self.outputs.is_current(path, Value(made.digest, made.size))
        return made

    def path(self, path: str = "x") -> Path:
        return self.base / "bin" / path

    def kept(self) -> list[Path]:
        """Return the files that are kept of what stood before."""
        folder = self.base / "previous"
        return sorted(folder.iterdir()) if folder.exists() else []


def _dribble(data: bytes, out: Writer) -> None:
    for at in range(0, len(data), 700):
        out.write(data[at : at + 700])


def whole(*names: str) -> bytes:
    return b"".join(content(kind, int(number)) for kind, number in (name.split() for name in names))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    monkeypatch.setattr(assembly, "SPACING", 10_000)
    made = Folder(tmp_path)
    yield made
    made.close()


BODY = ("made 0", "large 1", "small 1", "large 2", "large 3", "made 1")
SIZE = len(whole(*BODY))


def test_the_first_is_written_and_hashed(folder: Folder) -> None:
    made = folder.assemble(*BODY)
    assert made.work == {"standing": 0, "written": SIZE, "hashed": SIZE}


@needs_library
def test_the_next_copies_what_is_told_in_the_kernel_and_hashes_the_rest(folder: Folder) -> None:
    folder.assemble(*BODY)
    folder.reopen()
    made = folder.assemble(*BODY[:-1], "made 2")
    assert made.work == {"standing": 0, "copied": 3 * LARGE, "written": SMALL + 2 * MADE, "hashed": MADE}


@needs_library
@needs_leases
def test_the_one_after_writes_what_is_new_into_the_file_before_the_last(folder: Folder) -> None:
    folder.assemble(*BODY)
    inode = folder.path().stat().st_ino
    folder.assemble(*BODY[:-1], "made 2")
    folder.reopen()
    made = folder.assemble(*BODY[:-1], "made 3")
    assert made.work == {"standing": SIZE - MADE, "written": MADE, "hashed": MADE}
    assert folder.path().stat().st_ino == inode


@needs_library
@needs_leases
def test_a_change_at_the_front_leaves_nothing_standing(folder: Folder) -> None:
    folder.assemble(*BODY)
    folder.assemble(*BODY[:-1], "made 2")
    made = folder.assemble("made 7", *BODY[1:])
    assert (made.work["standing"], made.work["hashed"]) == (0, SIZE)


def test_what_was_made_before_is_told_as_a_whole(folder: Folder) -> None:
    digest = folder.assemble(*BODY).digest
    folder.path().unlink()
    shutil.rmtree(folder.base / "previous", ignore_errors=True)
    folder.reopen()
    made = folder.assemble(*BODY)
    assert (made.work["hashed"], made.work["copied"]) == (0, 3 * LARGE)
    folder.path().unlink()
    folder.close()
    (folder.base / "state.sqlite").unlink()
    folder.open()
    made = folder.assemble(*BODY, expected=digest)
    assert (made.work["hashed"], made.work["copied"]) == (0, 3 * LARGE)


def test_without_the_library_all_is_hashed(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.assemble(*BODY)
    monkeypatch.setattr(sha256, "NAME", "libcrypto.so.none")
    folder.assemble(*BODY[:-1], "made 2")
    made = folder.assemble(*BODY[:-1], "made 3")
    assert made.work == {"standing": 0, "written": SIZE, "hashed": SIZE}


def test_a_small_output_has_no_recipe(folder: Folder) -> None:
    made = folder.assemble("made 1", "small 1")
    assert Recipes(folder.store).find(made.digest) is None


def test_recipes_are_kept_as_they_are(folder: Folder) -> None:
    made = folder.assemble(*BODY)
    folder.reopen()
    found = Recipes(folder.store).find(made.digest)
    assert found == made.recipe
    assert found is not None
    assert found.size == SIZE
    assert Recipes(folder.store).find("0" * 64) is None
    assert Recipe.from_bytes(Recipe().to_bytes()) == Recipe()


def test_a_lost_recipe_costs_time_alone(folder: Folder) -> None:
    made = folder.assemble(*BODY)
    folder.reopen()
    blob = digest_bytes(made.recipe.to_bytes())
    with folder.store.database.transaction() as connection:
        connection.execute("DELETE FROM pack WHERE digest = ?", (bytes.fromhex(blob),))
    assert folder.assemble(*BODY[:-1], "made 2").work["hashed"] == SIZE


@needs_library
def test_a_recipe_that_is_not_true_is_found_out_by_its_lengths(folder: Folder) -> None:
    made = folder.assemble(*BODY)
    states = {count: state for count, state in made.recipe.states.items() if count < len(BODY)}
    wrong = made.recipe._replace(
        ends=(*[end + 1 for end in made.recipe.ends[:-1]], made.recipe.ends[-1]), states=states
    )
    Recipes(folder.store).keep(made.digest, wrong)
    assert folder.assemble(*BODY[:-1], "made 2").work["hashed"] == SIZE
    Recipes(folder.store).keep(made.digest, made.recipe._replace(ends=(*made.recipe.ends[:-1], SIZE + 1)))
    assert folder.assemble(*BODY).work["hashed"] == SIZE


def test_a_lost_blob_is_told(folder: Folder) -> None:
    folder.assemble(*BODY)
    segments = folder.segments(*BODY[:-1], "made 2")
    path = folder.store.blobs.path(segments[3].blob)
    assert path is not None
    os.unlink(path)
    with pytest.raises(BlobMissing) as caught:
        folder.outputs.assemble("x", (segments, None), lambda: None, Recipes(folder.store))
    assert caught.value.digest == segments[3].blob
    assert folder.path().read_bytes() == whole(*BODY)


@pytest.mark.parametrize("told", [False, True])
def test_a_blob_of_another_size_is_told(folder: Folder, told: bool) -> None:
    segments = folder.segments(*BODY)
    if told:
        folder.assemble(*BODY)
    segments[1] = segments[1]._replace(size=LARGE - 1)
    with pytest.raises(SizeFault, match="70000 bytes, not 69999"):
        folder.outputs.assemble("y", (segments, None), lambda: None, Recipes(folder.store), digest_bytes(whole(*BODY)))
    assert list((folder.base / "tmp").iterdir()) == []


@needs_library
def test_a_blob_that_changes_while_it_is_copied_is_lost(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.assemble(*BODY)
    segments = folder.segments(*BODY[:-1], "made 2")
    path = folder.store.blobs.path(segments[3].blob)
    assert path is not None

    def spoil(*arguments: Any) -> int:
        if os.fstat(arguments[0]).st_ino == os.stat(path).st_ino:
            os.chmod(path, 0o644)
            with open(path, "r+b") as stream:
                stream.write(b"spoilt")
        return copy_range(*arguments)

    monkeypatch.setattr(assembly, "copy_range", spoil)
    with pytest.raises(BlobMissing) as caught:
        folder.outputs.assemble("x", (segments, None), lambda: None, Recipes(folder.store))
    assert caught.value.digest == segments[3].blob
    assert folder.path().read_bytes() == whole(*BODY)
    assert list((folder.base / "tmp").iterdir()) == []


def test_assembling_can_be_given_up(folder: Folder) -> None:
    folder.assemble(*BODY)
    folder.assemble(*BODY[:-1], "made 2")

    def stop() -> None:
        raise ValueError("stop")

    for names in ((*BODY[:-1], "made 3"), ("made 7", *BODY[1:])):
        with pytest.raises(ValueError, match="stop"):
            folder.outputs.assemble("x", folder.parts(*names), stop, Recipes(folder.store))
    assert folder.path().read_bytes() == whole(*BODY[:-1], "made 2")
    assert list((folder.base / "tmp").iterdir()) == []
    folder.assemble(*BODY)


def test_what_is_kept_makes_room_for_what_is_written(folder: Folder) -> None:
    seen: list[list[Path]] = []

    def write(out: Writer) -> None:
        seen.append(folder.kept())
        out.write(b"x" * MADE)

    folder.assemble(*BODY)
    folder.assemble(*BODY[:-1], "made 2")
    assert folder.kept()
    segments = [Segment("other", write=write), *folder.segments(*BODY)]
    folder.outputs.assemble("x", (segments, None), lambda: None, Recipes(folder.store))
    assert folder.kept()
    with folder.outputs.create("x", lambda: None) as out:
        write(out)
    assert seen == [[], []]


@pytest.mark.parametrize("when", ["it stands", "it is kept"])
def test_a_file_with_a_second_name_is_not_written_to_or_put_back(folder: Folder, when: str) -> None:
    """Whatever is recorded of it: the name may have been given in the moment before."""

    def link(path: Path, key: str) -> None:
        os.link(path, folder.root / "mine")
        state = folder.state.file(key)
        assert state is not None
        folder.state.remember_file(key, state._replace(ctime_ns=path.stat().st_ctime_ns))

    made = folder.assemble(*BODY)
    if when == "it stands":
        link(folder.path(), "out:x")
    folder.assemble(*BODY[:-1], "made 2")
    assert bool(folder.kept()) == (when == "it is kept")
    if when == "it is kept":
        link(folder.kept()[0], "previous:x")
    assert not folder.outputs.restore("x", Value(made.digest, made.size))
    folder.assemble(*BODY[:-1], "made 3")
    assert (folder.root / "mine").read_bytes() == whole(*BODY)


def test_who_reads_an_earlier_output_never_sees_another(folder: Folder) -> None:
    """Not one that was opened when it stood at its path, nor one that is mapped."""
    import mmap

    with ExitStack() as stack:
        readers: list[tuple[BinaryIO, mmap.mmap | None, bytes]] = []
        for number in range(6):
            names = (*BODY[:-1], f"made {number}")
            folder.assemble(*names)
            stream = stack.enter_context(folder.path().open("rb"))
            if number % 2:
                view = stack.enter_context(mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ))
                readers.append((stream, view, whole(*names)))
            else:
                readers.append((stream, None, whole(*names)))
        for reader, mapped, expected in readers:
            assert reader.read() == expected
            assert mapped is None or mapped[:] == expected


def test_an_assembled_output_is_whole_at_every_moment(folder: Folder) -> None:
    bodies = [whole(*BODY[:-1], f"made {number}") for number in range(4)]
    folder.assemble(*BODY[:-1], "made 0")
    seen: set[bytes] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.add(folder.path().read_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        for number in range(60):
            folder.outputs.assemble(
                "x", folder.parts(*BODY[:-1], f"made {number % 4}"), lambda: None, Recipes(folder.store)
            )
    finally:
        stop.set()
        thread.join()
    assert len(seen) > 1
    assert seen <= set(bodies)


names = st.tuples(st.sampled_from(["large", "large", "small", "made"]), st.integers(0, 3)).map(
    lambda n: f"{n[0]} {n[1]}"
)
bodies = st.lists(names, max_size=7)
disturbances = st.sampled_from(
    ["none", "none", "reopen", "touch kept", "spoil kept", "spoil output", "lose output", "lose state", "link", "hold"]
)


def disturb(folder: Folder, what: str, held: ExitStack) -> None:
    """Do something to the outputs behind the builder's back."""
    if what == "reopen":
        folder.reopen()
    elif what == "lose state":
        folder.close()
        (folder.base / "state.sqlite").unlink()
        folder.open()
    elif what in {"touch kept", "spoil kept"}:
        for path in folder.kept():
            before = path.stat()
            if what == "spoil kept":
                with path.open("r+b") as stream:
                    stream.write(b"spoilt")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif what == "lose output":
        folder.path().unlink(missing_ok=True)
    elif folder.path().exists():
        if what == "spoil output":
            before = folder.path().stat()
            folder.path().write_bytes(b"spoilt".ljust(before.st_size, b"x"))
            os.utime(folder.path(), ns=(before.st_atime_ns, before.st_mtime_ns))
        elif what == "link":
            (folder.root / "link").unlink(missing_ok=True)
            os.link(folder.path(), folder.root / "link")
        elif what == "hold":
            held.enter_context(folder.path().open("rb"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(bodies, disturbances, st.booleans(), st.none() | st.integers(0, 7)), min_size=2, max_size=6),
    st.lists(names, max_size=3),
)
def test_whatever_was_there_before_the_output_is_that_of_its_segments(
    folder: Folder, steps: Sequence[tuple[list[str], str, bool, int | None]], common: list[str]
) -> None:
    shutil.rmtree(folder.path().parent, ignore_errors=True)
    with ExitStack() as held:
        for body, what, back, known in steps:
            made = folder.assemble(*common, *body, known=known)
            disturb(folder, what, held)
            value = Value(made.digest, made.size)
            folder.assemble(*common, *body, "made 9", known=known)
            if back and folder.outputs.restore("x", value):
                assert folder.path().read_bytes() == whole(*common, *body)
                assert folder.outputs.is_current("x", value)
    assert list((folder.base / "tmp").iterdir()) == []
