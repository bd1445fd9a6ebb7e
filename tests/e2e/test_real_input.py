"""The shipped workspace built from real files at upstream's paths, fetched over HTTP from a real server.

`tests/e2e/upstream.py` says which files are real and which are stand-ins: of what a cluster runs, kubectl is upstream's
own (its shipped pins hold), conntrack, libseccomp, containerd, runc and docker are Debian's; kubeadm, kubelet, crictl,
nerdctl, cri-dockerd, seautil and the registry's image are stand-ins, because none of them can be had here. So this
proves how files are fetched, verified, unpacked, merged and packed, and that programs survive it; it does not prove
that a cluster comes up.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from buildsys import session
from buildsys.analysis.configuration import Reader
from buildsys.errors import Location
from buildsys.loading.place import locate
from tests.e2e import packages, upstream
from tests.e2e.packages import ELF_MACHINES, MULTIARCH, deb, deb_member, deb_version, elf_machine, tool
from tests.e2e.server import serving
from tests.e2e.spec_tree import EXECUTABLE, foreign_files, spec_files
from tests.e2e.upstream import Upstream, Versions
from tests.e2e.workspace import ARCHES, PRODUCTS, REPOSITORY, RUNTIMES, Workspace, copy_workspace, sha256

FIRST, SECOND = "1.36.3", "1.36.4"
ALL = "//rootfs:all"


@dataclass(slots=True)
class Site:
    """A workspace that has been built once from a server, and what lay there. Made once for all workers of a run."""

    workspace: Workspace
    upstream: Upstream
    versions: Versions
    products: dict[str, Path]
    trees: dict[str, Path]
    """The products of the first build, and the same unpacked by GNU tar."""
    fetched: list[str]
    """What the first build asked the server for, sorted."""
    digests: dict[str, str]


def build(workspace: Workspace, version: str, *options: str, names: tuple[str, ...] = PRODUCTS) -> dict[str, Path]:
    """Build products for a release and return them by name."""
    targets = [ALL] if names == PRODUCTS else [f"//rootfs:{name}" for name in names]
    result = workspace.build(*targets, f"--param=kubernetes={version}", *options)
    found = {Path(path).name.removesuffix(".tar.zst"): workspace.root / path for path in result.outputs}
    assert sorted(found) == sorted(names)
    return found


def lay_workspace(root: Path, laid: Upstream, versions: Versions, mirror: str) -> Workspace:
    """Copy the shipped workspace and point it at a mirror: as a user would, by its rc file and lock file alone."""
    workspace = copy_workspace(root)
    lock = root / "buildsys.lock"
    lock.write_text(laid.lock(lock.read_text()))
    with (root / ".buildsysrc").open("a") as rc:
        rc.write(
            "build --downloader_config=mirror.cfg --param=images=none\n"
            f"build --param=oss_format=deb --param=oss_mirror=https://{upstream.OSS}\n"
            f"build --param=conntrack={versions.conntrack} --param=libseccomp={versions.libseccomp}\n"
        )
    point_at(workspace, mirror)
    return workspace


def point_at(workspace: Workspace, mirror: str) -> None:
    """Let the workspace download from a mirror and from nowhere else."""
    hosts = "|".join(host.replace(".", r"\.") for host in upstream.HOSTS)
    rules = [f"rewrite ({hosts})/(.*) {mirror}/$1/$2"]
    if not mirror.startswith("file:"):  # files have no host that could be allowed
        rules += ["block *", "allow 127.0.0.1"]
    (workspace.root / "mirror.cfg").write_text("".join(f"{rule}\n" for rule in rules))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    top = shared_folder(tmp_path_factory) / "real"
    with (top.parent / "real.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (top / "made.json").exists():
            shutil.rmtree(top, ignore_errors=True)
            make_site(top)
    made = json.loads((top / "made.json").read_text())
    laid = Upstream(top / "www", made["paths"], made["pins"])
    products = {name: Path(path) for name, path in made["products"].items()}
    trees = {name: top / "trees" / name for name in products}
    digests = {name: sha256(path) for name, path in products.items()}
    workspace = Workspace(top / "workspace")
    return Site(workspace, laid, Versions(*made["versions"]), products, trees, made["fetched"], digests)


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """Return a folder of this test run that all its workers have in common."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def make_site(top: Path) -> None:
    versions = chosen_versions(REPOSITORY)
    laid = upstream.lay_out(top / "www", (FIRST, SECOND), versions)
    with serving(top / "www", top / "nginx") as server:
        workspace = lay_workspace(top / "workspace", laid, versions, server.url)
        products = build(workspace, FIRST)
        fetched = sorted(request.path for request in server.requests())
    for name, path in products.items():
        unpack(path, top / "trees" / name)
    made = {
        "fetched": fetched,
        "paths": laid.paths,
        "pins": laid.pins,
        "products": {name: str(path) for name, path in products.items()},
        "versions": versions,
    }
    (top / "made.json").write_text(json.dumps(made))


