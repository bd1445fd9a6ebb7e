"""Closure: every image that a file of a rootfs names is in its registry, and every program is of its architecture.

What a file says is kept by its content and the way it is read, so an edit costs the file that was edited.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from buildsys.archive.detect import compression_of, container_of
from buildsys.archive.elf import elf_machine
from buildsys.archive.streams import BLOCK
from buildsys.errors import ActionFailed, BuildError, BuildErrors, Location
from buildsys.kubernetes.asked import Kubeadm, asked_images
from buildsys.model.action import ActionIO, Artifact, BaseOperation, Value, exempt
from buildsys.model.platform import ELF_MACHINES
from buildsys.model.tree import FILE
from buildsys.oci import mentions
from buildsys.oci.image import canonical_json
from buildsys.oci.mention import CALICO, KUBEADM, Configuration, Found, Mention
from buildsys.oci.reference import Reference, ReferenceFault
from buildsys.oci.registry_storage import Incomplete, NotStored, Storage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from buildsys.model.digest import Digest
    from buildsys.model.tree import Entry
    from buildsys.oci.image import Json

LOCK = "buildsys lock --image={image}"
"""The command that looks an image up and pins it."""

_HEAD = 8192
"""Bytes of a file that tell whether it is text."""

_WHOLE = 4 << 20
"""Bytes of a text that is read in one piece; what has more is searched line by line."""

_LINE = 64 << 10
_TEXT = "text"
_EM_BPF = 247
"""Programs for the kernel's own machine run on every architecture (System V ABI, registry of e_machine)."""

_NAMESPACE = "calico"


class Allowed(NamedTuple):
    """An image that may be missing, and why."""

    image: str
    reason: str


class _Searched(NamedTuple):
    """A file, what it is (`text`, `elf 62`, `gzip`, ...), and what it says about images."""

    path: str
    nature: str
    found: Found = Found()


class _Ask(NamedTuple):
    """A place that has a node ask for an image; `asker` where it takes a program to know of which."""

    path: str
    mention: Mention
    image: str
    reference: Reference
    asker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure(BaseOperation):
    """Pass on `tree` as output 0 if it is closed, and write what was checked as output 1, a line of JSON each.

    Nodes ask `registry` for images under their path, without their host. `kubeadm` says what kubeadm asks for.
    """

    MNEMONIC: ClassVar[str] = "CheckClosure"
    VERSION: ClassVar[int] = 1
    PASSES: ClassVar[bool] = True

    tree: Artifact
    arch: str
    registry: str
    folder: str = "registry"
    kubeadm: Kubeadm | None = None
    allowed: tuple[Allowed, ...] = ()
    places: tuple[Location, ...] = exempt("where the allowed images are written, for messages", default=())
    origins: tuple[tuple[str, str], ...] = exempt("who put a file there, for messages", default=())
    owner: str = exempt("the target that allows images, for messages", default="")

    @property
    def tools(self) -> tuple[str, ...]:
        """The library that reads YAML."""
        return ("pyyaml",)

    def execute(self, io: ActionIO) -> None:
        """Check, then write both outputs.

        Raises `BuildErrors` with an `ActionFailed` B431 for each place that names an image which is not there, B432
        where it is not complete, B433 for a program of another architecture, B434 for an image that is allowed and
        never asked for, B436 for a configuration of kubeadm whose images cannot be told.
        """
        tree = io.tree(self.tree)
        inside = f"{self.folder}/"
        files = [entry for entry in tree.entries if entry.kind == FILE and not entry.path.startswith(inside)]
        searched = [_Searched(entry.path, *_search(io, entry)) for entry in files]
        verdict = _Verdict(self, Storage(tree, self.folder, lambda digest: _read(io, digest)))
        for file in searched:
            verdict.machine(file)
        for ask in self._asked(searched, verdict):
            verdict.image(ask)
        verdict.stale()
        if verdict.errors:
            raise BuildErrors(verdict.errors)
        io.write_tree(tree, 0)
        io.write(b"".join(canonical_json(line) + b"\n" for line in verdict.lines), 1)

    def _asked(self, searched: list[_Searched], verdict: _Verdict) -> Iterator[_Ask]:
        """Yield all that nodes will ask for, file by file."""
        calico = sorted({image for file in searched for image in _calico_images(file)})
        for file in searched:
            for mention in file.found.mentions:
                yield _Ask(file.path, mention, mention.text, Reference.parse(mention.text))
            for each in file.found.configurations:
                if each.kind.text == CALICO:
                    yield from _of_operator(file.path, each, calico)
                elif each.kind.text == KUBEADM and (kubeadm := verdict.release(file.path, each)):
                    yield from _of_kubeadm(file.path, each, kubeadm)


