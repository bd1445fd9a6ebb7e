"""Render: variables and the texts of files, and what is refused."""

from __future__ import annotations

import pytest

from buildsys.actions.render import Render
from buildsys.errors import ActionFailed
from tests.actions.fake_io import FakeIO


def rendered(
    template: str, texts: dict[str, bytes], variables: tuple[tuple[str, str], ...] = (), *, executable: bool = False
) -> tuple[bytes, bool]:
    fake = FakeIO()
    source = fake.add("t.j2", template.encode(), executable=executable)
    found = tuple((name, fake.add(f"{name}.txt", data)) for name, data in texts.items())
    Render(template=source, variables=variables, texts=found).execute(fake)
    return fake.outputs[0]


def test_a_text_is_put_in_as_it_is() -> None:
    text = "{{ v }} äöü\r\n\ufeff"
    assert rendered("<{{ a }}>", {"a": text.encode()})[0] == f"<{text}>".encode()


def test_texts_and_variables_stand_side_by_side() -> None:
    assert rendered("{{ a }}{{ v }}{{ b }}", {"a": b"1", "b": b""}, (("v", "2"),))[0] == b"12"


def test_the_template_alone_decides_whether_the_output_is_executable() -> None:
    assert rendered("{{ a }}", {"a": b""}, executable=True)[1]
    assert not rendered("{{ a }}", {"a": b""})[1]


@pytest.mark.parametrize(
    ("template", "data", "code"), [("", b"", "B403"), ("{{ b }}", b"", "B402"), ("{{ a }}", b"\xff", "B404")]
)
def test_what_cannot_be_rendered_is_refused(template: str, data: bytes, code: str) -> None:
    with pytest.raises(ActionFailed) as caught:
        rendered(template, {"a": data})
    assert caught.value.code == code