def chosen_versions(root: Path) -> Versions:
    """Return the versions that the shipped tables choose: the same for both releases, which the test relies on."""
    opened = session.open_workspace(locate(str(root)))
    taken = {}
    for release in (FIRST, SECOND):
        reader = Reader(session.configuration(opened, {"kubernetes": release}), Location("BUILD.yaml", 1))
        names = ("containerd", "runc", "docker", "cri_dockerd", "crictl", "nerdctl", "seautil", "registry_image")
        taken[release] = [reader.param(name) for name in names]
    assert taken[FIRST] == taken[SECOND], "the tables tell these releases apart: choose others, or expect more requests"
    assert int(taken[FIRST][0].partition(".")[0]) >= 2, "containerd 2 is what this release is built with"
    debs = [deb_version(packages.deb(name, "amd64")) for name in ("conntrack", "libseccomp2")]
    return Versions(*taken[FIRST], *debs)


def unpack(tarball: Path, folder: Path) -> Path:
    folder.mkdir(parents=True)
    subprocess.run([tool("tar"), "-I", f"{tool('zstd')} -d", "-xf", str(tarball), "-C", str(folder)], check=True)
    return folder


def test_the_pins_of_kubectl_are_the_shipped_ones(site: Site) -> None:
    shipped = (REPOSITORY / "buildsys.lock").read_text().splitlines()
    own = set((site.workspace.root / "buildsys.lock").read_text().splitlines())
    pins = [line for line in shipped if line.startswith("file kubectl ")]
    assert own >= set(pins)
    for release in (FIRST, SECOND):
        for arch in ARCHES:
            (pin,) = [line for line in pins if line.startswith(f"file kubectl {release} {arch} ")]
            assert f"sha256:{sha256(packages.kubectl(release, arch))}" in pin
    # What else was changed is what upstream.py lays out in place of upstream's, and nothing more.
    changed = own.symmetric_difference(shipped)
    assert {line.rpartition(" sha256:")[0] for line in changed} == set(site.upstream.pins)


def test_the_first_build_asks_for_each_file_once(site: Site) -> None:
    assert site.fetched == site.upstream.requests(without=f" {SECOND} ")


def test_where_files_come_from_names_no_output(site: Site) -> None:
    for product, path in site.products.items():
        link, named, *rest = path.relative_to(site.workspace.root).parts
        assert (link, *rest) == ("buildsys-bin", "rootfs", f"{product}.tar.zst")
        assert {f"kubernetes={FIRST}", "oss_format=deb"} <= set(named.split(","))
        assert "mirror" not in named


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_rootfs_has_every_file_of_the_document(site: Site, product: str) -> None:
    tree, cri = site.trees[product], product.partition("-")[0]
    assert [name for name in spec_files(cri) if not (tree / name).exists()] == []
    assert [name for name in foreign_files(cri) if (tree / name).exists()] == []
    assert [name for name in EXECUTABLE if (tree / name).stat().st_mode & 0o777 != 0o755] == []
    assert list((tree / "registry/docker/registry").iterdir()) == []  # `sealer build` fills it
    if cri == "docker":  # Kubernetes 1.36 needs cri-dockerd
        assert (tree / "cri/cri-dockerd.tar.gz").is_file()
        assert "--pod-infra-container-image=sea.hub:5000/pause:" in (tree / "etc/cri-docker.service").read_text()
        assert "unix:///var/run/cri-dockerd.sock" in (tree / "etc/kubeadm.yml").read_text()
    else:
        assert (tree / f"cri/lib64/libseccomp.so.{site.versions.libseccomp}").is_file()


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("cri", RUNTIMES)
def test_programs_are_for_their_architecture(site: Site, cri: str, arch: str) -> None:
    tree = site.trees[f"{cri}-{arch}"]
    machines = {name: elf_machine(tree / name) for name in EXECUTABLE if not name.endswith(".sh")}
    machines |= {path.name: elf_machine(path) for path in (tree / "cri").rglob("*.so*")}
    with tarfile.open(tree / f"cri/{cri}.tar.gz") as bundle:
        for member in bundle:
            if member.isfile():
                content = bundle.extractfile(member)
                assert content is not None
                machines[member.name] = packages.elf_machine_of(content.read(20))
    assert set(machines.values()) == {ELF_MACHINES[arch]}, machines
    assert len(machines) >= 12