def _search(io: ActionIO, entry: Entry) -> tuple[str, Found]:
    """Return what a file is, and what it says about images."""
    kind = mentions.kind_of(entry.path)
    key = f"mentions {mentions.SCANNER} {kind} {entry.digest}"
    known = io.recall(key).get(key)
    if known is not None:
        nature, _, data = _read(io, known.digest).partition(b"\n")
        try:
            return nature.decode(), mentions.decode(data)
        except ValueError:
            pass  # of a version that never was released
    with io.open_blob(entry.digest) as stream:
        nature_, found = _looked(stream, entry.size, kind)
    data = nature_.encode() + b"\n" + mentions.encode(found)
    io.remember(key, Value(io.put_blob(data), len(data)))
    return nature_, found


def _looked(stream: BinaryIO, size: int, kind: str) -> tuple[str, Found]:
    head = stream.read(_HEAD)
    nature = _nature(head)
    if nature != _TEXT:
        return nature, Found()
    if size <= _WHOLE:
        return nature, mentions.scan(kind, (head + stream.read()).decode("utf-8-sig", "replace"))
    stream.seek(0)
    lines = iter(lambda: stream.readline(_LINE), b"")
    return nature, mentions.scan_lines(line.decode("utf-8", "replace") for line in lines)


def _nature(head: bytes) -> str:
    """Return what a file is that begins with `head`."""
    machine = elf_machine(head)
    if machine is not None:
        return f"elf {machine}"
    return compression_of(head) or container_of(head[:BLOCK]) or ("data" if b"\0" in head else _TEXT)


def _read(io: ActionIO, digest: Digest) -> bytes:
    with io.open_blob(digest) as stream:
        return stream.read()


def _calico_images(file: _Searched) -> Iterator[str]:
    """Yield the images of Calico on a list, as `name:tag`."""
    if mentions.kind_of(file.path) == mentions.LIST:
        for mention in file.found.mentions:
            reference = Reference.parse(mention.text)
            namespace, _, name = reference.path.partition("/")
            if namespace == _NAMESPACE and reference.tag:
                yield f"{name}:{reference.tag}"


def _of_operator(path: str, installation: Configuration, calico: Iterable[str]) -> Iterator[_Ask]:
    """Yield what the operator asks for where an Installation tells it another place than the one built in.

    Source: docs.tigera.io, Installation reference: `registry`, `imagePath`, `imagePrefix`.
    """
    said = {key: mention.text.strip("/") for key, mention in installation.said}
    if not said:
        return
    begin = f"{said.get('registry', 'quay.io')}/{said.get('imagePath', _NAMESPACE)}/{said.get('imagePrefix', '')}"
    at = installation.said[0][1]
    yield from _asks(path, at, (begin + image for image in calico), "the operator of Calico")


def _of_kubeadm(path: str, cluster: Configuration, kubeadm: Kubeadm) -> Iterator[_Ask]:
    """Yield what kubeadm asks for, each at the line that decides it."""
    said = {key: mention.text for key, mention in cluster.said}
    everything = cluster.get("imageRepository") or cluster.kind
    at = {
        "coredns": cluster.get("dns.imageTag") or cluster.get("dns.imageRepository"),
        "etcd": cluster.get("etcd.local.imageTag") or cluster.get("etcd.local.imageRepository"),
    }
    for name, image in asked_images(kubeadm, said, cluster.without).items():
        yield from _asks(path, at.get(name) or everything, [image], "kubeadm")


def _asks(path: str, at: Mention, images: Iterable[str], asker: str) -> Iterator[_Ask]:
    for image in images:
        try:
            yield _Ask(path, at, image, Reference.parse(image), asker)
        except ReferenceFault:
            continue  # the repository is none; kubeadm and the operator will say so


