"""buildsys.lock: the shipped file, its format, and the mistakes it is refused for."""

import hashlib
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildsys.errors import BuildErrors
from buildsys.kubernetes import pins
from buildsys.kubernetes.pins import NOT_FILES, LockedImage, Pin, Pins
from buildsys.oci.reference import Reference

LOCK = Path(__file__).parents[2] / "buildsys.lock"
A, B = "a" * 64, "b" * 64
GOOD = f"""# a comment
file runc 1.1.15 amd64 sha256:{A} KO,KS

file libseccomp-src 2.5.4 any sha256:{B} DB,GH
image registry.k8s.io/pause 3.6 amd64 sha256:{A} MK
"""

words = st.text("abcdefghij0123456789.-_/", min_size=1, max_size=12)
hashes = st.integers(0, 2**256 - 1).map(lambda n: f"{n:064x}")
many = st.lists(
    st.builds(
        Pin, st.sampled_from(["file", "image"]), words, words, words, hashes, st.sampled_from([("KS",), ("KO", "KS")])
    ),
    unique_by=(lambda pin: (pin.kind, pin.name, pin.version, pin.arch), lambda pin: pin.sha256),
    max_size=8,
)


def errors(text: str) -> list[tuple[str, str]]:
    with pytest.raises(BuildErrors) as caught:
        pins.parse(text, "buildsys.lock")
    assert all(error.hint for error in caught.value.errors)
    return [(error.code, str(error.at)) for error in caught.value.errors]


@pytest.fixture(scope="module")
def shipped() -> Pins:
    return pins.parse(LOCK.read_text(encoding="utf-8"), "buildsys.lock")


def test_the_shipped_lock(shipped: Pins) -> None:
    assert len(shipped) == 3446
    assert {"kubeadm", "kubelet", "kubectl", "containerd", "docker", "runc"} <= set(shipped.names())
    assert shipped.names("image") == ()
    kubectl = shipped.find("kubectl", "1.36.4", "arm64")
    assert kubectl is not None
    assert "PY" in kubectl.sources
    assert shipped.find("calicoctl", "3.27.1", "amd64") is None, "its only published value is the hash of an error page"


def test_the_shipped_lock_is_in_the_form_that_is_written(shipped: Pins) -> None:
    text = LOCK.read_text(encoding="utf-8")
    assert pins.render(shipped.all(), pins.header(text)) == text
    codes = {code for pin in shipped.all() for code in pin.sources}
    assert all(f"#   {code} " in pins.header(text) for code in codes)


def test_every_release_has_its_programs_pinned(shipped: Pins) -> None:
    for name in ("kubeadm", "kubelet"):
        assert len(shipped.versions(name)) == 329
        assert all(
            shipped.find(name, version, arch) for version in shipped.versions(name) for arch in ("amd64", "arm64")
        )


def test_reading_is_fast() -> None:
    text = LOCK.read_text(encoding="utf-8")
    best = min(_timed(text) for _ in range(5))
    assert best < 0.1, "it takes some 8 ms; ten times that is a mistake, not a slow machine"


def _timed(text: str) -> float:
    start = time.perf_counter()
    pins.parse(text, "buildsys.lock")
    return time.perf_counter() - start


def test_finding() -> None:
    found = pins.parse(GOOD, "buildsys.lock")
    assert found.find("runc", "1.1.15", "amd64") == Pin("file", "runc", "1.1.15", "amd64", A, ("KO", "KS"))
    assert found.find("runc", "1.1.15", "arm64") is None
    seccomp = found.find("libseccomp-src", "2.5.4", "arm64")
    assert seccomp is not None
    assert seccomp.arch == "any"
    assert found.find("registry.k8s.io/pause", "3.6", "amd64") is None
    assert found.find("registry.k8s.io/pause", "3.6", "amd64", kind="image")
    assert found.names("image") == ("registry.k8s.io/pause",)


def test_versions_are_in_order() -> None:
    lines = [
        f"file x {version} any sha256:{n:064x} KS"
        for n, version in enumerate(["1.10.0", "1.9.0", "nightly", "1.9.0-rc.1"])
    ]
    assert pins.parse("\n".join(lines), "l").versions("x") == ("nightly", "1.9.0-rc.1", "1.9.0", "1.10.0")


@given(many)
def test_what_is_written_is_read_again(listed: list[Pin]) -> None:
    text = pins.render(listed, "# header\n")
    again = pins.parse(text, "l")
    assert sorted(again.all()) == sorted(listed)
    assert pins.render(again.all(), pins.header(text)) == text


@pytest.mark.parametrize("ending", ["", "\n", "\n\n# end", "\n   \n"])
def test_the_last_line_may_end_anyhow(ending: str) -> None:
    assert len(pins.parse(GOOD.rstrip() + ending, "l")) == 3


def test_one_image_under_two_names_and_one_line_twice_are_fine() -> None:
    assert len(pins.parse(GOOD + f"image sea.hub/pause 3.6 amd64 sha256:{A} MK\n" + GOOD, "l")) == 4