@pytest.mark.parametrize("arch", ARCHES)
def test_members_of_packages_are_what_dpkg_extracts(site: Site, arch: str) -> None:
    conntrack = deb_member(deb("conntrack", arch), "usr/sbin/conntrack")
    version = site.versions.libseccomp
    library = deb_member(deb("libseccomp2", arch), f"usr/lib/{MULTIARCH[arch]}/libseccomp.so.{version}")
    for cri in RUNTIMES:
        assert (site.trees[f"{cri}-{arch}"] / "bin/conntrack").read_bytes() == conntrack
    folder = site.trees[f"containerd-{arch}"] / "cri/lib64"
    assert sorted(path.name for path in folder.iterdir()) == ["libseccomp.so.2", f"libseccomp.so.{version}"]
    for path in folder.iterdir():
        assert path.read_bytes() == library


@pytest.mark.parametrize("arch", ARCHES)
def test_runtimes_arrive_whole(site: Site, arch: str) -> None:
    docker = site.trees[f"docker-{arch}"] / "cri/docker.tar.gz"
    (served,) = [path for path, pin in site.upstream.paths.items() if pin.startswith("file docker ") and arch in pin]
    assert sha256(docker) == sha256(site.upstream.root / served)
    with tarfile.open(site.trees[f"containerd-{arch}"] / "cri/containerd.tar.gz") as bundle:
        content = {member.name: bundle.extractfile(member) for member in bundle if member.isfile()}
        found = {name: stream.read() for name, stream in content.items() if stream is not None}
    wanted = {f"usr/local/{member.name}": member for member in upstream.CONTAINERD}
    wanted["usr/local/sbin/runc"] = upstream.RUNC
    assert set(found) == set(wanted)
    for name, member in wanted.items():
        assert found[name] == deb_member(deb(member.package, arch), member.source), name


