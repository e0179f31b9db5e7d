import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.adapters.builtin import builtin_recipes, catalog
from shared.adapters.template_guard import TemplateGuard
from shared.domain.document import DocumentStatus
from shared.domain.recipe import RecipeError, parse_recipe
from shared.domain.template import PromptError, PromptTemplate
from shared.domain.template_tags import is_plain
from tests.app.home import RECIPE, Home
from tests.app.jobs import run

VALUES = {
    "document": {"text": "some text \ud83d", "name": "ü.md"},
    "columns": {},
    "l": [1, {"a": None}],
}
DEADLY = [
    "{% set o = namespace(x=1) %}{% set o.x = o %}{{ o }}",
    '{{ "%1000000000d"|format(1) }}{{ document.text }}',
    "{{ l|tojson(indent=1000000000) }}{{ document.text }}",
]


@pytest.fixture
def guard() -> Iterator[TemplateGuard]:
    found = TemplateGuard(memory_bytes=400 << 20)
    yield found
    found.close()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.store.close()


def pid(guard: TemplateGuard) -> int:
    assert guard._child.process is not None
    return guard._child.process.pid


@pytest.mark.parametrize(
    "source",
    [
        "{% set t = document.text %}{{ t }}",
        "{% for x in l %}{{ loop.index ~ '.' }} {{ x }}{% endfor %}",
        "{{ (document.text ~ 'x')|upper }}",
    ],
)
def test_what_is_rendered_elsewhere_comes_out_as_it_would_here(
    guard: TemplateGuard, source: str
) -> None:
    assert not is_plain(source)
    here = PromptTemplate(source).render(VALUES, salt=b"salt")
    assert PromptTemplate(source, guard=guard).render(VALUES, salt=b"salt") == here


@pytest.mark.parametrize("source", ["{{ nothing ~ '' }}", "{{ l.x.y ~ '' }}"])
def test_faults_come_back_as_they_would_here(guard: TemplateGuard, source: str) -> None:
    with pytest.raises(PromptError) as here:
        PromptTemplate(source).render(VALUES, salt=b"")
    with pytest.raises(PromptError) as there:
        PromptTemplate(source, guard=guard).render(VALUES, salt=b"")
    assert (str(there.value), there.value.kind, there.value.line) == (
        str(here.value),
        here.value.kind,
        here.value.line,
    )


@pytest.mark.parametrize("source", DEADLY, ids=lambda source: source[:30])
def test_a_template_that_ends_its_process_is_a_fault_of_the_template(
    guard: TemplateGuard, source: str
) -> None:
    template = PromptTemplate(source, guard=guard)
    with pytest.raises(PromptError) as caught:
        template.render(VALUES, salt=b"")
    assert caught.value.kind in ("Died", "MemoryError", "OutOfFuel", "InvalidOperation")
    assert "\n" not in str(caught.value)
    after = PromptTemplate("{{ l ~ '' }}", guard=guard)
    assert after.render(VALUES, salt=b"")


def test_a_child_that_was_killed_is_started_anew(guard: TemplateGuard) -> None:
    template = PromptTemplate("{{ l ~ '' }}", guard=guard)
    assert template.render(VALUES, salt=b"")
    assert guard._child.process is not None
    os.kill(pid(guard), signal.SIGKILL)
    guard._child.process.wait(30)
    assert template.render(VALUES, salt=b"")


def test_a_child_that_does_not_answer_is_given_up() -> None:
    guard = TemplateGuard(patience_s=0.2)
    template = PromptTemplate("{{ l ~ '' }}", guard=guard)
    guard._child.start()
    os.kill(pid(guard), signal.SIGSTOP)
    with pytest.raises(PromptError, match="seconds"):
        template.render(VALUES, salt=b"")
    assert guard._child.process is None


def test_the_child_knows_no_secret_and_goes_with_its_parent(
    guard: TemplateGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary")
    PromptTemplate("{{ l ~ '' }}", guard=guard).render(VALUES, salt=b"")
    with open(f"/proc/{pid(guard)}/environ", "rb") as environment:  # noqa: PTH123
        assert b"canary" not in environment.read()
    child = guard._child.process
    assert child is not None
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(30) == 0


def test_a_deadly_recipe_is_refused_before_anything_is_spent(guard: TemplateGuard) -> None:
    for source in DEADLY[:1]:
        text = RECIPE.replace("{{ document.text }}", source + "{{ document.text }}")
        with pytest.raises(RecipeError, match="memory"):
            parse_recipe(text, name="r.md", catalog=catalog(), guard=guard)


def test_a_document_that_its_recipe_makes_too_much_of_fails_alone(
    home: Home, guard: TemplateGuard
) -> None:
    grows = "{% if document.name == 'bad.md' %}" + DEADLY[1] + "{% endif %}{{ document.text }}"
    text = RECIPE.replace("{{ document.text }}", grows)
    home.recipe = parse_recipe(text, name="r.md", catalog=catalog(), guard=guard)
    for name in ("a.md", "bad.md", "c.md"):
        home.write(name, "text")
    home.see()
    run(home)
    assert home.statuses() == {
        "a.md": DocumentStatus.REPORTED,
        "bad.md": DocumentStatus.FAILED,
        "c.md": DocumentStatus.REPORTED,
    }


@pytest.mark.parametrize(
    "source",
    [
        "no tags at all",
        "{{ document.text }}",
        "{{- name|trim -}} {{ columns['odd name'] }} {{ tags[0] }}",
        "{% if licence is defined and not old %}{{ licence|d('-') }}{% else %}x{% endif %}",
        "{% for tag in tags %}{{ tag }}{% endfor %}{# set x = 1 #}{% raw %}{% set x %}{% endraw %}",
        "{% if stars >= 100 or name == 'x' %}{{ stars }}{% elif a in b %}{% endif %}",
    ],
)
def test_what_only_prints_and_tests_is_plain(source: str) -> None:
    assert is_plain(source)


@pytest.mark.parametrize(
    "source",
    [
        *DEADLY,
        "{{ 'x' * 9 }}",
        "{{ [1] }}",
        "{{ {} }}",
        "{{ range(9) }}",
        "{{ a ~ b }}",
        "{{ a|join(', ') }}",
        "{{ a|replace('x', a) }}",
        "{% set x = 1 %}",
        "{% for i in range(9) %}{% endfor %}",
        "{% for i in l recursive %}{% endfor %}",
        "{% macro m() %}{% endmacro %}",
        "{% include 'prompt' %}",
        "{{ a if b else c }}",
        "{{ a",
        "{{ a }}{% filter upper %}{% endfilter %}",
        "{{ a['\\x41'] }}",
    ],
    ids=lambda source: source[:30],
)
def test_what_makes_values_is_not_plain(source: str) -> None:
    assert not is_plain(source)


def test_the_built_in_recipes_are_plain() -> None:
    for name, text in builtin_recipes().items():
        recipe = parse_recipe(text, name=name, catalog=catalog())
        assert is_plain(recipe.template)
