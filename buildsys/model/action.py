"""Actions: the edges of the action graph, their descriptors and what running one yields.

An action is an operation applied to input artifacts. Its descriptor is canonical JSON of everything that can change an
output; the digest of the descriptor is the action key. `explain` compares two descriptors, so the explanation cannot
disagree with the key.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from json.encoder import encode_basestring as quoted
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, NamedTuple, Protocol, TypeVar, runtime_checkable

from buildsys.model.access import Access
from buildsys.model.digest import Digest, digest_bytes
from buildsys.model.rewriter import Rewriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from buildsys.errors import Location
    from buildsys.model.composition import Part
    from buildsys.model.label import Label
    from buildsys.model.tree import Tree

C = TypeVar("C", bound="Closable")


class Artifact(NamedTuple):
    """A file or tree by name: a source file (`target` is empty) or an output of a configured target's action.

    `name` is relative to the package and is also where a layer places the file by default; `variant` tells the outputs
    of one target under several configurations apart, within one graph.
    """

    package: str
    name: str
    target: str = ""
    variant: str = ""

    @property
    def is_source(self) -> bool:
        """True for files that exist before the build."""
        return not self.target

    @property
    def path(self) -> str:
        """The path below the folder of packages (sources) or below the output folder (outputs)."""
        return f"{self.package}/{self.name}" if self.package else self.name


def shown_path(artifact: Artifact, sources: str) -> str:
    """Return the path of an artifact as messages show it: a source file below the folder `sources`."""
    return f"{sources}/{artifact.path}" if sources and artifact.is_source else artifact.path


class Value(NamedTuple):
    """What an artifact is: a blob, or (`tree`) the canonical form of a tree; `size` is in bytes."""

    digest: Digest
    size: int
    executable: bool = False
    tree: bool = False

    @property
    def token(self) -> str:
        """The value as it stands in descriptors. The size is implied by the digest."""
        return ("tree:" if self.tree else "") + self.digest + ("+x" if self.executable else "")


class Writer(Protocol):
    """An output that is being written; hashed on the way."""

    def write(self, data: bytes | bytearray | memoryview, /) -> int: ...


class Segment(NamedTuple):
    """A stretch of an output: the blob `blob` of `size` bytes, or (where that is empty) what `write` writes.

    `name` tells every byte: segments of one name are the same in whatever output, build or version of the program.
    """

    name: str
    blob: Digest = ""
    size: int = 0
    write: Callable[[Writer], None] | None = None

    @classmethod
    def of_blob(cls, digest: Digest, size: int) -> Segment:
        """Return a blob as a segment."""
        return cls(f"blob {digest}", digest, size)

    @classmethod
    def of_bytes(cls, data: bytes) -> Segment:
        """Return bytes as a segment."""

        def write(out: Writer) -> None:
            out.write(data)

        return cls(f"blob {digest_bytes(data)}", write=write)


class Fetching(NamedTuple):
    """How this machine fetches: folders to look into first, attempts, a factor on all timeouts, addresses to replace.

    `access` tells how registries are reached. None of it can change the bytes, which are pinned.
    """

    distdirs: tuple[str, ...] = ()
    attempts: int = 5
    timeout_scale: float = 1.0
    backoff_seconds: float = 0.5
    rewriter: Rewriter = Rewriter()
    access: Callable[[], Access] = Access


class Closable(Protocol):
    """What has to be closed when it is not needed any more."""

    def close(self) -> None: ...


class ActionIO(Protocol):
    """All that an operation may touch: its declared inputs, its outputs by index, and scratch space.

    `adopt` makes a blob that is already in the store an output and tells whether it is; `compose` makes one of several,
    one after the other, whose digest the operation has computed; `recall` and `remember` keep
    by-products (a compressed frame of a payload) in the store under a key that names all that shapes their bytes;
    `begin` has one made by a helper, unless it is being made already, and returns what waits for it (`fetched` ones
    wait for the network). `resume_blob` writes a blob whose digest is known, and goes on from what an earlier build
    left of it; `holds` tells whether a blob is in the store. `assemble` writes
    an output that is a sequence of segments, and spares itself what is known of them; `rest`, if any, follows, and is
    asked for one by one, when it is time to write it. `SizeFault` of a blob that has not its stated size is for the
    operation to explain.
    """

    def value(self, artifact: Artifact) -> Value: ...
    def input_digests(self) -> list[Digest]: ...
    def open(self, artifact: Artifact) -> BinaryIO: ...
    def read(self, artifact: Artifact) -> bytes: ...
    def path(self, artifact: Artifact) -> str: ...
    def tree(self, artifact: Artifact) -> Tree: ...
    def open_blob(self, digest: Digest) -> BinaryIO: ...
    def create(self, output: int = 0, *, executable: bool = False) -> AbstractContextManager[Writer]: ...
    def assemble(
        self,
        segments: Sequence[Segment],
        output: int = 0,
        *,
        executable: bool = False,
        rest: Iterable[Segment] | None = None,
    ) -> None: ...
    def write(self, data: bytes, output: int = 0, *, executable: bool = False) -> None: ...
    def write_tree(self, tree: Tree, output: int = 0) -> None: ...
    def create_blob(self) -> AbstractContextManager[BlobWriter]: ...
    def put_blob(self, data: bytes) -> Digest: ...
    def resume_blob(self, digest: Digest, size: int) -> AbstractContextManager[BlobWriter]: ...
    def holds(self, digest: Digest) -> bool: ...
    def recall(self, *keys: str) -> dict[str, Value]: ...
    def remember(self, key: str, value: Value) -> None: ...
    def begin(self, key: str, make: Callable[[], Value], *, fetched: bool = False) -> Callable[[], Value]: ...
    def scratch(self) -> str: ...
    def shared(self, name: str, make: Callable[[], C]) -> C:
        """Return what `make` makes: once for all actions of a build, and closed when it ends."""
        ...

    def adopt(self, digest: Digest, output: int = 0, *, executable: bool = False) -> bool: ...
    def compose(self, digest: Digest, parts: Sequence[Part], output: int = 0) -> None: ...
    def pause(self, seconds: float) -> None: ...
    def waking(self, waker: Callable[[], None]) -> AbstractContextManager[None]:
        """Have `waker` called when the build is interrupted meanwhile: for operations that wait for others."""
        ...

    def transferred(self, what: str, received: int, total: int | None) -> None: ...
    @property
    def fetching(self) -> Fetching: ...


class BlobWriter(Writer, Protocol):
    """A blob of a tree that is being written; `digest` and `size` are set once its context has ended.

    An exception inside the context drops what was written; `hexdigest` tells the digest so far.
    """

    digest: Digest
    size: int

    def hexdigest(self) -> Digest: ...
    def abandon(self) -> None: ...


@runtime_checkable
class Operation(Protocol):
    """What an action does: a frozen dataclass of parameters and input artifacts, plus one method.

    `VERSION` is part of the key: raise it when `execute` changes its bytes. `TOOLS` names libraries and programs whose
    versions shape the bytes; they are looked up when the key is made. `STORED` is false where the output is a recipe
    over stored blobs: it is written to the output folder alone, and made again when it is lost there. `PASSES` is true
    where the payloads of all inputs are in the output as they are.
    """

    MNEMONIC: ClassVar[str]
    VERSION: ClassVar[int]
    STORED: ClassVar[bool]
    PASSES: ClassVar[bool]

    @property
    def tools(self) -> tuple[str, ...]: ...

    def needs(self, io: ActionIO) -> Iterable[Digest]: ...

    def execute(self, io: ActionIO) -> None: ...


class Anticipating(Protocol):
    """An operation that can do the part of its work that takes one payload alone before its other inputs are there.

    Payloads of fewer bytes than ANTICIPATED are not worth it. `anticipate` begins by-products, and does nothing that
    takes time; `execute` begins them again, and so waits for what is not done.
    """

    ANTICIPATED: ClassVar[int]

    @property
    def in_advance(self) -> str:
        """What is done with a payload in advance: the same text says the same of another operation."""
        ...

    def anticipate(self, io: ActionIO, payload: Value) -> None: ...


class BaseOperation:
    """What most operations share: a stored output, no tools, and a need for the bytes of all inputs."""

    __slots__ = ()
    STORED: ClassVar[bool] = True
    PASSES: ClassVar[bool] = False

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the libraries and programs whose versions shape the output (see `adapters.tool_version`)."""
        return ()

    def needs(self, io: ActionIO) -> Iterable[Digest]:
        """Digests of the blobs that `execute` will read; what is lost of them is made again before."""
        return io.input_digests()


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A pure function from input values to output values.

    Invariant: a field takes part in the key iff it is not marked ``exempt`` in its metadata, with the reason.
    """

    operation: Operation
    inputs: tuple[Artifact, ...] = field(metadata={"key": "as values, in `inputs`"})
    outputs: tuple[Artifact, ...] = field(
        metadata={"exempt": "names of results; an operation that shows a name to its command has it as a parameter"}
    )
    tools: Mapping[str, str] = field(metadata={"key": "in the descriptor"})
    owner: Label = field(metadata={"exempt": "who asked does not change the bytes"})
    config: str = field(metadata={"exempt": "parameters that matter are parameters of the operation"})
    message: str = field(metadata={"exempt": "a message; empty where it says no more than the operation's name"})
    at: Location | None = field(default=None, metadata={"exempt": "where it is declared, for messages"})
    choice: str = field(default="", metadata={"exempt": "which of several configurations it is of, for messages"})

    @property
    def static(self) -> str:
        """The descriptor without its inputs. Made when it is asked for: to hold it takes more than the rest does."""
        return static_descriptor(self.operation, self.tools)

    @property
    def progress(self) -> str:
        """What a user is told while the action runs."""
        return self.message or f"{self.operation.MNEMONIC} {self.outputs[0].path}"

    def descriptor(self, values: list[Value]) -> str:
        """Return the canonical JSON of this action over the `values` of its inputs."""
        return '{"inputs":[' + ",".join([f'"{value.token}"' for value in values]) + "]," + self.static

    @property
    def name(self) -> str:
        """A stable name for reports: who asked, what is done, to what end."""
        return f"{self.owner} {self.operation.MNEMONIC} {self.outputs[0].name}"


def make_action(
    operation: Operation,
    outputs: tuple[Artifact, ...],
    *,
    owner: Label,
    config: str,
    progress: str,
    tools: Mapping[str, str],
    at: Location | None = None,
    choice: str = "",
) -> Action:
    """Make an action of `operation`; `tools` gives the version of each of its TOOLS (and of foreign code).

    Raises `TypeError` for a field that a descriptor cannot hold.
    """
    inputs: dict[Artifact, int] = {}
    for _, value in _parameters(operation):
        _collect(value, inputs)
    if progress == f"{operation.MNEMONIC} {outputs[0].path}":
        progress = ""
    return Action(
        operation=operation,
        inputs=tuple(inputs),
        outputs=outputs,
        tools=tools,
        owner=owner,
        config=config,
        message=progress,
        at=at,
        choice=choice,
    )


def static_descriptor(operation: Operation, tools: Mapping[str, str]) -> str:
    """Return the canonical JSON of an operation, without the brace that opens it: the inputs come before."""
    inputs: dict[Artifact, int] = {}
    params = [f"{quoted(name)}:{_encoded(value, inputs)}" for name, value in _parameters(operation)]
    versions = [f"{quoted(name)}:{quoted(tools[name])}" for name in sorted(tools)]
    return (
        f'"mnemonic":{quoted(operation.MNEMONIC)},"params":{{{",".join(sorted(params))}}}'
        f',"tools":{{{",".join(versions)}}},"version":{operation.VERSION}}}'
    )


def exempt(reason: str, default: Any = MISSING) -> Any:
    """Declare a field of an operation that cannot change its bytes, and say why."""
    return field(default=default, metadata={"exempt": reason})


def added(default: Any) -> Any:
    """Declare a field that an operation has got later: while it has its default, keys are what they were before."""
    return field(default=default, metadata={"added": default})


def action_key(descriptor: str) -> Digest:
    """Return the digest of a descriptor: the name of the action in every cache."""
    return digest_bytes(descriptor.encode())


class ActionResult(NamedTuple):
    """The values of an action's outputs, in order, and what the action printed."""

    outputs: tuple[Value, ...]
    log: str = ""


