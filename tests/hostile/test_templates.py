"""A template reaches nothing but its document, and ends: by its own, by fuel, or by a refusal."""

# ruff: noqa: E501 - templates are easier to read on one line

import resource
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.adapters.builtin import catalog
from shared.domain.recipe import RecipeError, parse_recipe
from shared.domain.rendering import Renderer, RenderError, RenderInput
from shared.domain.template import PromptError, PromptTemplate
from shared.domain.template_tags import MAX_BRANCHES, MAX_TAG_CHARACTERS, too_complex

TEXT = "T" * 1000
DOCUMENT = {"text": TEXT, "name": "n", "path": "p"}
VALUES: dict[str, Any] = {
    "document": DOCUMENT,
    "columns": {"a": "x" * 1000, "l": [1, 2], "d": {"k": 1}},
    "a": "x" * 1000,
    "l": list(range(1000)),
    "d": {"k": 1},
}
NAMES = (
    *("__class__", "__mro__", "__subclasses__", "__globals__", "__init__", "__dict__", "__self__"),
    *("__getattribute__", "__reduce__", "__builtins__", "__import__", "__code__", "gi_frame"),
    *("mro", "func_globals", "__base__", "__module__", "__loader__", "__doc__", "__call__"),
)
WAYS = (
    *("{{ V.N }}", "{{ V['N'] }}", "{{ V|attr('N') }}", "{{ V.N() }}", "{{ V.N.N.N }}"),
    *(
        "{{ [V]|map(attribute='N')|list }}",
        "{{ [V]|groupby('N') }}",
        "{{ [V]|sort(attribute='N') }}",
    ),
    *("{{ '{0.N}'.format(V) }}", "{{ '{0.N}'|format(V) }}", "{{ V|map('attr', 'N')|list }}"),
    *("{% set x = V.N %}{{ x }}", "{% for x in V.N %}{{ x }}{% endfor %}", "{{ V.get('N') }}"),
    *("{{ V[('N')] }}", "{{ V['N'[:2] ~ 'N'[2:]] }}", "{{ (V.items).N }}", "{{ V.keys.N }}"),
)
ROOTS = ("document", "columns", "a", "l", "d", "''", "[]", "{}", "1", "self", "loop", "range",
         "namespace()", "cycler", "joiner", "dict", "debug", "lipsum", "request", "config")  # fmt: skip


def rendered(source: str) -> str:
    return PromptTemplate(source).render(VALUES, salt=b"")


def test_no_way_leads_into_python() -> None:
    tried = 0
    for way in WAYS:
        for name in NAMES:
            for root in ROOTS:
                tried += 1
                try:
                    found = rendered(way.replace("N", name).replace("V", root))
                except PromptError as error:
                    found = str(error)
                assert not any(f"{word} " in found for word in ("<class", "<function", "<built-in"))
                assert "object at 0x" not in found
    assert tried == len(WAYS) * len(NAMES) * len(ROOTS)


@pytest.mark.parametrize(
    "source",
    [
        '{{ "x" * 10**9 }}',
        '{{ "x" * 10**10 }}',
        '{{ "xx" * 18446744073709551615 }}',
        "{{ ([1] * 10**9)|length }}",
        "{{ range(10**9)|list|length }}",
        "{% for i in range(10**9) %}{% endfor %}",
        "{% for i in range(9**5) %}{% for j in range(9**5) %}{% endfor %}{% endfor %}",
        "{{ 2**100000 }}",
        "{{ 10**9**9 }}",
        "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
        "{% macro m(n) %}{{ k(n) }}{% endmacro %}{% macro k(n) %}{{ m(n) }}{% endmacro %}{{ m(0) }}",
        "{% for i in l recursive %}{{ loop(l) }}{% endfor %}",
        "{{ a|replace('x', a)|replace('x', a)|length }}",
        '{{ l|batch(10**9, "x")|list|length }}',
        "{{ l|slice(10**9)|list|length }}",
        '{% include "prompt" %}',
        '{% extends "prompt" %}',
        '{% import "prompt" as p %}{{ p }}',
        '{% include "/etc/passwd" %}',
        "{% include document.text %}",
        "{{ " + "(" * 100_000 + "1" + ")" * 100_000 + " }}",
        "{{ " + "[" * 100_000 + "]" * 100_000 + " }}",
        "{{ " + "not " * 100_000 + "true }}",
        "{{ " + "-" * 100_000 + "1 }}",
        "{{ 1" + "+1" * 100_000 + " }}",
        "{{ a" + ".a" * 100_000 + " }}",
        "{{ a" + "[0]" * 100_000 + " }}",
        "{{ a" + "|upper" * 100_000 + " }}",
        "{{ 1" + " if 1 else 1" * 50_000 + " }}",
        "{{ '' " + "~ 'y'" * 100_000 + " }}",
        "{% filter upper" + "|upper" * 100_000 + " %}x{% endfilter %}",
        "{% if a %}" * 50_000 + "{% endif %}" * 50_000,
        "{% if a %}" + "{% elif a %}" * 50_000 + "{% endif %}",
        "{%- if a -%}" + "{%-elif a%}" * 50_000 + "{%+ endif %}",
        "{% for i in l %}" * 200 + "{% endfor %}" * 200,
    ],
    ids=lambda source: source[:40],
)
def test_a_template_without_bound_is_stopped_in_one_line(source: str) -> None:
    with pytest.raises(PromptError) as caught:
        rendered(source)
    assert len(str(caught.value)) <= 300
    assert str(caught.value).isprintable()
    assert TEXT[:400] not in str(caught.value)


