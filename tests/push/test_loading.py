"""Loading into podman, and into programs that read what docker would read."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import tarfile
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from buildsys.errors import BuildError, EnvironmentFault, UsageError
from buildsys.push import loading
from buildsys.push.loading import Wish, choose, find_engine, load, parse_words
from buildsys.store.local import open_store
from tests.engines import podman, stand_in
from tests.images import OCI_CONFIG, OCI_MANIFEST, Piece, Sample, oci_image, random_bytes
from tests.push.layouts import stored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from buildsys.store.local import LocalStore

TAGS = ("localhost/team/app:1", "docker.io/library/app:2")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    with closing(open_store(str(tmp_path / "store"))) as opened:
        yield opened


def layered(folder: Path, layer_format: str) -> Sample:
    """Return an image of one large layer in many members or frames, as ours are."""
    source = folder / "files"
    source.mkdir()
    for number in range(40):
        (source / f"{number}").write_bytes(random_bytes(150_000, f"{number}") + bytes(50_000))
    command = ["tar", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "-C", str(source), "-cf", "-", "."]
    plain = subprocess.run(command, check=True, capture_output=True).stdout
    squeeze = gzip.compress if layer_format == "gzip" else zstandard.ZstdCompressor().compress
    data = b"".join(squeeze(plain[at : at + 250_000]) for at in range(0, len(plain), 250_000))
    layer = Piece(f"application/vnd.oci.image.layer.v1.tar+{layer_format}", data)
    config = Piece(
        OCI_CONFIG,
        to_json(architecture="amd64", os="linux", rootfs={"type": "layers", "diff_ids": [Piece("", plain).digest]}),
    )
    manifest = Piece(
        OCI_MANIFEST,
        to_json(schemaVersion=2, mediaType=OCI_MANIFEST, config=config.described(), layers=[layer.described()]),
    )
    return Sample("app", "1", (manifest,), (config, layer))


def to_json(**content: Any) -> bytes:
    return json.dumps(content).encode()


def docker_reading(folder: Path, monkeypatch: pytest.MonkeyPatch, after: str = "") -> Path:
    """Put a docker on the PATH that keeps what it reads; return the file."""
    bin_, kept = folder / "bin", folder / "kept.tar"
    stand_in(bin_, "docker", f'[ "$*" = load ] && cat >"{kept}"; {after}')
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    return kept


@pytest.mark.parametrize("layer_format", ["gzip", "zstd"])
def test_podman_has_all_files_under_all_tags(
    store: LocalStore, layer_format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = stored(store, layered(tmp_path, layer_format))
    with podman(tmp_path / "podman") as engine:
        for name, value in engine.env.items():
            monkeypatch.setenv(name, value)
        load(choose(image, Wish(), TAGS, find_engine("podman")))
        assert f"sha256:{engine.inspect(TAGS[0])['Id']}" == f"sha256:{image.blobs[0].digest}"
        assert engine.inspect(TAGS[0])["Id"] == engine.inspect(TAGS[1])["Id"]
        with engine.mounted(TAGS[0]) as root:
            subprocess.run(["diff", "-r", str(tmp_path / "files"), root], check=True)


@pytest.mark.parametrize("layer_format", ["gzip", "zstd"])
def test_docker_reads_layers_that_are_plain_or_gzip(
    store: LocalStore, layer_format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = layered(tmp_path, layer_format)
    kept = docker_reading(tmp_path, monkeypatch)
    load(choose(stored(store, sample), Wish(), TAGS, find_engine("docker")))
    with tarfile.open(kept) as archive:
        members = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    (listed,) = json.loads(members["manifest.json"])
    assert listed["RepoTags"] == list(TAGS)
    assert members[listed["Config"]] == sample.blobs[0].data
    (layer,) = (members[name] for name in listed["Layers"])
    plain = gzip.decompress(layer) if layer_format == "gzip" else layer
    diff_id = json.loads(sample.blobs[0].data)["rootfs"]["diff_ids"][0]
    assert Piece("", plain).digest == diff_id
    done = subprocess.run(
        ["skopeo", "inspect", "--config", f"docker-archive:{kept}"], check=True, capture_output=True, text=True
    )
    assert json.loads(done.stdout)["rootfs"]["diff_ids"] == [diff_id]


def test_the_image_for_this_machine_is_chosen_and_another_one_on_request(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = stored(store, oci_image())

    def chosen(arch: str = "") -> str:
        found = choose(image, Wish(arch=arch), (), "docker")
        config = json.loads(image.read(found.chosen.config))
        assert config["architecture"] == found.arch
        return found.arch

    for machine, arch in (("x86_64", "amd64"), ("aarch64", "arm64")):
        monkeypatch.setattr(os, "uname", lambda m=machine: os.uname_result(("Linux", "h", "6", "1", m)))
        assert (chosen(), chosen("amd64"), chosen("arm64")) == (arch, "amd64", "arm64")
    with pytest.raises(UsageError, match="amd64 and arm64, not for s390x") as raised:
        chosen("s390x")
    assert raised.value.code == "B455"


def test_an_image_of_one_architecture_is_loaded_on_any_machine(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = stored(store, layered(tmp_path, "gzip"))
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "h", "6", "1", "riscv64")))
    assert choose(image, Wish(), (), "docker").arch == "amd64"
    with pytest.raises(UsageError, match="for amd64, not for arm64"):
        choose(image, Wish(arch="arm64"), (), "docker")


@pytest.mark.parametrize("after", ["exit 3", "cat >/dev/null; exit 3"])
def test_what_an_engine_says_is_passed_on(
    store: LocalStore, after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it does not read what is sent."""
    stand_in(tmp_path / "bin", "docker", f"for n in 1 2 3 4; do echo line $n >&2; done; {after}")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    image = stored(store, layered(tmp_path, "gzip"))
    with pytest.raises(EnvironmentFault) as raised:
        load(choose(image, Wish(), TAGS, find_engine("docker")))
    error = raised.value
    assert (error.code, error.message) == ("B457", "`docker load` has failed with exit code 3")
    assert error.notes == ("docker: line 2", "docker: line 3", "docker: line 4")


