"""http_file: one external file, pinned by its digest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from buildsys.actions.download import Download
from buildsys.actions.sample import SampleArchive, SampleFile, SampleImage
from buildsys.errors import BuildErrors, DependencyError
from buildsys.model.digest import is_digest
from buildsys.sdk import Context, DefaultInfo, Operation, Provider, Rule, attr

SOURCE = "source"
SAMPLE = "sample"


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
        out = ctx.declare(self.downloaded_file_path or ctx.label.name)
        name = self.pin or ctx.label.name
        if self.sample and ctx.has_param(SOURCE) and ctx.param(SOURCE) == SAMPLE:
            ctx.register(self._stand_in(name), [out], f"Sample {out.path}")
        else:
            ctx.register(self._download(ctx, name), [out], f"Download {name} {self.version} {self.arch}")
        return (DefaultInfo((out,)),)

    def _stand_in(self, name: str) -> Operation:
        if self.sample == "archive":
            members = tuple((member, "elf") for member in self.sample_members)
            return SampleArchive(format="tar.gz", members=members, name=name, version=self.version, arch=self.arch)
        if self.sample == "image":
            return SampleImage(reference=self.sample_image, arch=self.arch)
        return SampleFile(kind=self.sample, name=name, version=self.version, arch=self.arch)

    def _download(self, ctx: Context, name: str) -> Download:
        errors: list[DependencyError] = []
        digest = self.sha256 or ctx.pin(name, self.version, self.arch) or ""
        what = " ".join(part for part in (name, self.version, self.arch) if part)
        if not digest:
            line = f"file {name} {self.version or '-'} {self.arch} sha256:<64 hexadecimal digits> <source>"
            errors.append(
                DependencyError(
                    "B414",
                    f"{ctx.label}: {what} is not pinned",
                    at=ctx.at("urls"),
                    hint=f"add this line to {ctx.lockfile}: {line}",
                )
            )
        elif not is_digest(digest):
            errors.append(DependencyError("B414", f"{ctx.label}: '{digest}' is no SHA-256", at=ctx.at("sha256")))
        base = ctx.param(self.mirror).rstrip("/") if self.mirror else ""
        if self.mirror and not base:
            errors.append(
                DependencyError(
                    "B415",
                    f"{ctx.label}: the parameter '{self.mirror}', where {what} comes from, is not set",
                    at=ctx.at("mirror"),
                    hint=f"give --param={self.mirror}=URL, or add to .buildsysrc: build --param={self.mirror}=URL",
                )
            )
        if errors:
            raise BuildErrors(errors)
        urls = tuple(url if "://" in url else f"{base}/{url.lstrip('/')}" for url in self.urls)
        return Download(sha256=digest, executable=self.executable, urls=urls, what=what)
