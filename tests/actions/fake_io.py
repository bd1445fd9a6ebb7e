"""A test double of `ActionIO` at the seam between operations and the engine: blobs in memory, outputs by index."""

from __future__ import annotations

import io
import itertools
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from buildsys.archive.parts import write_part
from buildsys.archive.streams import SizeFault
from buildsys.model.access import Access
from buildsys.model.action import Artifact, Fetching, Segment, Value
from buildsys.model.composition import Part
from buildsys.model.digest import Digest, digest_bytes
from buildsys.model.tree import FILE, Entry, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from buildsys.model.action import Closable


C = TypeVar("C", bound="Closable")


class Blob(io.BytesIO):
    digest: Digest = ""
    size: int = 0
    abandoned = False

    def write(self, data: Any, /) -> int:
        self.size += len(data)
        return super().write(data)

    def abandon(self) -> None:
        self.abandoned = True

    def hexdigest(self) -> Digest:
        return digest_bytes(self.getvalue())


class FakeIO:
    def __init__(self, folder: str = "") -> None:
        self._folder = folder
        self.blobs: dict[Digest, bytes] = {}
        self.inputs: dict[Artifact, Value] = {}
        self.outputs: dict[int, tuple[bytes, bool]] = {}
        self.trees: dict[int, Tree] = {}
        self.partial: dict[Digest, bytes] = {}
        self.remembered: dict[str, Value] = {}
        self.recalled: list[str] = []
        self.begun = 0
        self.access = Access()
        self.common: dict[str, Any] = {}
        self.segments: dict[str, Digest] = {}
        self.parts: dict[int, list[Part]] = {}

    # inputs for tests

    def add(self, name: str, data: bytes, *, executable: bool = False) -> Artifact:
        artifact = Artifact("pkg", name)
        self.inputs[artifact] = Value(self.put_blob(data), len(data), executable)
        return artifact

    def add_tree(self, tree: Tree, name: str = "tree") -> Artifact:
        artifact = Artifact("pkg", name)
        data = tree.to_bytes()
        self.inputs[artifact] = Value(self.put_blob(data), len(data), tree=True)
        return artifact

    def file(self, path: str, data: bytes, mode: int = 0o644) -> Entry:
        return Entry(path, FILE, mode, self.put_blob(data), len(data))

    # the protocol

    def value(self, artifact: Artifact) -> Value:
        return self.inputs[artifact]

    def input_digests(self) -> list[Digest]:
        return [value.digest for value in self.inputs.values()]

    def open(self, artifact: Artifact) -> BinaryIO:
        return self.open_blob(self.inputs[artifact].digest)

    def read(self, artifact: Artifact) -> bytes:
        return self.blobs[self.inputs[artifact].digest]

    def path(self, artifact: Artifact) -> str:
        path = os.path.join(self.scratch(), "input")
        with open(path, "wb") as out:
            out.write(self.read(artifact))
        return path

    def tree(self, artifact: Artifact) -> Tree:
        return Tree.from_bytes(self.read(artifact))

    def open_blob(self, digest: Digest) -> BinaryIO:
        return io.BytesIO(self.blobs[digest])

    @contextmanager
    def create(self, output: int = 0, *, executable: bool = False) -> Iterator[io.BytesIO]:
        assert output not in self.outputs, "an output is written once"
        stream = io.BytesIO()
        yield stream
        self.outputs[output] = (stream.getvalue(), executable)

    def assemble(
        self,
        segments: Sequence[Segment],
        output: int = 0,
        *,
        executable: bool = False,
        rest: Iterable[Segment] | None = None,
    ) -> None:
        with self.create(output, executable=executable) as out:
            for segment in itertools.chain(segments, rest or ()):
                begin = out.tell()
                if segment.blob:
                    out.write(self.blobs[segment.blob])
                    if len(self.blobs[segment.blob]) != segment.size:
                        raise SizeFault("not the size that is stated")
                elif segment.write:
                    segment.write(out)
                known = self.segments.setdefault(segment.name, digest_bytes(out.getvalue()[begin:]))
                assert known == digest_bytes(out.getvalue()[begin:]), "segments of one name have the same bytes"

    def write(self, data: bytes, output: int = 0, *, executable: bool = False) -> None:
        with self.create(output, executable=executable) as out:
            out.write(data)

    def write_tree(self, tree: Tree, output: int = 0) -> None:
        self.trees[output] = tree

    @contextmanager
    def create_blob(self) -> Iterator[Any]:
        blob = Blob()
        yield blob
        data = blob.getvalue()
        blob.digest = self.put_blob(data)

    def put_blob(self, data: bytes) -> Digest:
        digest = digest_bytes(data)
        self.blobs[digest] = bytes(data)
        return digest

    def recall(self, *keys: str) -> dict[str, Value]:
        found = {key: self.remembered[key] for key in keys if key in self.remembered}
        self.recalled += found
        return found

    def remember(self, key: str, value: Value) -> None:
        assert value.digest in self.blobs
        self.remembered[key] = value

    @contextmanager
    def resume_blob(self, digest: Digest, size: int) -> Iterator[Any]:
        blob = Blob()
        blob.write(self.partial.pop(digest, b""))
        try:
            yield blob
        except BaseException:
            if blob.size and not blob.abandoned:
                self.partial[digest] = blob.getvalue()
            raise
        assert len(blob.getvalue()) == size
        assert self.put_blob(blob.getvalue()) == digest, "whoever writes it has checked it"

    def holds(self, digest: Digest) -> bool:
        return digest in self.blobs

    def shared(self, name: str, make: Callable[[], C]) -> C:
        if name not in self.common:
            self.common[name] = make()
        made: C = self.common[name]
        return made

    def begin(self, key: str, make: Callable[[], Value], *, fetched: bool = False) -> Callable[[], Value]:
        del fetched
        self.begun += 1

        def wait() -> Value:
            if key not in self.remembered:
                self.remember(key, make())
            return self.remembered[key]

        return wait

    def adopt(self, digest: Digest, output: int = 0, *, executable: bool = False) -> bool:
        if digest in self.blobs:
            self.write(self.blobs[digest], output, executable=executable)
        return digest in self.blobs

    def compose(self, digest: Digest, parts: Sequence[Part], output: int = 0) -> None:
        whole = io.BytesIO()
        for part in parts:
            begin = whole.tell()
            write_part(part, self.open_blob, whole)
            assert whole.tell() - begin == part.size
        assert digest_bytes(whole.getvalue()) == digest
        self.parts[output] = list(parts)
        self.write(whole.getvalue(), output)

    def pause(self, seconds: float) -> None:
        pass

    def transferred(self, what: str, received: int, total: int | None) -> None:
        pass

    @property
    def fetching(self) -> Fetching:
        return Fetching(access=lambda: self.access)

    def scratch(self) -> str:
        assert self._folder, "give FakeIO a folder to use paths"
        return self._folder

    @contextmanager
    def waking(self, waker: Callable[[], None]) -> Iterator[None]:
        yield
