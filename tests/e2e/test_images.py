"""Container images from real registries into the tree that a real registry serves."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shlex
import shutil
import subprocess
import time
from contextlib import closing, contextmanager
from itertools import product
from typing import TYPE_CHECKING

import pytest

from tests.e2e.workspace import REPOSITORY, Workspace
from tests.images import docker_image, oci_image
from tests.registries import registry
from tests.registry_clients import client, push
from tests.scripted_http import Reply, Request, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.images import Sample
    from tests.registries import Registry

WORKSPACE = """\
workspace: images
packages: context
lockfile: buildsys.lock
platforms: [linux/amd64, linux/arm64]
parameters:
  arch: {type: choice, values: [amd64, arm64], default: amd64}
"""
PACKAGE = """\
targets:
  - {rule: image_list, name: list, kubernetes: "", srcs: [images.txt], manifests: [app.yaml]}
  - {rule: container_images, name: registry, images: ":list"}
  - {rule: container_images, name: single, images: ":list", layout: single, arch: arm64}
  - {rule: container_images, name: full, images: ":list", layout: full, arch: arm64}
  - {rule: rootfs, name: "tree-{arch}", layers: [":list", ":registry"], matrix: {arch: [amd64, arm64]}}
"""
HELLO = oci_image(size=300_000)
PAUSE = docker_image()
NESTED = oci_image("team/nested", "v2", nested=True)
SAMPLES = (HELLO, PAUSE, NESTED)


class Site:
    """A workspace whose images come from a registry."""

    def __init__(self, root: Path, upstream: Registry) -> None:
        self.upstream = upstream
        self.workspace = Workspace(root)
        (root / "context/p").mkdir(parents=True)
        (root / "BUILD.yaml").write_text(WORKSPACE)
        (root / "context/p/BUILD.yaml").write_text(PACKAGE)
        self.list(f"docker.io/{HELLO.repository}:{HELLO.tag}", f"reg.example/{PAUSE.repository}:{PAUSE.tag}")
        (root / "context/p/app.yaml").write_text(
            f"kind: Pod\nspec:\n  containers:\n    - image: quay.example/{NESTED.repository}:{NESTED.tag}\n"
        )
        hosts = ("docker.io", "reg.example", "quay.example")
        self.mirrors = [f"--registry_mirror={host}=http://{upstream.host}" for host in hosts]

    def list(self, *images: str) -> None:
        (self.workspace.root / "context/p/images.txt").write_text("".join(f"{image}\n" for image in images))

    @property
    def lockfile(self) -> Path:
        return self.workspace.root / "buildsys.lock"

    def lock(self, *options: str) -> str:
        done = self.workspace.run("lock", *self.mirrors, *options, "//p:registry")
        return done.passed().stderr

    @contextmanager
    def serving(self, target: str, folder: Path) -> Iterator[Registry]:
        """Build a target and run a registry over it."""
        (path,) = self.workspace.build(*self.mirrors, f"//p:{target}").outputs
        with registry(folder, data=self.workspace.root / path, readonly=True) as running:
            yield running

    def tree(self, arch: str) -> Path:
        self.workspace.build(*self.mirrors, f"//p:tree-{arch}")
        return self.workspace.root / f"buildsys-bin/p/tree-{arch}"


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("upstream")) as running, client(running.host) as target:
        for sample in SAMPLES:
            push(target, running.host, sample)
        yield running


@pytest.fixture
def site(tmp_path: Path, upstream: Registry) -> Site:
    return Site(tmp_path, upstream)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory, upstream: Registry) -> dict[str, Path]:
    """The storage trees of both architectures, and their union."""
    site = Site(tmp_path_factory.mktemp("site"), upstream)
    site.lock()
    found = {arch: site.tree(arch) / "registry" for arch in ("amd64", "arm64")}
    found["union"] = tmp_path_factory.mktemp("union")
    for arch in ("arm64", "amd64"):  # as the deploy tool does: one over the other
        shutil.copytree(found[arch], found["union"], dirs_exist_ok=True)
    return found


def files(root: Path) -> dict[str, str]:
    """Return the digest of each file of a storage tree, by path, without what a registry notes for itself."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_file() and "/_uploads/" not in name and name != "scheduler-state.json":
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def copied(host: str, name: str, arch: str, to: Path, *options: str) -> str:
    """Copy an image out of a registry with skopeo; return the digest of the manifest that arrived."""
    subprocess.run(
        [
            "skopeo",
            "copy",
            "-q",
            *options,
            "--src-tls-verify=false",
            f"--override-arch={arch}",
            f"docker://{host}/{name}",
            f"dir:{to}",
        ],
        check=True,
        env={"PATH": os.environ["PATH"], "HOME": str(to.parent)},
    )
    return "sha256:" + hashlib.sha256((to / "manifest.json").read_bytes()).hexdigest()