class _Verdict:
    """Judges what was found: `errors`, and `lines` of what is well."""

    def __init__(self, closure: Closure, storage: Storage) -> None:
        self.errors: list[BuildError] = []
        self.lines: list[Json] = []
        self._closure = closure
        self._storage = storage
        self._origins = dict(closure.origins)
        self._allowed = {str(Reference.parse(each.image)): each for each in closure.allowed}
        self._used: set[str] = set()
        self._machines = {number: arch for arch, number in ELF_MACHINES.items()} | {3: "386", 40: "arm", 243: "riscv"}

    def machine(self, file: _Searched) -> None:
        """Judge what a file is."""
        arch = self._closure.arch
        kind, _, number = file.nature.partition(" ")
        if kind != "elf":
            searched = file.nature == _TEXT and mentions.kind_of(file.path) != mentions.PROSE
            self.lines.append({"file": file.path, "is": file.nature, "searched": searched})
            return
        found = self._machines.get(int(number), f"machine {number}")
        self.lines.append({"file": file.path, "is": f"program for {found}", "searched": False})
        if int(number) not in {ELF_MACHINES.get(arch, int(number)), _EM_BPF}:
            self.errors.append(
                ActionFailed(
                    "B433",
                    f"{file.path} is a program for {found} (ELF machine {number}), in a rootfs for {arch}",
                    at=Location(file.path, 1),
                    hint=f"take the file for {arch}, machine {ELF_MACHINES[arch]}: its address or its pin is another's",
                    notes=self._origin(file.path),
                )
            )

    def image(self, ask: _Ask) -> None:
        """Judge whether an image that is asked for is there."""
        reference, arch, registry = ask.reference, self._closure.arch, self._closure.registry
        name = f"{reference.path}{f'@{reference.digest}' if reference.digest else f':{reference.tag}'}"
        at = Location(ask.path, ask.mention.line, ask.mention.column, len(ask.mention.text))
        allowed = self._allowed.get(str(reference))
        if allowed:
            self._used.add(str(reference))
        try:
            present = self._storage.find(reference.path, reference.tag, reference.digest, arch)
        except (NotStored, Incomplete) as lacking:
            if allowed:
                self.lines.append({"at": str(at), "image": ask.image, "asked": name, "allowed": allowed.reason})
            else:
                self.errors.append(self._missing(ask, at, name, lacking))
            return
        asker: dict[str, Json] = {"by": ask.asker} if ask.asker else {}
        self.lines.append(
            {
                **asker,
                "at": str(at),
                "image": ask.image,
                "asked": f"{registry}/{name}",
                "link": present.link,
                "top": f"sha256:{present.top}",
                "manifest": f"sha256:{present.manifest}",
            }
        )

    def _missing(self, ask: _Ask, at: Location, name: str, lacking: Exception) -> ActionFailed:
        folder, arch = self._closure.folder, self._closure.arch
        who = f"{ask.asker} asks for {ask.image}, which" if ask.asker else ask.image
        notes = [f"{at.line:>6} | {ask.mention.excerpt}", *self._origin(ask.path)]
        lock = LOCK.format(image=self._upstream(ask.reference))
        if isinstance(lacking, Incomplete):
            message = f"{who} is in {folder}/ as {name}, but not complete for {arch}: {lacking}"
            hint = f"run `{lock}` and build again; {folder}/ must be made for {arch}, by one target"
            return ActionFailed("B432", message, at=at, hint=hint, notes=notes)
        if nearest := self._nearest(ask.reference):
            notes.append(f"the nearest that is there: {nearest}")
        hint = (
            f"put it on an image list and run `{lock}`; or allow it in `allow` of {self._closure.owner}, with a reason"
        )
        message = f"{who} is not in {folder}/ for {arch}, where a node will look for {name}"
        return ActionFailed("B431", message, at=at, hint=hint, notes=notes)

    def _upstream(self, reference: Reference) -> str:
        """Return the name of an image outside of the cluster, as far as it can be told."""
        kubeadm = self._closure.kubeadm
        if reference.host != self._closure.registry:
            return reference.familiar if reference.digest else str(reference)
        name = str(reference).removeprefix(f"{reference.host}/")
        if kubeadm and reference.path.rpartition("/")[2] in kubeadm.names:
            return f"{kubeadm.default_repository}/{name}"
        return name

    def _nearest(self, reference: Reference) -> str:
        from difflib import get_close_matches

        names = self._storage.names()
        same = [name for name in names if name.rpartition(":")[0] == reference.path]
        if same:
            return (get_close_matches(f"{reference.path}:{reference.tag}", same, 1, 0.0) or same)[0]
        return "".join(get_close_matches(f"{reference.path}:{reference.tag}", names, 1, 0.6))

    def release(self, path: str, cluster: Configuration) -> Kubeadm | None:
        """Return what is known of the kubeadm that a configuration is for; where that is nothing, add the error."""
        kubeadm, version = self._closure.kubeadm, cluster.get("kubernetesVersion")
        if kubeadm is None:
            mention = cluster.kind
            message = "which images kubeadm asks for depends on its release, which the check is not told"
            hint = f"set `kubernetes` of {self._closure.owner}"
        elif version is not None and version.text.removeprefix("v") != kubeadm.kubernetes:
            mention = version
            message = f"this configures kubeadm for Kubernetes {version.text}, in a rootfs of {kubeadm.kubernetes}"
            hint = f"write v{kubeadm.kubernetes}"
        else:
            return kubeadm
        at = Location(path, mention.line, mention.column, len(mention.text))
        notes = (f"{at.line:>6} | {mention.excerpt}", *self._origin(path))
        self.errors.append(ActionFailed("B436", message, at=at, hint=hint, notes=notes))
        return None

    def stale(self) -> None:
        """Judge what is allowed and was never asked for."""
        for number, allowed in enumerate(self._closure.allowed):
            if str(Reference.parse(allowed.image)) not in self._used:
                at = self._closure.places[number] if number < len(self._closure.places) else None
                message = f"'{allowed.image}' may be missing, but nothing in the rootfs asks for it"
                hint = "remove it: what is allowed for no reason hides the next mistake"
                self.errors.append(ActionFailed("B434", message, at=at, hint=hint))

    def _origin(self, path: str) -> tuple[str, ...]:
        return (f"put there by {self._origins[path]}",) if path in self._origins else ()
