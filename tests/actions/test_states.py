"""Digests of sequences of segments: right, and with little hashed where the beginning is known."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildsys.actions import states
from buildsys.actions.states import Hashed, hash_segments, untold
from buildsys.adapters import sha256
from buildsys.archive.streams import SizeFault
from buildsys.model.action import Segment, Writer
from tests.actions.fake_io import FakeIO

UNIT = 3_000_000
needs_states = pytest.mark.skipif(not sha256.begin().freeze(), reason="no libcrypto.so.3 here")


def filled(letter: str, size: int = UNIT) -> bytes:
    return letter.encode() * size


def blob(fake: FakeIO, data: bytes) -> Segment:
    return Segment.of_blob(fake.put_blob(data), len(data))


def text(letters: str) -> Hashed:
    data = b"".join(map(filled, letters))
    return Hashed(hashlib.sha256(data).hexdigest(), len(data), 0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=300)), max_size=12), st.integers(0, 12))
def test_it_is_the_digest_of_all_bytes(pieces: list[tuple[bool, bytes]], known: int) -> None:
    fake = FakeIO()
    whole = b"".join(data for _, data in pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(states, "SPACING", 256)
        for _ in range(2):  # the second time with states
            segments = [blob(fake, data) if is_blob else Segment.of_bytes(data) for is_blob, data in pieces]
            found = hash_segments(fake, segments[:known], iter(segments[known:]))
            assert found[:2] == (hashlib.sha256(whole).hexdigest(), len(whole))


@needs_states
def test_what_is_known_is_not_hashed_again() -> None:
    fake = FakeIO()

    def hashed(letters: str) -> Hashed:
        return hash_segments(fake, [blob(fake, filled(letter)) for letter in letters])

    assert hashed("abcdef") == text("abcdef")._replace(anew=6 * UNIT)
    assert hashed("abcdef") == text("abcdef")._replace(anew=0), "the last state is after all of it"
    assert hashed("abcdxf") == text("abcdxf")._replace(anew=2 * UNIT)
    assert hashed("xbcdef")._replace(anew=0) == text("xbcdef")
    assert hashed("xbcdef").anew == 0
    assert hashed("abcdxf").anew == 0, "whatever was hashed before, not the last time alone"
    assert hashed("abcdefgh").anew == 2 * UNIT


@needs_states
def test_what_is_known_is_not_read() -> None:
    fake = FakeIO()
    segments = [blob(fake, filled(letter)) for letter in "abcd"]
    first = hash_segments(fake, segments)
    assert untold(fake, segments) == 4
    assert untold(fake, segments[:3]) == 2
    assert untold(fake, segments[1:]) == 0
    for digest, data in list(fake.blobs.items()):
        if len(data) == UNIT:
            del fake.blobs[digest]
    assert hash_segments(fake, segments) == first._replace(anew=0)


@needs_states
def test_the_rest_is_asked_for_when_it_is_time_to_hash_it() -> None:
    fake, order = FakeIO(), []

    def writing(name: str) -> Segment:
        def write(out: Writer) -> None:
            order.append(f"hash {name}")
            out.write(filled(name))

        return Segment(name, write=write)

    def rest() -> object:
        for name in "cd":
            order.append(f"ask {name}")
            yield writing(name)

    found = hash_segments(fake, [writing("a"), writing("b")], rest())  # type: ignore[arg-type]
    assert found == text("abcd")._replace(anew=4 * UNIT)
    assert order == ["hash a", "hash b", "ask c", "hash c", "ask d", "hash d"]


def test_without_states_all_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sha256, "_library", lambda name: None)
    fake = FakeIO()
    segments = [blob(fake, filled(letter)) for letter in "abc"]
    for _ in range(2):
        assert hash_segments(fake, segments) == text("abc")._replace(anew=3 * UNIT)
    assert not fake.remembered


@needs_states
def test_a_state_that_is_none_is_not_used() -> None:
    fake = FakeIO()
    segments = [blob(fake, filled(letter)) for letter in "abcd"]
    first = hash_segments(fake, segments)
    for value in fake.remembered.values():
        fake.blobs[value.digest] = b"12\n" + fake.blobs[value.digest].partition(b"\n")[2]
    assert hash_segments(fake, segments) == first, "all hashed anew"


def test_a_blob_of_another_size_is_told() -> None:
    fake = FakeIO()
    with pytest.raises(SizeFault):
        hash_segments(fake, [Segment.of_blob(fake.put_blob(b"abc"), 4)])