def child(sample: Sample, arch: str) -> str:
    """Return the digest of the manifest of an image for an architecture."""
    return sample.manifests[("amd64", "arm64").index(arch)].digest


@pytest.mark.parametrize(
    ("tree", "arches"), [("amd64", ["amd64"]), ("arm64", ["arm64"]), ("union", ["amd64", "arm64"])]
)
def test_a_registry_over_the_tree_answers_by_tag_and_by_digest_with_what_upstream_has(
    tmp_path: Path, trees: dict[str, Path], tree: str, arches: list[str]
) -> None:
    with registry(tmp_path / "r", data=trees[tree], readonly=True) as running:
        for number, (sample, arch) in enumerate(product(SAMPLES, arches)):
            name = sample.repository
            ways = [f"{name}@{child(sample, arch)}"]
            if sample is not NESTED:  # which skopeo does not follow
                ways += [f"{name}:{sample.tag}", f"{name}@{sample.top.digest}"]
            for way, asked in enumerate(ways):
                assert copied(running.host, asked, arch, tmp_path / f"{number}-{way}") == child(sample, arch)
        with client(running.host) as reader:
            for manifest in NESTED.manifests[-2:]:
                assert reader.manifest(running.host, NESTED.repository, manifest.digest).data == manifest.data
            assert reader.manifest(running.host, NESTED.repository, NESTED.tag).data == NESTED.top.data


def test_the_tree_is_what_a_registry_writes_as_a_pull_through_cache(
    tmp_path: Path, upstream: Registry, trees: dict[str, Path]
) -> None:
    with registry(tmp_path / "r", remote=f"http://{upstream.host}") as cache:
        with client(cache.host) as reader:  # skopeo does not follow nested indexes
            for ref in (NESTED.tag, NESTED.manifests[-2].digest):
                reader.manifest(cache.host, NESTED.repository, ref)
        copied(cache.host, f"{NESTED.repository}@{child(NESTED, 'arm64')}", "arm64", tmp_path / "nested")
        for number, sample in enumerate((HELLO, PAUSE)):
            copied(cache.host, f"{sample.repository}:{sample.tag}", "arm64", tmp_path / str(number))
        deadline = time.monotonic() + 30
        while files(cache.data) != files(trees["arm64"]) and time.monotonic() < deadline:
            time.sleep(0.1)  # the cache writes blobs after it has answered
        assert files(cache.data) == files(trees["arm64"])


def test_with_the_layout_single_a_tag_leads_to_the_one_manifest(site: Site, tmp_path: Path) -> None:
    hello, pause = f"docker.io/{HELLO.repository}", f"reg.example/{PAUSE.repository}"
    site.list(f"{hello}:{HELLO.tag}", f"{pause}@{PAUSE.top.digest}")
    site.lock()
    with site.serving("single", tmp_path / "r") as running, client(running.host) as reader:
        for sample in (HELLO, NESTED):
            found = reader.manifest(running.host, sample.repository, sample.tag)
            assert found.digest == child(sample, "arm64")
            assert reader.head_manifest(running.host, sample.repository, sample.top.digest) is None
        assert copied(running.host, f"{HELLO.repository}:1.0", "arm64", tmp_path / "1") == child(HELLO, "arm64")
        by_digest = f"{PAUSE.repository}@{PAUSE.top.digest}"
        assert copied(running.host, by_digest, "arm64", tmp_path / "2") == child(PAUSE, "arm64"), "asked for as it is"


def test_with_the_layout_full_all_architectures_are_there(site: Site, tmp_path: Path) -> None:
    site.lock()
    with site.serving("full", tmp_path / "r") as running:
        for number, (sample, arch) in enumerate(product((HELLO, PAUSE), ("amd64", "arm64"))):
            name = f"{sample.repository}:{sample.tag}"
            assert copied(running.host, name, arch, tmp_path / str(number)) == child(sample, arch)
        copied(running.host, f"{PAUSE.repository}:{PAUSE.tag}", "amd64", tmp_path / "all", "--all")
        assert hashlib.sha256((tmp_path / "all/manifest.json").read_bytes()).hexdigest() == PAUSE.top.digest[7:]