def test_a_layer_that_is_lost_ends_the_engine(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = docker_reading(tmp_path, monkeypatch, after="touch loaded")
    image = stored(store, layered(tmp_path, "gzip"))
    chosen = choose(image, Wish(), TAGS, find_engine("docker"))
    monkeypatch.chdir(tmp_path)
    store.flush()
    path = store.blobs.path(image.blobs[1].digest)
    assert path is not None
    os.unlink(path)
    with pytest.raises(BuildError) as raised:
        load(chosen)
    assert raised.value.code == "B458"
    assert not (tmp_path / "loaded").exists()
    assert not kept.exists() or kept.stat().st_size < image.blobs[1].size


def test_the_engine_that_is_there_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(EnvironmentFault, match="no podman and no docker") as raised:
        find_engine("")
    assert raised.value.code == "B456"
    stand_in(tmp_path / "bin", "docker", "")
    assert find_engine("") == str(tmp_path / "bin/docker")
    with pytest.raises(EnvironmentFault, match="no podman on"):
        find_engine("podman")
    stand_in(tmp_path / "bin", "podman", "")
    assert find_engine("") == str(tmp_path / "bin/podman")
    assert find_engine("docker") == str(tmp_path / "bin/docker")


def test_words() -> None:
    assert parse_words([]) == Wish()
    assert parse_words(["docker", "--arch=arm64"]) == Wish("docker", "arm64")
    for word in ("dokcer", "--arch", "x"):
        with pytest.raises(UsageError) as raised:
            parse_words([word])
        assert raised.value.code == "B455"
    assert loading.ENGINES == ("podman", "docker")