def _parameters(operation: Operation) -> Iterator[tuple[str, Any]]:
    """Yield the name and value of each field that stands in the descriptor."""
    for name, left_out in _declared(type(operation)):
        value = getattr(operation, name)
        if left_out is MISSING or value != left_out:
            yield name, value


@cache
def _declared(kind: type[Operation]) -> tuple[tuple[str, Any], ...]:
    """Return the fields of an operation that may stand in the descriptor, each with the value that is left out."""
    found: tuple[Any, ...] = fields(kind)  # type: ignore[arg-type]
    return tuple((f.name, f.metadata.get("added", MISSING)) for f in found if "exempt" not in f.metadata)


def _collect(value: Any, inputs: dict[Artifact, int]) -> None:
    """Number the artifacts in a field's value, in the order they are met."""
    if isinstance(value, Artifact):
        inputs.setdefault(value, len(inputs))
    elif isinstance(value, tuple):
        for item in value:
            if type(item) is not str:
                _collect(item, inputs)
    elif value is not None and not isinstance(value, (str, int)):
        raise TypeError(f"an operation's field cannot hold {type(value).__name__}")


def _encoded(value: Any, inputs: dict[Artifact, int]) -> str:
    """Return a field's value as JSON, with the number of each artifact in place of it."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Artifact):
        return f'{{"$input":{inputs.setdefault(value, len(inputs))}}}'
    if isinstance(value, tuple):
        return f"[{','.join([_encoded(item, inputs) for item in value])}]"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else int.__repr__(value)