def test_images_that_are_named_by_digest(site: Site, upstream: Registry, tmp_path: Path) -> None:
    """Alone, and with a tag, which is then what it is stored as; the tag upstream does not count."""
    site.list(f"{HELLO.repository}@{HELLO.top.digest}", f"reg.example/{PAUSE.repository}:ours@{PAUSE.top.digest}")
    site.lock()
    assert f"image docker.io/library/hello {HELLO.top.digest} index {HELLO.top.digest} " in site.lockfile.read_text()
    with site.serving("registry", tmp_path / "r") as running, client(running.host) as reader:
        name = f"{HELLO.repository}@{HELLO.top.digest}"
        assert copied(running.host, name, "amd64", tmp_path / "1") == child(HELLO, "amd64")
        assert not (running.data / f"docker/registry/v2/repositories/{HELLO.repository}/_manifests/tags").exists()
        assert reader.head_manifest(running.host, HELLO.repository, HELLO.tag) is None
        for ref in ("ours", PAUSE.top.digest):
            assert reader.manifest(running.host, PAUSE.repository, ref).digest == PAUSE.top.digest
        assert reader.head_manifest(running.host, PAUSE.repository, PAUSE.tag) is None


def test_the_garbage_collection_of_a_registry(tmp_path: Path, trees: dict[str, Path]) -> None:
    """As docs/images.md says: it is safe, but with --delete-untagged it takes what an index leads to."""
    data = tmp_path / "data"
    shutil.copytree(trees["union"], data)
    with registry(tmp_path / "r", data=data) as running:
        command = ["docker-registry", "garbage-collect", str(running.folder / "config.yml")]
        environment = {"PATH": os.environ["PATH"]}
        before = files(data)
        subprocess.run(command, check=True, capture_output=True, env=environment)
        assert files(data) == before
        subprocess.run([*command, "--delete-untagged"], check=True, capture_output=True, env=environment)
    with registry(tmp_path / "again", data=data, readonly=True) as running, client(running.host) as reader:
        assert reader.manifest(running.host, PAUSE.repository, PAUSE.tag).digest == PAUSE.top.digest
        assert reader.head_manifest(running.host, PAUSE.repository, child(PAUSE, "amd64")) is None


