"""Which of the locked images a list names: under which tags, what is not locked, and what collides."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from buildsys.actions.select_images import NO_TAG, ROOT, Candidate, SelectImages, named_images
from buildsys.errors import BuildErrors, Location
from tests.actions.fake_io import FakeIO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buildsys.errors import BuildError

ONE, TWO = "1" * 64, "2" * 64
NGINX, PAUSE = "docker.io/library/nginx", "registry.k8s.io/pause"
AT = Location("pkg/a/BUILD.yaml", 2, 30, 7)
PLACE = Location("pkg/a/images.txt", 3, 1, 10)
LINE = list(PLACE)


def names(*images: str | list[Any]) -> bytes:
    return json.dumps([[one, "//a:list", None] if isinstance(one, str) else one for one in images]).encode()


def operation(io: FakeIO, candidates: Sequence[Candidate], *images: str | list[Any]) -> SelectImages:
    listed = io.add("list.names.json", names(*images))
    return SelectImages(images=listed, candidates=tuple(candidates), arch="amd64", lock="buildsys lock //a:x", at=AT)


def selected(candidates: Sequence[Candidate], *images: str | list[Any]) -> list[list[str]]:
    """Return the tags of each candidate."""
    io = FakeIO()
    operation(io, candidates, *images).execute(io)
    assert [(entry.path, entry.kind) for entry in io.trees[len(candidates)].entries][-1][0] == ROOT
    return [io.outputs[number][0].decode().split() for number in range(len(candidates))]


def wrong(candidates: Sequence[Candidate], *images: str | list[Any]) -> tuple[BuildError, ...]:
    io = FakeIO()
    with pytest.raises(BuildErrors) as caught:
        operation(io, candidates, *images).execute(io)
    assert io.outputs == {}
    assert all(error.hint for error in caught.value.errors)
    return caught.value.errors


def test_a_candidate_gets_the_tags_under_which_it_is_named() -> None:
    candidates = [Candidate(NGINX, "1.25", ONE), Candidate(NGINX, "1.26", TWO), Candidate(PAUSE, "3.6", ONE)]
    assert selected(candidates, "nginx:1.25", "docker.io/library/nginx:1.25", "registry.k8s.io/pause:3.6") == [
        ["1.25"],
        [],
        ["3.6"],
    ]
    assert selected(candidates) == [[], [], []]


def test_what_is_named_by_digest_goes_by_that_and_a_tag_beside_it_is_where_it_is_stored() -> None:
    by_digest = [Candidate(NGINX, f"sha256:{ONE}", ONE)]
    text = f"nginx@sha256:{ONE}"
    assert selected(by_digest, text) == [[NO_TAG]]
    assert selected(by_digest, f"nginx:1.25@sha256:{ONE}") == [["1.25"]]
    assert selected(by_digest, f"nginx:a@sha256:{ONE}", text, f"nginx:b@sha256:{ONE}") == [["a", NO_TAG, "b"]]
    (error,) = wrong([Candidate(NGINX, "1.25", ONE)], f"nginx:1.25@sha256:{ONE}")
    assert error.code == "B446", "the tag of the lock file may be another image by now"


def test_all_that_is_not_locked_is_told_with_who_names_it() -> None:
    first, second = wrong([Candidate(NGINX, "1.25", ONE)], "nginx:1.26", "nginx:1.25", ["pause:3", "x", LINE])
    assert (first.code, first.at, first.notes) == ("B446", AT, ("named by //a:list",))
    assert first.message == "the image nginx:1.26 is not locked for amd64"
    assert (second.code, second.at, second.notes) == ("B446", PLACE, ())
    assert "buildsys lock //a:x" in first.hint


def test_two_images_of_one_name_collide_and_both_places_are_told() -> None:
    candidates = [Candidate(NGINX, "1.25", ONE), Candidate("quay.io/library/nginx", "1.25", TWO)]
    (error,) = wrong(
        candidates, ["nginx:1.25", "images.txt", LINE], ["quay.io/library/nginx:1.25", "y", ["b", 7, 5, 9]]
    )
    assert (error.code, error.at) == ("B447", Location("b", 7, 5, 9))
    assert error.notes == ("the first is named by pkg/a/images.txt:3:1",)
    assert "nginx:1.25 and quay.io/library/nginx:1.25" in error.message
    (error,) = wrong(candidates, "nginx:1.25", ["quay.io/library/nginx:1.25", "y", LINE])
    assert error.notes == ("the first is named by //a:list",)


def test_a_tag_and_a_digest_with_that_tag_collide_where_they_differ() -> None:
    by_tag, by_digest = Candidate(NGINX, "1.25", ONE), Candidate(NGINX, f"sha256:{TWO}", TWO)
    (error,) = wrong([by_tag, by_digest], "nginx:1.25", f"nginx:1.25@sha256:{TWO}")
    assert error.code == "B447"
    assert selected([by_tag, by_digest], "nginx:1.25", f"nginx:1.26@sha256:{TWO}") == [["1.25"], ["1.26"]]
    same = Candidate(NGINX, f"sha256:{ONE}", ONE)
    assert selected([by_tag, same], "nginx:1.25", f"nginx:1.25@sha256:{ONE}") == [["1.25"], ["1.25"]]


def test_one_image_of_two_hosts_may_have_one_name() -> None:
    candidates = [Candidate(NGINX, "1.25", ONE), Candidate("quay.io/library/nginx", "1.25", ONE)]
    assert selected(candidates, "nginx:1.25", "quay.io/library/nginx:1.25") == [["1.25"], ["1.25"]]


def test_digests_alone_do_not_collide() -> None:
    candidates = [Candidate(NGINX, f"sha256:{ONE}", ONE), Candidate("quay.io/library/nginx", f"sha256:{TWO}", TWO)]
    assert selected(candidates, f"nginx@sha256:{ONE}", f"quay.io/library/nginx@sha256:{TWO}") == [[NO_TAG], [NO_TAG]]


def test_who_names_what_is_read_as_it_was_written() -> None:
    (first, second) = named_images(names("nginx", ["pause:3", "x", LINE]))
    assert (first.text, str(first.reference), first.origin, first.at) == (
        "nginx",
        "docker.io/library/nginx:latest",
        "//a:list",
        None,
    )
    assert (second.origin, second.at) == ("x", PLACE)
