"""Labels: what is one, what is none, and that they come back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildsys.errors import Location, UserError
from buildsys.model.label import Label, name_fault, package_fault

NAME_CHARACTERS = "abzAZ09!%-@^_\"#$&'()*+,;<=>?[]{|}~."
PACKAGE_CHARACTERS = "abzAZ09 !\"#$%&'()*+,-.;<>?@[]^_{|}~"

segments = st.text(NAME_CHARACTERS, min_size=1, max_size=8).filter(lambda s: s not in {".", ".."})
names = st.lists(segments, min_size=1, max_size=3).map("/".join)
package_segments = st.text(PACKAGE_CHARACTERS, min_size=1, max_size=8).filter(lambda s: s not in {".", ".."})
packages = st.lists(package_segments, max_size=3).map("/".join)


@pytest.mark.parametrize(
    ("text", "package", "expected"),
    [
        ("//a/b:c", "x", ("a/b", "c")),
        ("//a/b", "x", ("a/b", "b")),
        ("//a", "", ("a", "a")),
        ("//:c", "x", ("", "c")),
        (":c", "x/y", ("x/y", "c")),
        ("c", "x/y", ("x/y", "c")),
        ("etc/c.conf", "x", ("x", "etc/c.conf")),
        (":etc/c.conf", "", ("", "etc/c.conf")),
        ("//a:etc/kubeadm.yml.tmpl", "", ("a", "etc/kubeadm.yml.tmpl")),
        ("//a b:c", "", ("a b", "c")),
        ("//a:...", "", ("a", "...")),
    ],
)
def test_a_label_is_read(text: str, package: str, expected: tuple[str, str]) -> None:
    assert Label.parse(text, package) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (":", "empty"),
        ("//", "empty"),
        ("//a:", "empty"),
        ("a:b", "starts with `//`"),
        ("a/b:c", "starts with `//`"),
        ("//a//b:c", "segment ''"),
        ("///a:c", "starts or ends with a slash"),
        ("//a/:c", "starts or ends with a slash"),
        ("//a/../b:c", "segment '..'"),
        ("//a/./b:c", "segment '.'"),
        ("//..:c", "segment '..'"),
        ("//a:/c", "starts or ends with a slash"),
        ("//a:c/", "starts or ends with a slash"),
        ("//a:c//d", "segment ''"),
        ("//a:../c", "segment '..'"),
        ("../c", "segment '..'"),
        ("//a:.", "segment '.'"),
        ("//a:b:c", "not allowed"),
        ("//a:b c", "not allowed"),
        ("//a:b\\c", "not allowed"),
        ("//a:b\n", "not allowed"),
        ("//ä:b", "not allowed"),
        ("//a:ä", "not allowed"),
        ("//a\0:b", "not allowed"),
        ("/etc/passwd", "starts or ends with a slash"),
    ],
)
def test_what_is_no_label_is_an_error_with_its_reason(text: str, reason: str) -> None:
    at = Location("BUILD.yaml", 3, 4)
    with pytest.raises(UserError) as caught:
        Label.parse(text, "p", at=at)
    assert caught.value.code == "B101"
    assert reason in caught.value.message
    assert caught.value.at == at


@settings(deadline=None)
@given(packages, names)
def test_a_label_comes_back(package: str, name: str) -> None:
    label = Label(package, name)
    assert not package_fault(package)
    assert not name_fault(name)
    assert Label.parse(str(label)) == label
    assert Label.parse(f":{name}", package) == label


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("ab/.:@ \n"), max_size=10), st.sampled_from(["", "p", "p/q"]))
def test_whatever_is_read_is_absolute_and_stays_in_its_place(text: str, package: str) -> None:
    try:
        label = Label.parse(text, package)
    except UserError:
        return
    assert Label.parse(str(label)) == label
    path = f"{label.package}/{label.name}".lstrip("/")
    assert not {"", ".", ".."} & set(path.split("/"))
