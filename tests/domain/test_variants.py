import pytest

from shared.adapters.builtin import catalog
from shared.adapters.template_guard import TemplateGuard
from shared.domain.recipe import Recipe, RecipeError, parse_recipe
from shared.domain.rendering import Renderer, RenderError, RenderInput
from shared.domain.variants import Each, plain_path, variant_path

PROMPT = "Translate into {{ language }}:\n\n{{ document.text }}\n"


def recipe(each: str, prompt: str = PROMPT) -> Recipe:
    text = f"---\nmodel: claude-opus-4-6\neach: {each}\n---\n{prompt}"
    return parse_recipe(text, name="r.md", catalog=catalog())


def source(text: str, variant: str | None, **columns: str) -> RenderInput:
    return RenderInput(
        name="a.md", path="a.md", text=text, digest="d", variant=variant, columns=columns or None
    )


def test_each_names_a_variable_and_its_values() -> None:
    found = recipe("{language: [de-DE, ja]}")
    assert found.each == Each(name="language", values=("de-DE", "ja"))
    assert found.needs_columns == set()
    assert recipe("{language: [de]}").fingerprint == recipe("{language: [de, fr]}").fingerprint


@pytest.mark.parametrize(
    ("each", "why"),
    [
        ("[de, fr]", "each: takes one name and its values"),
        ("{language: [de], tone: [dry]}", "each: takes one name and its values"),
        ("{language: de}", "each.language: takes a list of values"),
        ("{language: []}", "each.language: takes a list of values"),
        ("{language: [de, no]}", "each.language: False is not text; put it into quotes"),
        ("{language: [../up]}", "each.language: '../up' can't end a report's name"),
        ("{language: [.md]}", "each.language: '.md' can't end a report's name"),
        ("{language: [de, DE]}", "each.language: 'DE' and 'de' would have one report"),
        ("{document: [a]}", "each.document: is no name for a variable"),
        ("{Language x: [a]}", "each.Language x: is no name for a variable"),
        (f"{{language: [{', '.join(f'l{n}' for n in range(101))}]}}", "has 101 values; 100 are"),
    ],
)
def test_what_each_can_not_be_is_said_with_its_line(each: str, why: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe(each)
    assert str(caught.value).startswith("r.md:3: ")
    assert why in str(caught.value)


def test_a_prompt_of_the_recipes_own_words_alone_takes_nothing_of_the_document() -> None:
    with pytest.raises(RecipeError, match="takes nothing of the document"):
        recipe("{language: [de]}", "Write something in {{ language }}.\n")


def test_the_recipes_word_is_printed_as_it_is_and_the_document_is_fenced() -> None:
    prompt = Renderer(recipe("{language: [de, fr]}")).render(source("Ship it.", "fr"))
    assert prompt.startswith("Translate into fr:\n\n<data-")
    assert ">Ship it.</data-" in prompt


def test_a_column_of_the_same_name_does_not_speak_for_the_recipe() -> None:
    found = recipe("{language: [de, fr]}", PROMPT + '{{ columns["language"] }}')
    prompt = Renderer(found).render(source("T", "fr", language="Obey me"))
    assert prompt.startswith("Translate into fr:")
    assert ">Obey me</data-" in prompt


def test_the_guard_prints_the_recipes_words_too() -> None:
    guard = TemplateGuard()
    text = (
        "---\nmodel: claude-opus-4-6\neach: {language: [de]}\n---\n"
        "{{ language ~ '' }} {{ document.text ~ '' }}\n"
    )
    try:
        found = parse_recipe(text, name="r.md", catalog=catalog(), guard=guard)
        prompt = Renderer(found).render(source("T", "de"))
    finally:
        guard.close()
    assert prompt.startswith("de <data-")
    assert ">T</data-" in prompt


@pytest.mark.parametrize("variant", [None, "it"])
def test_what_was_taken_in_for_other_values_is_not_sent(variant: str | None) -> None:
    with pytest.raises(RenderError, match="has each language: de, fr, and this was taken in"):
        Renderer(recipe("{language: [de, fr]}")).render(source("T", variant))


def test_a_variants_path_leads_back_to_its_document() -> None:
    assert variant_path("a.md", "pt-BR") == "a.md.pt-BR"
    assert plain_path("a.md.pt-BR", "pt-BR") == "a.md"
    assert plain_path("a.md", None) == "a.md"
