"""Image references in YAML and JSON of any depth, and in the texts that it holds, such as a ConfigMap's data.

What is known: `image` and keys that end so; the maps of Helm's values (`repository`, `tag`) and of kustomize
(`newName`, `newTag`); environment variables and flags whose names say `image`; kubeadm's configuration; the
Installation of the Tigera operator.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from buildsys.adapters.yaml_parts import Items, Pairs, Text, parts
from buildsys.oci.mention import (
    CALICO,
    KUBEADM,
    TOOL,
    UNKNOWN,
    Configuration,
    Found,
    Mention,
    is_explicit,
    is_reference,
)
from buildsys.oci.mention_lines import flags, loose
from buildsys.oci.mention_shell import shell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from buildsys.adapters.yaml_parts import Part

WORTH_READING = re.compile(r"image|newname|repository|config-reloader|operator\.tigera\.io", re.IGNORECASE)
"""What stands in every text that mentions an image in one of the known ways."""

_DEEPEST = 4
"""How many texts within texts are read."""

_PROSE = frozenset({"description", "message", "summary"})


def structured(text: str, depth: int = 0) -> Found:
    """Return what a YAML or JSON text says about images; where it breaks off, the rest is read line by line."""
    if not WORTH_READING.search(text) and not TOOL.search(text):
        return Found()
    read = parts(text)
    walk = _Walk(depth)
    for document in read.documents:
        walk.part(document)
    if read.broken_from:
        for found in loose(text.split("\n")[read.broken_from - 1 :]):
            line = found.line + read.broken_from - 1
            walk.mentions.append(found._replace(line=line))
    return Found(tuple(walk.mentions), tuple(walk.configurations))


class _Walk:
    """Collects what documents say. Recursion is bounded by the depth that the reader allows."""

    def __init__(self, depth: int) -> None:
        self.mentions: list[Mention] = []
        self.configurations: list[Configuration] = []
        self._depth = depth

    def part(self, part: Part, key: str = "", *, images: bool = True) -> None:
        """Read a value that stands under `key`; `images` is false where the key `image` means another thing."""
        if isinstance(part, Text):
            self._text(part, key, images=images)
        elif isinstance(part, Items):
            for item in part.values:
                if isinstance(item, Text) and key == "images" and is_explicit(item.text):
                    self.mentions.append(_at(item))
                else:
                    self.part(item, "-", images=images)
        else:
            self._pairs(part, images=images)

    def _pairs(self, part: Pairs, *, images: bool) -> None:
        known = {key.text: value for key, value in reversed(part.values)}
        kind, group = _word(known, "kind"), _word(known, "apiVersion")
        if group.startswith("sealer.") and kind == "Cluster":
            images = False  # the cluster image itself, which no node pulls
        elif group.startswith("kubeadm.k8s.io/") and kind == KUBEADM:
            self.configurations.append(_kubeadm(known))
        elif group.startswith("operator.tigera.io/") and kind == CALICO:
            self.configurations.append(_configuration(known, ("spec",), ("registry", "imagePath", "imagePrefix")))
        composed = _composed(known)
        if composed is not None:
            self.mentions.append(composed)
        for key, value in part.values:
            if composed is None or key.text != "image" or not isinstance(value, Text):
                self.part(value, key.text, images=images)

    def _text(self, part: Text, key: str, *, images: bool) -> None:
        text, name = part.text, key.lower()
        if "\n" in text or part.style in {"|", ">"} or text.startswith("{"):
            if name not in _PROSE and self._depth < _DEEPEST:
                self._nested(part)
        elif name == "image":
            if images and is_reference(text):
                self.mentions.append(_at(part))
        elif name.endswith("image"):
            if is_explicit(text):
                self.mentions.append(_at(part))
        elif TOOL.search(text):
            self._shift(Found(tuple(shell(text))), part)
        else:
            self.mentions += [_at(part._replace(text=found.text)) for found in flags(text)]

    def _nested(self, part: Text) -> None:
        """Read a text within the text."""
        text = part.text
        if text.startswith("#!"):
            found = Found(tuple(shell(text)))
        else:
            found = structured(text, self._depth + 1)
            if not any(found) and TOOL.search(text):
                found = Found(tuple(shell(text)))
        self._shift(found, part)

    def _shift(self, found: Found, part: Text) -> None:
        """Take in what a text within the text says. Lines of a literal block are lines of the whole."""

        def moved(mention: Mention) -> Mention:
            if part.style == "|":
                return mention._replace(line=part.line + mention.line, last_line=part.line + mention.line, column=1)
            return Mention(mention.text, part.line, part.column, part.last_line)

        self.mentions += map(moved, found.mentions)
        self.configurations += [each.moved(moved) for each in found.configurations]


def _at(part: Text) -> Mention:
    return Mention(part.text, part.line, part.column, part.last_line)


def _word(known: Mapping[str, Part], key: str) -> str:
    value = known.get(key)
    return value.text if isinstance(value, Text) else ""


def _said(known: Mapping[str, Part], *path: str) -> Mention | None:
    """Return the text at a path of keys; None where there is none, or where it is not known before it runs."""
    value: Part | None = None
    for key in path:
        value = known.get(key)
        known = {name.text: inner for name, inner in reversed(value.values)} if isinstance(value, Pairs) else {}
    if not isinstance(value, Text) or value.text in {"", "~", "null"} or UNKNOWN in value.text:
        return None
    return _at(value)


def _composed(known: Mapping[str, Part]) -> Mention | None:
    """Return the reference that a mapping has in several pieces: Helm's, kustomize's, a variable of the environment."""
    tag, digest = _said(known, "tag") or _said(known, "imageTag"), _said(known, "digest")
    name = _said(known, "repository")
    if name and (registry := _said(known, "registry")):
        return _joined(name._replace(text=f"{registry.text}/{name.text}"), tag, digest)
    if name:
        return _joined(name, tag, digest)
    if (image := _said(known, "image")) and tag and is_reference(image.text) and not is_explicit(image.text):
        return _joined(image, tag, digest)
    renamed = _said(known, "newName")
    if renamed or "newTag" in known:
        return _joined(renamed or _said(known, "name"), _said(known, "newTag"), digest)
    variable, value = _word(known, "name"), _said(known, "value")
    if "image" in variable.lower() and value and is_explicit(value.text):
        return value
    return None


def _joined(name: Mention | None, tag: Mention | None, digest: Mention | None) -> Mention | None:
    if name is None or (tag is None and digest is None):
        return None
    text = name.text + (f":{tag.text}" if tag else "") + (f"@{digest.text}" if digest else "")
    return name._replace(text=text) if is_explicit(text) else None


def _kubeadm(known: Mapping[str, Part]) -> Configuration:
    """Read a ClusterConfiguration (kubeadm.k8s.io v1beta1 to v1beta4)."""
    keys = (
        "kubernetesVersion",
        "imageRepository",
        "dns.imageRepository",
        "dns.imageTag",
        "etcd.local.imageRepository",
        "etcd.local.imageTag",
    )
    without = [
        name
        for name, path in (("coredns", ("dns", "disabled")), ("kube-proxy", ("proxy", "disabled")))
        if (said := _said(known, *path)) and said.text == "true"
    ]
    etcd = known.get("etcd")
    if isinstance(etcd, Pairs) and any(key.text == "external" for key, _ in etcd.values):
        without.append("etcd")
    return _configuration(known, (), keys, tuple(without))


def _configuration(
    known: Mapping[str, Part], below: tuple[str, ...], keys: Iterable[str], without: tuple[str, ...] = ()
) -> Configuration:
    """Return what a document says under `keys`, whose path begins with `below`."""
    said = [(key, mention) for key in keys if (mention := _said(known, *below, *key.split(".")))]
    return Configuration(_said(known, "kind") or Mention("", 1), tuple(said), without)
