"""Lists of images as one: what the lines of a list and the files that name images say, in order, once, with places."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildsys.actions.image_list import LIST, NAMES, ImageList
from buildsys.errors import BuildErrors, Location
from buildsys.oci.reference import Reference
from tests.actions.fake_io import FakeIO

if TYPE_CHECKING:
    from collections.abc import Sequence

DIGEST = "sha256:" + "a" * 64
POD = """\
kind: Pod
spec:
  initContainers:
    - {name: a, image: "quay.io/team/init:v1"}
  containers:
    - name: b
      image: nginx:1.25
    - name: c
      image: sea.hub:5000/calico/node:v3
    - name: d
      image: sea.hub:5000/Not/A:reference
"""


def made(
    lists: Sequence[str | bytes] = (), manifests: Sequence[str] = (), **fields: Any
) -> tuple[list[str], list[list[Any]]]:
    """Return the lines of the list, and who names what."""
    io = FakeIO()
    texts = [text.encode() if isinstance(text, str) else text for text in lists]
    operation = ImageList(
        lists=tuple(io.add(f"list{number}.txt", text) for number, text in enumerate(texts)),
        manifests=tuple(io.add(f"app{number}.yaml", text.encode()) for number, text in enumerate(manifests)),
        **fields,
    )
    operation.execute(io)
    return io.outputs[LIST][0].decode().splitlines(), json.loads(io.outputs[NAMES][0])


def test_lines_comments_and_quotes() -> None:
    text = f"""\
# ours
nginx:1.25

  quay.io/a/b   # with a comment
"quay.io/c/d:1"
'quay.io/e/f:1'\t# both
localhost/x#y
quay.io/g/h@{DIGEST}
quay.io/g/h:tag@{DIGEST}
\t
#quay.io/not/this:1
"""
    with pytest.raises(BuildErrors) as caught:
        made([text])
    (error,) = caught.value.errors
    assert (error.code, error.at) == ("B407", Location("pkg/list0.txt", 7, 1, 13)), "a hash within a word is no comment"
    images, names = made([text.replace("localhost/x#y\n", "")])
    assert images == [
        "nginx:1.25",
        "quay.io/a/b",
        "quay.io/c/d:1",
        "quay.io/e/f:1",
        f"quay.io/g/h@{DIGEST}",
        f"quay.io/g/h:tag@{DIGEST}",
    ]
    assert names[1] == ["quay.io/a/b", "pkg/list0.txt", ["pkg/list0.txt", 4, 1, 32]]


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_ends_of_lines(end: str) -> None:
    assert made([f"nginx:1.25{end}"])[0] == ["nginx:1.25"]
    assert made([f"a:1{end or chr(10)}b:2{end}"])[0] == ["a:1", "b:2"]


def test_the_order_is_that_of_kubeadm_then_lists_then_files_and_the_first_counts() -> None:
    images, names = made(
        ["docker.io/library/nginx:1.25\nlast:1\n", "last:1\nother:2\n"],
        [POD],
        images=("registry.k8s.io/pause:3.9", "nginx:1.25"),
        origin="//a:list, for Kubernetes 1.28.15",
        registry="sea.hub:5000",
    )
    assert images == ["registry.k8s.io/pause:3.9", "nginx:1.25", "last:1", "other:2", "quay.io/team/init:v1"]
    assert [name[:2] for name in names] == [
        ["registry.k8s.io/pause:3.9", "//a:list, for Kubernetes 1.28.15"],
        ["nginx:1.25", "//a:list, for Kubernetes 1.28.15"],
        ["last:1", "pkg/list0.txt"],
        ["other:2", "pkg/list1.txt"],
        ["quay.io/team/init:v1", "pkg/app0.yaml"],
    ]
    assert [name[2] for name in names] == [
        None,
        None,
        ["pkg/list0.txt", 2, 1, 6],
        ["pkg/list1.txt", 2, 1, 7],
        ["pkg/app0.yaml", 4, 25, 20],
    ]


def test_files_that_name_images_are_read_as_such_and_the_cluster_s_own_registry_is_left_out() -> None:
    images, _ = made(manifests=[POD], registry="sea.hub:5000")
    assert images == ["quay.io/team/init:v1", "nginx:1.25"]
    images, _ = made(manifests=[POD])
    assert images == ["quay.io/team/init:v1", "nginx:1.25", "sea.hub:5000/calico/node:v3"]


def test_a_digest_and_a_tag_are_different_images() -> None:
    lines = ["nginx", "nginx:latest", f"nginx@{DIGEST}", f"nginx:latest@{DIGEST}"]
    assert made(["\n".join(lines)])[0] == [lines[0], *lines[2:]]


def test_places_are_those_that_users_know() -> None:
    _, names = made(["nginx:1"], [POD], shown=("pkg/a/images.txt", "pkg/a/rendered.yaml"))
    assert [name[2][0] for name in names[:2]] == ["pkg/a/images.txt", "pkg/a/rendered.yaml"]


def test_all_mistakes_are_told_at_once_and_nothing_is_made() -> None:
    io = FakeIO()
    lists = (io.add("a.txt", b"Team/App\nok:1\n"), io.add("b.txt", b"x:\xff\n"))
    with pytest.raises(BuildErrors) as caught:
        ImageList(lists=lists).execute(io)
    assert [(error.code, str(error.at)) for error in caught.value.errors] == [
        ("B407", "pkg/a.txt:1:1"),
        ("B407", "pkg/b.txt:1:1"),
    ]
    assert io.outputs == {}


def test_a_byte_order_mark_is_no_part_of_a_name() -> None:
    assert made([b"\xef\xbb\xbfnginx:1.25\n"])[0] == ["nginx:1.25"]


@given(st.lists(st.binary(max_size=30), max_size=3))
def test_whatever_is_in_a_list_it_is_references_or_told(lists: list[bytes]) -> None:
    try:
        images, names = made(lists)
    except BuildErrors:
        return
    assert len({str(Reference.parse(image)) for image in images}) == len(images) == len(names)
