"""Whatever stands in a file or on the command line: never a traceback, never exit code 37."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildsys import rules, session
from buildsys.errors import BuildError, BuildErrors, InternalError
from buildsys.loading.place import locate
from buildsys.model.label import Label
from tests.errors.case import DEFAULT_WORKSPACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMITS = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

WORDS = st.sampled_from(
    [
        "rule",
        "name",
        "targets",
        "srcs",
        "select",
        "glob",
        "matrix",
        "x",
        "template",
        "filegroup",
        "archive",
        "rootfs",
        "http_file",
        "members",
        "links",
        "layers",
        "cri=docker",
        "//conditions:default",
        "{cri}",
        "{",
        "1.20",
        "~",
        "on",
        "//a:x",
        ":x",
        "f.txt",
        "../x",
        "visibility",
        "tags",
        "vars",
        "params",
        "values",
        "urls",
        "config_setting",
        "out",
    ]
)
SCALARS = WORDS | st.text(max_size=6) | st.integers() | st.floats(allow_nan=True) | st.booleans() | st.none()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=12
)
RULES = st.sampled_from(rules.names())
ATTRIBUTES = st.sampled_from(
    [
        "srcs",
        "src",
        "out",
        "layers",
        "links",
        "members",
        "urls",
        "matrix",
        "visibility",
        "tags",
        "prefix",
        "mode",
        "values",
        "files",
        "trees",
        "tree",
        "vars",
        "params",
        "actual",
        "kubernetes",
        "version",
        "directories",
        "path",
        "images",
        "overrides",
    ]
)


@pytest.fixture(scope="module")
def folder() -> Iterator[str]:
    """A workspace whose package //a is rewritten again and again."""
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(os.path.join(root, "pkg/a"))
        with open(os.path.join(root, "BUILD.yaml"), "w") as stream:
            stream.write(DEFAULT_WORKSPACE)
        with open(os.path.join(root, "pkg/a/f.txt"), "w") as stream:
            stream.write("hello\n")
        yield root


def check_analysis(root: str, data: bytes, file: str = "pkg/a/BUILD.yaml") -> None:
    """Load and analyse all targets; what is wrong must be an error of the user's."""
    with open(os.path.join(root, file), "wb") as stream:
        stream.write(data)
    found = _errors(lambda: _load_andcheck_analysis(root))
    assert not [error for error in found if isinstance(error, InternalError)]


def _load_andcheck_analysis(root: str) -> None:
    opened = session.open_workspace(locate(root))
    labels = session.resolve(opened, ["//a:all-targets"], manual=True, keep_going=True)
    session.analyse(opened, labels, session.configuration(opened, {}), keep_going=True)


def _errors(call: Callable[[], object]) -> tuple[BuildError, ...]:
    """Call a function; give what it reports as errors of the user's. Anything else that it raises fails the test."""
    try:
        call()
    except BuildError as error:
        return (error,)
    except BuildErrors as errors:
        return errors.errors
    return ()


@LIMITS
@given(data=st.binary(max_size=80))
def test_any_bytes_as_a_package(folder: str, data: bytes) -> None:
    check_analysis(folder, data)


@LIMITS
@given(text=st.text(st.characters(codec="utf-8") | st.sampled_from("\n :-[]{}&*!|>'\"%@`#,?\t"), max_size=60))
def test_any_text_as_a_package(folder: str, text: str) -> None:
    check_analysis(folder, text.encode())


@LIMITS
@given(value=VALUES)
def test_any_value_as_a_package(folder: str, value: object) -> None:
    check_analysis(folder, _yaml({"targets": value}))


@LIMITS
@given(
    targets=st.lists(
        st.fixed_dictionaries({"rule": RULES, "name": st.sampled_from(["x", "y", "z", "{cri}"])}).flatmap(
            lambda known: st.dictionaries(ATTRIBUTES, VALUES, max_size=4).map(lambda more: {**more, **known})
        ),
        max_size=3,
    )
)
def test_any_attributes_of_known_rules(folder: str, targets: list[object]) -> None:
    check_analysis(folder, _yaml({"targets": targets}))


@LIMITS
@given(text=st.text(max_size=20) | st.lists(st.sampled_from("/:.a@-* "), max_size=8).map("".join))
def test_any_text_as_a_label_or_a_pattern(folder: str, text: str) -> None:
    assert {error.code for error in _errors(lambda: Label.parse(text, "a"))} <= {"B101"}
    opened = session.open_workspace(locate(folder))
    assert {error.code[:2] for error in _errors(lambda: session.resolve(opened, [text]))} <= {"B1", "B2"}


def _yaml(value: object) -> bytes:
    import yaml

    return yaml.dump(value, allow_unicode=True).encode("utf-8", "surrogatepass")
