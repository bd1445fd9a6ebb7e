"""http_file: one external file, pinned by its digest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from buildsys.actions.download import Download, unset_mirror
from buildsys.errors import BuildErrors, DependencyError, UserError
from buildsys.model.digest import is_digest
from buildsys.model.document import Scalar
from buildsys.sdk import Context, DefaultInfo, Operation, Provider, Rule, attr
from buildsys.sdk.sample import wants_sample

if TYPE_CHECKING:
    from buildsys.model.target import Target

UNVERSIONED = "-"
"""What stands in the lock file in place of a version."""

_USUAL = re.compile(r"(?:https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,4})?|file://)/[!-~]*")
"""Addresses that have nothing wrong with them; others are taken apart. Doing so with all takes 3 ms."""

_FORMS = "write it like https://host/path or file:///path, or relative to a `mirror`"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFile(Rule):
    """One external file. Its digest comes from the lock file (or `sha256`); without one nothing is fetched.

    Where the file comes from does not change what it is, so a change of `urls` or `mirror` rebuilds nothing. When the
    workspace declares a parameter `source` and it is `sample`, the file is a stand-in of the same form instead.
    """

    NAME: ClassVar[str] = "http_file"

    urls: tuple[str, ...] = attr("Addresses, tried in order: http, https or file, or relative to the `mirror`.")
    mirror: str = attr("The url parameter that relative `urls` are below.", "")
    pin: str = attr("The name of the pin in the lock file; by default the target's name.", "")
    version: str = attr("The version of the pin.", "")
    arch: str = attr("The architecture of the pin; `any` for files that serve all.", "{arch}")
    sha256: str = attr("The digest, for files that the lock file does not list.", "")
    downloaded_file_path: str = attr(
        "The name of the file, and its place in a rootfs; by default the target's name.", ""
    )
    executable: bool = attr("Whether the file is a program.", False)
    sample: Literal["", "elf", "script", "text", "archive", "image"] = attr("The form of the stand-in.", "")
    sample_members: tuple[str, ...] = attr("The programs in the stand-in of an archive.", ())
    sample_image: str = attr("The reference of the stand-in of an image.", "")

    def analyse(self, ctx: Context) -> tuple[Provider, ...]:
        """One Download (or stand-in) action, one file out."""
        out = ctx.declare(self.downloaded_file_path or ctx.label.name, "downloaded_file_path")
        name = self.pin or ctx.label.name
        if self.sample and wants_sample(ctx):
            ctx.register(self._stand_in(name), [out], f"Sample {out.path}")
        else:
            ctx.register(self._download(ctx, name), [out], f"Download {name} {self.version} {self.arch}")
        return (DefaultInfo((out,)),)

    def _stand_in(self, name: str) -> Operation:
        from buildsys.actions.sample import SampleArchive, SampleFile, SampleImage

        if self.sample == "archive":
            members = tuple((member, "elf") for member in self.sample_members)
            return SampleArchive(format="tar.gz", members=members, name=name, version=self.version, arch=self.arch)
        if self.sample == "image":
            return SampleImage(reference=self.sample_image, arch=self.arch)
        return SampleFile(kind=self.sample, name=name, version=self.version, arch=self.arch)

    def _download(self, ctx: Context, name: str) -> Download:
        errors: list[UserError] = []
        digest = self.sha256.lower() or ctx.pin(name, self.version or UNVERSIONED, self.arch) or ""
        what = " ".join(part for part in (name, self.version, self.arch) if part)
        if not self.version and ctx.at("version") != ctx.at():
            hint = "give the parameters in it a value, or do without this file"
            errors.append(UserError("B224", f"{ctx.label}: its version is empty", at=ctx.at("version"), hint=hint))
        elif not digest:
            line = f"file {name} {self.version or UNVERSIONED} {self.arch} sha256:<64 hexadecimal digits> <source>"
            errors.append(
                DependencyError(
                    "B414",
                    f"{ctx.label}: {what} is not pinned",
                    at=ctx.at("urls"),
                    hint=f"add this line to {ctx.lockfile}: {line}",
                )
            )
        elif not is_digest(digest):
            errors.append(
                DependencyError(
                    "B414",
                    f"{ctx.label}: '{digest}' is no SHA-256",
                    at=ctx.at("sha256"),
                    hint="write 64 hexadecimal digits",
                )
            )
        base = ctx.param(self.mirror, "mirror").rstrip("/") if self.mirror else ""
        unset = self.mirror if self.mirror and not base else ""
        if unset and errors:  # a pinned file may lie in the store or in a folder of downloads
            errors.append(unset_mirror(f"{ctx.label}: {what}", unset, ctx.at("mirror")))
        urls = tuple(url if "://" in url or not base else f"{base}/{url.lstrip('/')}" for url in self.urls)
        if not urls:
            errors.append(UserError("B224", f"{ctx.label}: no addresses", at=ctx.at("urls"), hint="write at least one"))
        if base or not self.mirror:
            errors += [
                UserError("B224", f"{ctx.label}: {url!r} {fault}", at=ctx.at("urls", url), hint=_FORMS)
                for url in urls
                if (fault := _url_fault(url))
            ]
        if errors:
            raise BuildErrors(errors)
        return Download(
            sha256=digest,
            executable=self.executable,
            urls=urls,
            what=what,
            at=ctx.at("mirror" if unset else "urls"),
            unset=unset,
        )


def pinned_by(target: Target, parameter: str) -> str:
    """Return what the lock file has to pin for each version of `parameter` that `target` is built for, or nothing."""
    attributes = target.attributes
    version, pin = attributes.get("version"), attributes.get("pin")
    if target.rule != HttpFile.NAME or "sha256" in attributes or not isinstance(version, Scalar):
        return ""
    name = pin.text if isinstance(pin, Scalar) and pin.text else target.label.name
    return name if version.text == f"{{{parameter}}}" and "{" not in name else ""


def _url_fault(url: str) -> str:
    """Say why nothing can be fetched from an address, or return the empty string."""
    if _USUAL.fullmatch(url):
        return ""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return f"is no address: {error}"
    if not url.isprintable():
        return "has a control character"
    if parts.scheme not in {"http", "https", "file"}:
        return f"has the scheme '{parts.scheme}'" if parts.scheme else "is relative, and there is no `mirror`"
    if parts.scheme == "file":
        return f"names the host '{parts.netloc}'" if parts.netloc not in {"", "localhost"} else ""
    return "" if parts.hostname else "names no host"
