"""Versions as projects spell them, and ranges over them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version as PackagingVersion

from buildsys.adapters.versions import Range, Version, parse_range, parse_version, try_version
from buildsys.errors import Location, UserError

numbers = st.integers(0, 60)
suffixes = st.sampled_from(["", "-alpha.1", "-beta.2", "-rc.0"])
versions = st.builds(lambda a, b, c, s: f"{a}.{b}.{c}{s}", numbers, numbers, numbers, suffixes)


@pytest.mark.parametrize("text", ["1.23.4", "v1.23.4", "1.31.0-rc.0", "v1.1.3-beta.8", "1.28.15+k3s1", "3.10", "2.0"])
def test_a_version_keeps_its_spelling(text: str) -> None:
    assert str(parse_version(text)) == text.removeprefix("v")


def test_zeroes_are_kept_since_they_name_the_download() -> None:
    assert str(parse_version("19.03.15")) == "19.03.15"


@pytest.mark.parametrize("text", ["", "latest", "1.x", "vv1.2", "1.23.", "19.03.14-sealer", ">=1.2", "v"])
def test_what_is_no_version_is_refused(text: str) -> None:
    assert try_version(text) is None
    with pytest.raises(UserError) as caught:
        parse_version(text, Location("BUILD.yaml", 3, 7))
    assert caught.value.code == "B600"
    assert str(caught.value.at) == "BUILD.yaml:3:7"
    assert caught.value.hint


@given(versions, versions)
def test_order_is_total_and_agrees_with_the_numbers(a: str, b: str) -> None:
    x, y = parse_version(a), parse_version(b)
    assert (x < y) + (x == y) + (x > y) == 1
    if x.release != y.release:
        assert (x < y) == (x.release < y.release)
    if x == y:
        assert hash(x) == hash(y)


def test_candidates_come_before_their_release() -> None:
    spelt = ["1.31.0-alpha.1", "1.31.0-beta.0", "1.31.0-rc.0", "1.31.0-rc.1", "1.31.0", "1.31.1"]
    assert sorted(map(parse_version, reversed(spelt))) == [parse_version(text) for text in spelt]


def test_api_versions_are_versions() -> None:
    assert parse_version("v1beta1") < parse_version("v1beta3") < parse_version("v1beta4") < parse_version("v1")
    assert parse_range(">=v1beta3,<v1beta4").contains(parse_version("v1beta3"))


@pytest.mark.parametrize("text", [">=1.15,<1.23", ">=1.15 <1.23", ">=v1.15.0 < v1.23", " >= 1.15 , <1.23 "])
def test_clauses_are_separated_by_commas_or_blanks(text: str) -> None:
    found = parse_range(text)
    inside = [v for v in ("1.14.9", "1.15.0", "1.22.17", "1.23.0") if found.contains(parse_version(v))]
    assert inside == ["1.15.0", "1.22.17"]


@pytest.mark.parametrize(
    ("range_", "version", "inside"),
    [
        (">=1.31", "1.31.0-rc.0", True),
        ("<1.31", "1.31.0-rc.0", False),
        (">=1.31.0", "1.31.0-rc.0", True),
        (">=1.31.0-rc.1", "1.31.0-rc.0", False),
        ("<1.31.0-rc.1", "1.31.0-rc.0", True),
        ("<=1.31", "1.31.0-beta.0", True),
        ("==1.23.*", "1.23.17", True),
        ("==1.23.*", "1.24.0", False),
        ("!=1.23.5,>=1.23,<1.24", "1.23.5", False),
        ("~=1.23.2", "1.23.9", True),
        ("<1.23", "1.23", False),
        ("<=1.23", "1.23.1", False),
    ],
)
def test_a_candidate_belongs_to_its_release(range_: str, version: str, inside: bool) -> None:
    assert parse_range(range_).contains(parse_version(version)) is inside


@given(versions, versions)
def test_a_bound_splits_all_versions_in_two(bound: str, version: str) -> None:
    below, above = parse_range(f"<{bound}"), parse_range(f">={bound}")
    assert below.contains(parse_version(version)) != above.contains(parse_version(version))


@pytest.mark.parametrize("text", ["", "1.23", ">=", ">=latest", "=>1.2", ">1.2 or <1.1", "^1.2"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_range(text)
    assert caught.value.code == "B605"


def test_equal_ranges_and_versions_are_equal_values() -> None:
    assert parse_range(">=1.15,<1.23") == parse_range(">=1.15 <1.23")
    assert len({parse_range(">=1.15,<1.23"), parse_range(">=1.15 <1.23")}) == 1
    assert parse_version("v1.2.3") == parse_version("1.2.3")
    assert parse_version("1.2.3") != "1.2.3"
    assert parse_version("1.23.4").minor == "1.23"
    assert parse_version("1.31.0-rc.0").is_prerelease
    assert (repr(parse_version("v1.2")), repr(parse_range("<2"))) == ("Version('1.2')", "Range('<2')")
    assert isinstance(parse_version("1.2"), Version)
    assert isinstance(parse_range("<2"), Range)


# What is compared without `packaging` must come out as `packaging` has it.

dotted = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
spellings = st.builds(str.__add__, dotted, st.sampled_from(["", "", "", "-rc.0", ".dev1", "+k3s1", ".post1", "a1"]))
operators = st.sampled_from([">=", "<=", ">", "<", "==", "!="])
bounds = spellings.filter(lambda text: "+" not in text)
clauses = st.lists(st.builds(str.__add__, operators, bounds), min_size=1, max_size=3).map(",".join)


@given(spellings, spellings)
def test_versions_compare_as_packaging_has_them(a: str, b: str) -> None:
    x, y = parse_version(a), parse_version(b)
    left, right = PackagingVersion(a), PackagingVersion(b)
    assert ((x < y), (x == y), x.release, x.is_prerelease) == (
        (left < right),
        (left == right),
        left.release,
        left.is_prerelease,
    )
    assert x.minor == f"{left.major}.{left.minor}"
    assert x != y or hash(x) == hash(y)


@given(clauses, spellings)
def test_ranges_hold_what_packaging_says(text: str, version: str) -> None:
    value = PackagingVersion(version)
    if value.is_prerelease and not any(PackagingVersion(part.lstrip("<>=!")).is_prerelease for part in text.split(",")):
        value = PackagingVersion(value.base_version)
    assert parse_range(text).contains(parse_version(version)) is SpecifierSet(text).contains(value, prereleases=True)