@pytest.mark.parametrize("arch", ARCHES)
def test_kubectl_runs_and_says_its_version(site: Site, arch: str) -> None:
    program = str(site.trees[f"containerd-{arch}"] / "bin/kubectl")
    emulator = [] if packages.host_arch() == arch else [tool(f"qemu-{packages.MACHINES[arch]}-static")]
    command = [*emulator, program, "version", "--client"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"Client Version: v{FIRST}\n" in done.stdout


@pytest.mark.parametrize("product", PRODUCTS)
def test_other_readers_agree_on_the_tarball(site: Site, product: str) -> None:
    tarball = site.products[product]
    gnu = listing(tool("tar"), "-I", f"{tool('zstd')} -d", "-tf", str(tarball))
    libarchive = listing(tool("bsdtar"), "-tf", str(tarball))
    assert gnu == libarchive
    assert len(set(gnu)) == len(gnu)
    raw = subprocess.run([tool("zstd"), "-dc", str(tarball)], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        entries = archive.getmembers()
    assert [f"{entry.name}/" if entry.isdir() else entry.name for entry in entries] == gnu
    assert {(entry.uid, entry.gid) for entry in entries} == {(0, 0)}


def test_a_change_costs_what_it_is_worth(site: Site, tmp_path: Path) -> None:
    """The second release asks for what differs alone, an edited template for nothing; and the first is kept."""
    with serving(site.upstream.root, tmp_path / "nginx") as server:
        point_at(site.workspace, server.url)  # another address, of the same files
        build(site.workspace, SECOND)
        differing = site.upstream.requests(only=f" {SECOND} ")
        assert len(differing) == 6  # kubeadm, kubelet and kubectl, for two architectures
        assert sorted(request.path for request in server.requests()) == differing

        site.workspace.edit("context/rootfs/README.md.j2", "# ", "# An edited ")
        edited = build(site.workspace, SECOND)
        assert server.requests() == []
        tree = unpack(edited["docker-amd64"], tmp_path / "edited")
        assert (tree / "README.md").read_text().startswith("# An edited ")

        site.workspace.edit("context/rootfs/README.md.j2", "# An edited ", "# ")
        again = build(site.workspace, FIRST)
        assert server.requests() == []
        assert {name: sha256(path) for name, path in again.items()} == site.digests


def test_a_release_added_to_a_locked_range_makes_its_own_requests(site: Site, tmp_path: Path) -> None:
    """The range is `what is locked`: new pins in the lock file are all that it takes."""
    target, of_range = "//rootfs:docker-amd64", f"--param=kubernetes=>={FIRST},<1.37"
    with serving(site.upstream.root, tmp_path / "nginx") as server:
        workspace = lay_workspace(tmp_path / "range", site.upstream, site.versions, server.url)
        lock = workspace.root / "buildsys.lock"
        whole = lock.read_text()
        lock.write_text("".join(line for line in whole.splitlines(keepends=True) if f" {SECOND} " not in line))
        first = workspace.build(target, of_range)
        assert [f"kubernetes={FIRST}," in path for path in first.outputs] == [True]
        assert f"kubernetes=>={FIRST},<1.37: {FIRST} (not locked: {SECOND})" in first.stderr
        assert sha256(workspace.root / first.outputs[0]) == site.digests["docker-amd64"]
        server.requests()

        lock.write_text(whole)
        second = workspace.build(target, of_range)
        assert second.outputs == [first.outputs[0], first.outputs[0].replace(FIRST, SECOND)]
        own = [path for path in site.upstream.requests(only=f" {SECOND} ") if "/amd64/" in path]
        assert len(own) == 3  # kubeadm, kubelet and kubectl
        assert sorted(request.path for request in server.requests()) == own

        assert workspace.build(target, of_range).actions == 0
        assert server.requests() == []


def test_with_no_server_a_distdir_and_a_file_mirror_give_equal_bytes(site: Site, tmp_path: Path) -> None:
    """Two fresh workspaces with fresh stores; nothing listens at the address that the first one would ask."""
    nowhere = lay_workspace(tmp_path / "distdir", site.upstream, site.versions, "http://127.0.0.1:9")
    site.upstream.distdir(tmp_path / "files")
    made = build(nowhere, FIRST, f"--distdir={tmp_path / 'files'}", names=("containerd-arm64", "docker-amd64"))
    assert {name: sha256(path) for name, path in made.items()}.items() <= site.digests.items()

    local = lay_workspace(tmp_path / "mirror", site.upstream, site.versions, f"file://{site.upstream.root}")
    made = build(local, FIRST, names=("containerd-amd64", "docker-arm64"))
    assert {name: sha256(path) for name, path in made.items()}.items() <= site.digests.items()


def test_bytes_that_are_not_pinned_are_refused(site: Site, tmp_path: Path) -> None:
    """One flipped bit in upstream's own kubectl, and nothing is built of it."""
    damaged = bytearray(packages.kubectl(FIRST, "amd64").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "files").mkdir()
    (tmp_path / "files/kubectl").write_bytes(damaged)
    workspace = copy_workspace(tmp_path / "workspace")
    (workspace.root / "mirror.cfg").write_text(f"rewrite .*/(kubectl) file://{tmp_path}/files/$1\n")
    request = ("//kubernetes:kubectl", f"--param=kubernetes={FIRST}", "--downloader_config=mirror.cfg")
    result = workspace.run("build", *request)
    assert result.code == 48
    assert "[B413]" in result.stderr
    assert f"arrived sha256:{sha256(tmp_path / 'files/kubectl')}" in result.stderr
    assert list((workspace.root / "buildsys-bin/").rglob("kubectl")) == []


def listing(*command: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()