@pytest.mark.parametrize(
    "hidden",
    [
        "{{ {1: {1: 1}} ~ 1MORE }}",
        '{% raw %}{{ " {% endraw %}{{ 1MORE }}"',
        '{%- raw -%} {# {%- endraw -%}{{ 1MORE }}',
        '{# " #}{{ 1MORE }}{# " #}',
        '{{ "\\\\" }}{{ 1MORE }}{{ "\\"" }}',
        "{{ '\\'' }}{{ 1MORE }}",
        "{{ ( %} 1MORE ) }}",
        "{{ ) ( }} ' {{ 1MORE }} '",
        "{% set x = (1MORE) %}",
        "{% set x %}{{ 1MORE }}{% endset %}",
        "'{{ 1MORE }}'",
        "{{{ 1MORE }}}",
        "{%{{ 1MORE }}",
        "{{ '}}' ~ 1MORE }}",
        "{{ \"%}\" ~ (1MORE) }}",
    ],
)  # fmt: skip
def test_no_quote_bracket_or_comment_hides_a_tag_that_is_too_long(hidden: str) -> None:
    assert too_complex("line\n" + hidden.replace("MORE", "+1" * 30_000)) == 2


def test_long_prompts_and_long_quoted_texts_are_no_long_tags() -> None:
    prose = "it's {a} long % story #1: {{ document.text }} } }} %} \" '\n" * 5_000
    quoted = '{{ "' + "x" * 100_000 + '" }}' + "{% set x = '" + "(" * 10_000 + "' %}"
    for source in (prose, quoted, "{# " + "+1" * 50_000 + " #}", "{% raw %}" + "+1" * 50_000):
        assert too_complex(source) is None


def test_the_longest_tag_that_is_let_through_is_worked_through() -> None:
    operators = (MAX_TAG_CHARACTERS - 10) // 2
    assert f">{operators + 1}<" in rendered("{{ 1" + "+1" * operators + " }}")
    assert "1" in rendered("{{ " + "- " * (operators // 2 * 2) + "1 }}")
    rendered("{% if a %}a" + "{% elif a %}b" * MAX_BRANCHES + "{% endif %}")


def test_looking_through_half_a_megabyte_of_odd_tags_comes_to_an_end() -> None:
    for piece in ("{{", "{%", "{#", "{% raw %}", '{{ "', "{{ '}}", "}}", "%}", "{", '"', "{{ ( }}"):
        too_complex(piece * (500_000 // len(piece)))


WORDS = (
    *("{{ }} {% %} {# #} if for in set a l d | endif endfor else elif macro endmacro raw endraw",),
    *(
        "document .text upper list ( ) [ ] { } ' \" \\ , = ~ * 10**9 range namespace __class__ loop",
    ),
    *("recursive include x",),
)
SOUP = st.lists(st.sampled_from(["\n", *" ".join(WORDS).split()]), max_size=25)


@given(SOUP.map("".join) | SOUP.map(" ".join) | st.text(max_size=60).map("{{{{ {} }}}}".format))
@settings(max_examples=1000)
@example("{{ '\ud800' }}")
def test_any_template_renders_or_says_why_not(source: str) -> None:
    fault = ""
    try:
        rendered(source)
    except PromptError as error:
        fault = str(error)
    assert len(fault) <= 300
    assert len(fault.splitlines()) <= 1


@given(SOUP.map(" ".join), st.text(max_size=40))
@settings(max_examples=300)
def test_any_recipe_is_one_or_says_why_not_and_a_document_fails_by_itself(
    prompt: str, text: str
) -> None:
    fault = ""
    source = RenderInput(name="n", path="p", text=text, digest="d", columns={"a": text, "l": [1]})
    try:
        recipe = parse_recipe(f"---\nmodel: m\n---\n{prompt}", name="r.md", catalog=catalog())
        Renderer(recipe).render(source)
    except (RecipeError, RenderError) as error:
        fault = str(error)
    assert len(fault) < 1_000


def test_all_this_took_less_memory_than_a_function_has() -> None:
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 1_300_000