def test_the_page_about_images_shows_what_works(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs/images.md").read_text()
    targets = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    scripts = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    lines = re.search(r"```\n(image .*?)```", page, re.DOTALL)
    assert targets
    assert lines
    samples = [oci_image("library/nginx", "1.25"), oci_image("team/tool", "2"), oci_image("team/app", "1"), PAUSE]
    with registry(tmp_path / "r") as upstream, client(upstream.host) as target:
        for sample in samples:
            push(target, upstream.host, sample)
        workspace = Workspace(tmp_path / "work")
        demo = workspace.root / "context/demo"
        demo.mkdir(parents=True)
        (workspace.root / "BUILD.yaml").write_text(WORKSPACE)
        (demo / "BUILD.yaml").write_text(targets[1])
        (demo / "images.txt").write_text(f"'quay.io/{PAUSE.repository}:{PAUSE.tag}'  # quoted\n")
        (demo / "app.yaml").write_text("kind: Pod\nspec: {containers: [{image: quay.io/team/app:1}]}\n")
        mirrors = "".join(f"build --registry_mirror={h}=http://{upstream.host}\n" for h in ("docker.io", "quay.io"))
        (workspace.root / ".buildsysrc").write_text(mirrors)
        for command in re.findall(r"^buildsys (.*?)(?: +#.*)?$", scripts[0], re.MULTILINE):
            workspace.run(*shlex.split(command)).passed()
    locked = (workspace.root / "buildsys.lock").read_text()
    for line in lines[1].splitlines():
        assert re.search("^" + re.escape(line).replace(re.escape("..."), "[0-9a-f]{64}") + "$", locked, re.MULTILINE)
    tags = {str(path.parent).rpartition("/v2/repositories/")[2] for path in workspace.root.rglob("tags/*/current")}
    assert {f"{sample.repository}/_manifests/tags/{sample.tag}" for sample in samples if sample != samples[1]} == tags
    assert "team/tool 2 index" in locked


def test_one_image_of_two_hosts_stands_there_once(site: Site) -> None:
    site.list(f"reg.example/{PAUSE.repository}:{PAUSE.tag}")
    site.lock()
    once = files(site.tree("amd64") / "registry")
    site.list(*(f"{host}/{PAUSE.repository}:{PAUSE.tag}" for host in ("reg.example", "quay.example")))
    site.lock()
    assert files(site.tree("amd64") / "registry") == once


def test_what_is_locked_is_not_asked_for_again_and_a_moved_tag_changes_no_build(site: Site, upstream: Registry) -> None:
    assert "Resolved 3 images; 0 were locked already.\nINFO: buildsys.lock was written.\n" in site.lock()
    before = site.lockfile.read_text()
    assert "Resolved 0 images; 3 were locked already.\nINFO: buildsys.lock is as it was.\n" in site.lock()
    tree = files(site.tree("amd64"))
    moved = oci_image(size=1000)
    with client(upstream.host) as target:
        push(target, upstream.host, moved)
        try:
            assert site.workspace.run("clean", "--expunge").code == 0
            assert files(site.tree("amd64")) == tree
            said = site.lock(f"--update=docker.io/{HELLO.repository}")
        finally:
            push(target, upstream.host, HELLO)
    assert (
        f"WARNING: the image was replaced at its registry: docker.io/library/hello:1.0: {HELLO.top.digest} ->" in said
    )
    assert moved.top.digest in site.lockfile.read_text()
    site.lock("--update=*")
    assert site.lockfile.read_text() == before


def test_one_action_an_image_and_an_image_more_costs_that_one(site: Site) -> None:
    site.lock()
    site.tree("amd64")
    pulled = {name for name in site.workspace.ran() if " PullImage " in name}
    assert len(pulled) == 3
    site.list(f"docker.io/{HELLO.repository}:{HELLO.tag}")
    site.tree("amd64")
    assert {name for name in site.workspace.ran() if " PullImage " in name} == {
        "//p:registry PullImage registry.images/reg.example/pause/3.6"
    }, "it is found not to be wanted"


def test_layers_that_are_in_the_store_are_not_fetched_whatever_names_them(tmp_path: Path, upstream: Registry) -> None:
    """All images share one layer: it goes over the wire once, though eight are pulled at a time."""
    site = Site(tmp_path, upstream)
    site.lock()
    log = upstream.folder / "registry.log"
    before = log.stat().st_size
    site.tree("amd64")
    with log.open() as lines:
        lines.seek(before)
        asked = [line.split('"')[1] for line in lines if '"GET /v2/' in line and "/blobs/" in line]
    digests = [line.rpartition("/blobs/")[2].split()[0] for line in asked]
    assert len(digests) == len(set(digests)) > 5


def test_a_pull_that_broke_off_goes_on_in_the_next_build(site: Site, upstream: Registry) -> None:
    """The mirror dies in the middle of the large layer; the next build asks for the rest alone."""
    site.lock()
    large = max(HELLO.blobs, key=lambda blob: len(blob.data))
    ranges: list[str] = []
    alive = [False]

    def answer(request: Request) -> Reply:
        with closing(http.client.HTTPConnection(upstream.host)) as connection:
            kept = {name: request.headers[name] for name in ("Accept", "Range") if request.headers[name]}
            connection.request(request.method, request.path, headers=kept)
            answered = connection.getresponse()
            body = answered.read()
        headers = {k: v for k, v in answered.getheaders() if k not in {"Content-Length", "Date", "Connection"}}
        if len(body) > 200_000 or "Range" in kept:
            ranges.append(kept.get("Range", ""))
            if not alive[0]:
                return Reply(answered.status, body, headers, cut=100_000)
        return Reply(answered.status, body, headers)

    assert len(large.data) > 200_000
    with scripted(answer) as mirror:
        options = [option.replace(upstream.host, mirror.host) for option in site.mirrors]
        broken = [*options, "--http_connector_attempts=1", "//p:tree-amd64"]
        done = site.workspace.run("build", *broken, "--registry_mirror=docker.io=http://127.0.0.1:9/")
        assert done.code != 0
        assert "[B440]" in done.stderr
        part = next((site.workspace.root / "cache/v1/partial").iterdir())
        assert part.stat().st_size == 100_000
        alive[0], ranges[:] = True, []
        site.workspace.build(*options, "//p:tree-amd64")
    assert ranges == ["bytes=100000-"]
    assert list((site.workspace.root / "cache/v1/partial").iterdir()) == []