@pytest.mark.parametrize(
    "line",
    [
        "file runc 1.1.15 amd64",
        f"file runc 1.1.15 amd64 {A} KS",
        f"file runc 1.1.15 amd64 sha256:{A[:-1]} KS",
        f"file runc 1.1.15 amd64 sha256:{A.upper()} KS",
        f"file runc 1.1.15  amd64 sha256:{A} KS",
        f"blob runc 1.1.15 amd64 sha256:{A} KS",
        f" file runc 1.1.15 amd64 sha256:{A} KS",
        f"file runc 1.1.15 amd64 sha256:{A} KS\r",
        "<<<<<<< HEAD",
    ],
)
def test_lines_that_are_no_pin(line: str) -> None:
    assert errors(f"# ok\n{line}\nfile ok 1 any sha256:{B} KS\n") == [("B620", "buildsys.lock:2:1")]


def test_two_values() -> None:
    assert errors(GOOD + f"file runc 1.1.15 amd64 sha256:{'c' * 64} KS\n") == [("B621", "buildsys.lock:6:1")]


@pytest.mark.parametrize("body", [b"Not Found", b""])
def test_error_pages(body: bytes) -> None:
    digest = hashlib.sha256(body).hexdigest()
    assert digest in NOT_FILES
    assert errors(GOOD + f"file calicoctl 3.27.1 amd64 sha256:{digest} KS\n") == [("B622", "buildsys.lock:6:1")]


def test_one_hash_for_two_artifacts() -> None:
    assert errors(GOOD + f"file crictl 1.29.0 amd64 sha256:{A} KS\n") == [("B623", "buildsys.lock:6:1")]
    assert len(pins.parse(GOOD + f"file runc 1.1.16 amd64 sha256:{A} KS\n", "l")) == 4, "one artifact may re-release"


def test_all_mistakes_are_told_at_once() -> None:
    text = f"nonsense\nfile a 1 any sha256:{A} KS\nfile a 1 any sha256:{B} KS\nfile b 1 any sha256:{A} KS\n"
    assert [code for code, _ in errors(text)] == ["B620", "B621", "B623"]


IMAGES = f"""# images
image docker.io/library/nginx 1.25 amd64 sha256:{A} REG
image docker.io/library/nginx 1.25 arm64 sha256:{B} REG
image docker.io/library/nginx 1.25 index sha256:{"c" * 64} REG
image docker.io/library/nginx sha256:{A} amd64 sha256:{A} REG
image docker.io/library/nginx 1.9 amd64 sha256:{B} REG
file nginx 1.25 amd64 sha256:{"d" * 64} KS
image [::1]:5000/a/b_c__d-e.f latest arm64 sha256:{"e" * 64} REG
"""


def test_images_are_their_lines_by_name_and_version() -> None:
    found = pins.parse(IMAGES, "buildsys.lock")
    nginx = "docker.io/library/nginx"
    assert found.images() == (
        LockedImage("[::1]:5000/a/b_c__d-e.f", "latest", "", {"arm64": "e" * 64}),
        LockedImage(nginx, "1.25", "c" * 64, {"amd64": A, "arm64": B}),
        LockedImage(nginx, "1.9", "", {"amd64": B}),
        LockedImage(nginx, f"sha256:{A}", "", {"amd64": A}),
    )
    assert found.images() is found.images()
    assert found.find(nginx, "1.25", "index", "image") is not None
    assert pins.parse("", "x").images() == ()


@pytest.mark.parametrize(
    "line",
    [
        "../../x 1.0",
        "a/../../x 1.0",
        "docker.io/ 1.0",
        "docker.io 1.0",
        "nginx 1.0",
        "team/app 1.0",
        "docker.io/nginx 1.0",
        "index.docker.io/library/nginx 1.0",
        "/docker.io/x 1.0",
        "a..b/x 1.0",
        "-a.b/x 1.0",
        "docker.io//x 1.0",
        "docker.io/Team/App 1.0",
        "docker.io/x:5 1.0",
        "docker.io/x ../1",
        "docker.io/x -1",
        "docker.io/x sha256:12",
        f"docker.io/x sha512:{A}{A}",
        f"docker.io/x {'1' * 129}",
        f"docker.io/{'x' * 246} 1.0",
    ],
)
def test_a_name_that_no_image_has(line: str) -> None:
    text = f"# 1\n{GOOD}image {line} amd64 sha256:{'c' * 64} REG\n"
    with pytest.raises(BuildErrors) as caught:
        pins.parse(text, "buildsys.lock").images()
    (error,) = caught.value.errors
    number = text.count("\n")
    assert (error.code, str(error.at)) == ("B620", f"buildsys.lock:{number}:1")
    assert error.at is not None
    assert error.at.width == len(text.splitlines()[-1])
    assert error.hint


names = st.text("ab.-_/:[]A0", min_size=1, max_size=16)


@given(
    st.builds("{}/{}".format, names | st.sampled_from(["docker.io", "localhost", "a.b:5"]), names),
    st.one_of(names, st.just("1.25"), st.just(f"sha256:{A}")),
)
def test_what_is_taken_as_an_image_is_a_reference(name: str, version: str) -> None:
    """So that whoever makes paths or requests of it need not look again."""
    try:
        (found,) = pins.parse(f"image {name} {version} amd64 sha256:{B} REG\n", "x").images()
    except BuildErrors:
        return
    reference = Reference.parse(f"{found.name}{'@' if ':' in found.version else ':'}{found.version}")
    assert (reference.digest or reference.tag) == version
    assert reference.name == name, "it is normalised, or nothing would find it"
