"""Finds what a file says about container images, by the kind of file: see `mention.py` for what is found.

    YAML        any depth, several documents, texts within texts (`mention_yaml`); JSON is YAML
    shell       scripts, files of variables, systemd units (`mention_shell`)
    TOML, list  line by line (`mention_lines`)
    prose       nothing: what nobody but a human reads
    loose       `image: X` and flags, line by line

Go templates (`.tmpl`, templates of a chart) are read as they are when nothing is set.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from buildsys.oci.mention import Configuration, Found, Mention, placed

if TYPE_CHECKING:
    from collections.abc import Iterable


SCANNER = 1
"""The version of the scanner: raise it when a text may yield other mentions than before."""

YAML, SHELL, TOML, LIST, PROSE, LOOSE, ANY = "yaml", "shell", "toml", "list", "prose", "loose", "any"
TEMPLATE = "+template"

_SUFFIXES = {
    **dict.fromkeys(("yaml", "yml", "json"), YAML),
    **dict.fromkeys(("sh", "bash", "env", "service", "socket", "timer", "path", "mount", "target"), SHELL),
    "toml": TOML,
    **dict.fromkeys(("md", "rst", "adoc", "html", "css", "svg", "crt", "pem", "key"), PROSE),
}
_NAMES = {
    **dict.fromkeys(("kubefile", "dockerfile", "containerfile", "license", "notice", "readme", "changelog"), PROSE),
    "clusterfile": YAML,
}
_SHEBANG = re.compile(r"#!.*?\b(?:ba|da|a|k|z)?sh\b")
_UNIT = re.compile(r"\s*(?:[#;].*\n\s*)*\[(?:Unit|Service|Install|Socket|Timer|Path|Mount)\]")
_DOCUMENT = re.compile(r"\s*(?:#.*\n\s*)*(?:---|[{\[]|apiVersion:|kind:)")


def kind_of(path: str) -> str:
    """Return how a file of a rootfs is read, as told by its path alone: with `ANY` its beginning decides."""
    name = path.rpartition("/")[2].lower()
    suffix = ""
    if name.endswith((".tmpl", ".tpl")):
        name, suffix = name.rpartition(".")[0], TEMPLATE
    elif "charts/" in path and "/templates/" in path:
        suffix = TEMPLATE
    kind = _SUFFIXES.get(name.rpartition(".")[2], ANY) if "." in name else _NAMES.get(name, ANY)
    if re.sub("[-_.]", "", name).removesuffix("txt").endswith("imagelist"):
        kind = LIST
    return kind + suffix


def scan(kind: str, text: str) -> Found:
    """Return what a file of a kind says about images, in the order of its lines, nothing twice. Nothing is raised."""
    from buildsys.oci import mention_lines

    written = text.split("\n")
    kind, template, _ = kind.partition("+")
    if template:
        text = mention_lines.rendered(text)
    if kind == ANY:
        kind = _told(text)
    if kind == YAML:
        from buildsys.oci.mention_yaml import structured

        found = structured(text)
    elif kind == SHELL:
        from buildsys.oci.mention_shell import shell

        found = Found(tuple(shell(text)))
    elif kind in {TOML, LIST, LOOSE}:
        read = {TOML: mention_lines.toml, LIST: mention_lines.listed, LOOSE: mention_lines.loose}[kind]
        found = Found(tuple(read(text.split("\n"))))
    else:
        found = Found()
    mentions = {(m.line, m.column, m.text): m for m in (placed(mention, written) for mention in found.mentions)}
    return Found(
        tuple(mentions[key] for key in sorted(mentions)),
        tuple(each.moved(lambda mention: placed(mention, written)) for each in found.configurations),
    )


def scan_lines(lines: Iterable[str]) -> Found:
    """Return what a text says that is too large to be read in one piece."""
    from buildsys.oci.mention_lines import loose

    return Found(tuple(mention._replace(excerpt=mention.text) for mention in loose(lines)))


def _told(text: str) -> str:
    head = text[:4096]
    if head.startswith("#!"):
        return SHELL if _SHEBANG.match(head) else LOOSE
    if _UNIT.match(head):
        return SHELL
    return YAML if _DOCUMENT.match(head) else LOOSE


def encode(found: Found) -> bytes:
    """Return what was found as bytes."""
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False).encode()


def decode(data: bytes) -> Found:
    """Read back what `encode` wrote. Raises `ValueError` for anything else."""
    try:
        mentions, configurations = json.loads(data)
        return Found(
            tuple(Mention(*each) for each in mentions),
            tuple(
                Configuration(Mention(*kind), tuple((name, Mention(*each)) for name, each in said), tuple(without))
                for kind, said, without in configurations
            ),
        )
    except TypeError as error:
        raise ValueError(str(error)) from error
