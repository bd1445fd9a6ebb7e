"""Conditions as they are written, and the values that parameters can have."""

from __future__ import annotations

import pytest

from buildsys.errors import Location, UserError
from buildsys.model.condition import is_condition, parse_condition, unknown_parameter
from buildsys.model.parameter import BOOL, CHOICE, STRING, URL, VERSION, Parameter

AT = Location("BUILD.yaml", 1)
PARAMETERS = {
    "cri": Parameter("cri", CHOICE, "docker", AT, ("docker", "containerd")),
    "kubernetes": Parameter("kubernetes", VERSION, "1.23.17", AT),
    "debug": Parameter("debug", BOOL, "false", AT),
    "domain": Parameter("domain", STRING, "", AT),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cri=docker", True),
        ("kubernetes>=1.24", True),
        ("kubernetes<1.24", True),
        ("//a:b", False),
        (":b", False),
        ("@a", False),
        ("b", False),
        ("//a:b=c", False),
    ],
)
def test_a_condition_is_told_from_a_label(text: str, expected: bool) -> None:
    assert is_condition(text) is expected


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("cri=docker", (("cri", "==docker"),)),
        ("cri==docker", (("cri", "==docker"),)),
        (" cri = docker ", (("cri", "==docker"),)),
        ("kubernetes>=1.24,<1.30", (("kubernetes", ">=1.24,<1.30"),)),
        ("kubernetes>=1.24,cri=docker,kubernetes<1.30", (("kubernetes", ">=1.24,<1.30"), ("cri", "==docker"))),
        ("kubernetes!=1.24", (("kubernetes", "!=1.24"),)),
        ("debug=true,cri=containerd", (("debug", "==true"), ("cri", "==containerd"))),
        ("domain=", (("domain", "=="),)),
    ],
)
def test_a_condition_is_read(text: str, terms: tuple[tuple[str, str], ...]) -> None:
    assert parse_condition(text, PARAMETERS).terms == terms


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        ("", "B206", "no condition"),
        (">=1.24", "B206", "no condition"),
        ("cri", "B206", "no condition"),
        ("cri=docker,", "B206", "no condition"),
        ("cri=docker;arch=arm64", "B206", "no condition"),
        ("cri=a b", "B206", "no condition"),
        ("crii=docker", "B207", "unknown parameter 'crii'"),
        ("cri=podman", "B207", "not one of docker, containerd"),
        ("cri>docker", "B207", "only versions have an order"),
        ("debug=maybe", "B207", "neither true nor false"),
    ],
)
def test_what_is_no_condition_is_said(text: str, code: str, reason: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_condition(text, PARAMETERS, at=AT)
    assert (caught.value.code, caught.value.at) == (code, AT)
    assert reason in caught.value.message


@pytest.mark.parametrize(
    ("name", "hint"),
    [("kubernets", "did you mean 'kubernetes'?"), ("zzz", "declares cri, debug, domain, kubernetes")],
)
def test_an_unknown_parameter_comes_with_those_there_are(name: str, hint: str) -> None:
    assert hint in unknown_parameter(name, PARAMETERS, None).hint
    assert "none" in unknown_parameter(name, {}, None).hint


@pytest.mark.parametrize(
    ("kind", "value", "fault"),
    [
        (CHOICE, "docker", ""),
        (CHOICE, "podman", "is not one of"),
        (BOOL, "true", ""),
        (BOOL, "True", "neither true nor false"),
        (URL, "https://x", ""),
        (URL, "", ""),
        (URL, "ftp://x", "is no URL"),
        (STRING, "anything / at all", ""),
        (STRING, "two\nlines", "cannot span lines"),
    ],
)
def test_a_value_fits_its_type_or_it_is_said_why_not(kind: str, value: str, fault: str) -> None:
    found = Parameter("p", kind, "", AT, ("docker",)).fault(value)
    assert fault in found
    assert bool(found) is bool(fault)
