"""Templates without Jinja2: what is rendered is, byte for byte, what Jinja2 renders, and so is what is wrong."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from buildsys.adapters import jinja, templates
from buildsys.adapters.templates import Rendered, TemplateFault, substituted

ROOT = Path(__file__).parents[2]

NAMES = ["a", "b_1", "Value", "class", "x" * 40]
ODD_NAMES = [
    "_",
    "_a",
    "__class__",
    "é",
    "\uff41",
    "1a",
    "a.b",
    "a-b",
    "a b",
    "",
    "true",
    "True",
    "none",
    "None",
    "false",
]
ODD_NAMES += ["not", "if", "is", "in", "and", "or", "loop", "self", "super", "caller", "varargs", "kwargs", "range"]
ODD_NAMES += ["dict", "lipsum", "cycler", "joiner", "namespace", "context", "environment", "l_0_a", "resolve", "t_1"]
SPACES = ["", " ", "  ", "\t", "\n", "\r", "\x0b", "\xa0", "\u2028", "-", "+"]
TEXTS = ["", "text", "{", "}", "}}", "{ {", "%}", "#}", "{{", "{%", "{#", "{% raw %}", "{# no #}", "\n", "\r\n", "\r"]
TEXTS += ["\n\n", " \t", "\x00", "\x0c", "\x85", "\u2028", "é😀", "$a", "\\", "'", '"', "{{'", "-}}", "# for", "## x"]
VALUES = ["", "v", "{{ a }}", "{% if %}", "1", "<&>", "\r\n", "\x00é", "None"]


@st.composite
def sources(draw: st.DrawFn) -> str:
    """Draw a template: texts and expressions, usual and odd ones."""
    parts: list[str] = []
    for _ in range(draw(st.integers(0, 5))):
        parts.append(draw(st.sampled_from(TEXTS) | st.text(max_size=4)))
        name = draw(st.sampled_from(NAMES) | st.sampled_from(NAMES + ODD_NAMES))
        before, after = draw(st.sampled_from(SPACES[:3] * 4 + SPACES)), draw(st.sampled_from(SPACES[:3] * 4 + SPACES))
        parts.append(f"{{{{{before}{name}{after}}}}}")
    parts.append(draw(st.sampled_from(TEXTS) | st.text(max_size=4)))
    return "".join(parts)


def outcome(render: object, template: str, variables: dict[str, str]) -> object:
    assert callable(render)
    try:
        return render(template, variables)
    except TemplateFault as fault:
        return (fault.kind, fault.message, fault.line, fault.name)


@settings(max_examples=500, deadline=None)
@given(sources(), st.dictionaries(st.sampled_from(NAMES + ODD_NAMES), st.sampled_from(VALUES), max_size=30))
@example("{{{ a }}}", {"a": "1"})
@example("{{ a }}}", {"a": "1"})
@example("{{{{ a }}}}", {"a": "1"})
@example("{{ a }}{{ a }}\n", {"a": "1"})
@example("a\r\nb\rc\n\r{{ a }}\r", {"a": "\r\n"})
@example("{{ true }}{{ range }}{{ self }}{{ loop }}", {"true": "1", "range": "2", "self": "3", "loop": "4"})
def test_all_is_as_jinja2_has_it(template: str, variables: dict[str, str]) -> None:
    assert outcome(templates.render, template, variables) == outcome(jinja.render, template, variables)


@pytest.mark.parametrize("space", SPACES)
def test_every_name_between_such_spaces_is_as_jinja2_has_it(space: str) -> None:
    variables = dict.fromkeys([*NAMES, *ODD_NAMES], "v")
    for name, before in product(NAMES + ODD_NAMES, {"", space}):
        template = f"x{{{{{before}{name}{space}}}}}y"
        assert outcome(templates.render, template, variables) == outcome(jinja.render, template, variables), template


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(NAMES), max_size=6), st.text(max_size=9).filter(lambda text: not {*"{\r"} & {*text}))
def test_what_is_usual_is_rendered_without_jinja2(names: list[str], text: str) -> None:
    template = text.join(f"{{{{ {name} }}}}" for name in names)
    variables = {name: f"<{name}>" for name in names}
    assert substituted(template, variables) == Rendered(text.join(map(variables.__getitem__, names)), frozenset(names))


def test_a_name_that_is_not_given_is_left_to_jinja2() -> None:
    assert substituted("{{ a }}", {"b": "1"}) is None


def test_usual_templates_do_not_import_jinja2() -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from buildsys.actions.render import templates\n"
        "assert templates.render('x {{ a }}', {'a': 'b'}).text == 'x b'\n"
        "print('jinja2' in sys.modules)\n"
        "assert templates.render('x {{ a | upper }}', {'a': 'b'}).text == 'x B'\n"
        "print('jinja2' in sys.modules)\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "True"]
