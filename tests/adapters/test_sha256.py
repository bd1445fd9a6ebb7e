"""A digest that stops half way and goes on elsewhere is the digest of the whole, or is not given."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildsys.adapters import sha256

if TYPE_CHECKING:
    from collections.abc import Callable

needs_library = pytest.mark.skipif(not sha256.begin().freeze(), reason="no libcrypto.so.3 here")


@needs_library
@given(st.lists(st.binary(max_size=200), max_size=6))
def test_it_goes_on_from_every_state(pieces: list[bytes]) -> None:
    hasher, done = sha256.begin(), 0
    for piece in pieces:
        hasher.update(piece)
        done += len(piece)
        later = sha256.resume(hasher.freeze(), done)
        assert later is not None
        assert later.hexdigest() == hasher.hexdigest()
        hasher = later
    assert hasher.hexdigest() == hashlib.sha256(b"".join(pieces)).hexdigest()


@needs_library
def test_lengths_above_four_gigabits_are_told_right() -> None:
    piece, count = bytes(16 << 20), 35
    hasher, expected = sha256.begin(), hashlib.sha256()
    for _ in range(count):
        hasher.update(piece)
        expected.update(piece)
    later = sha256.resume(hasher.freeze(), count * len(piece))
    assert later is not None
    assert later.hexdigest() == hasher.hexdigest() == expected.hexdigest()


@needs_library
def test_a_state_is_the_same_on_every_machine() -> None:
    """The hash value was worked out with FIPS 180-4's own steps, written out in Python."""
    hasher = sha256.begin()
    hasher.update(b"abc" * 30)
    value = "47afa2061ca2df6e3ceb998796fb5f8ed81825503687566159e87975cbe81304"
    assert hasher.freeze().hex() == value + "000000000000005a" + (b"abc" * 30)[64:].hex()


@needs_library
@pytest.mark.parametrize("spoil", [lambda s: b"", lambda s: s[:-1], lambda s: s + b"x", lambda s: s[:30]])
def test_what_is_no_state_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    hasher = sha256.begin()
    hasher.update(b"x" * 100)
    assert sha256.resume(spoil(hasher.freeze()), 100) is None


@needs_library
def test_the_state_of_another_length_is_refused() -> None:
    hasher = sha256.begin()
    hasher.update(b"x" * 100)
    assert sha256.resume(hasher.freeze(), 164) is None


def test_without_the_library_hashlib_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    state = sha256.begin().freeze()
    monkeypatch.setattr(sha256, "NAME", "libcrypto.so.none")
    hasher = sha256.begin()
    hasher.update(b"abc")
    assert hasher.hexdigest() == hashlib.sha256(b"abc").hexdigest()
    assert hasher.freeze() == b""
    assert sha256.resume(state, 0) is None


class Wrong:
    """A libcrypto with a fault."""

    def __init__(self, library: Any, fault: str) -> None:
        self._library = library
        self._fault = fault

    def SHA256_Init(self, context: Any) -> int:  # noqa: N802 - the name in the library
        return int(self._library.SHA256_Init(context))

    def SHA256_Update(self, context: Any, data: bytes, size: int) -> int:  # noqa: N802
        if self._fault == "loses a byte" and size > 600:
            size -= 1
        if self._fault == "longer context":
            context._obj._b_base_.spare[0] = 1
        if self._fault == "other layout":
            context._obj.low += 8
        return int(self._library.SHA256_Update(context, data, size))

    def SHA256_Final(self, out: Any, context: Any) -> int:  # noqa: N802
        done = int(self._library.SHA256_Final(out, context))
        if self._fault == "wrong answer":
            out[0] ^= 1
        return done


@needs_library
@pytest.mark.parametrize("fault", ["loses a byte", "longer context", "other layout", "wrong answer"])
def test_a_library_that_does_not_what_it_should_is_not_used(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = sha256._library(sha256.NAME)
    assert sha256._is_sound(Wrong(sound, ""))
    assert not sha256._is_sound(Wrong(sound, fault))
