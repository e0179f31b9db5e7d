import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.builtin import catalog
from shared.domain.recipe import Output, Recipe, RecipeError, parse_recipe
from shared.domain.template import PromptTemplate

MODEL = "model: claude-opus-4-6"


def parsed(
    head: str = MODEL, prompt: str = "{{ document.text }}", model_override: str | None = None
) -> Recipe:
    text = f"---\n{head}\n---\n{prompt}\n"
    return parse_recipe(text, name="r.md", catalog=catalog(), model_override=model_override)


def test_a_model_and_a_prompt_are_a_recipe() -> None:
    recipe = parsed()
    assert (recipe.model, recipe.max_tokens, recipe.betas) == ("claude-opus-4-6", 8192, ())
    assert (recipe.output, recipe.system, recipe.description) == (Output.MARKDOWN, None, None)
    assert (recipe.max_wait, recipe.group_by) == (timedelta(minutes=15), "folder")
    assert (recipe.max_attempts, dict(recipe.params)) == (3, {})
    assert (recipe.template, recipe.template_line) == ("{{ document.text }}", 4)


def test_every_key_is_taken_up() -> None:
    recipe = parsed(
        "model: claude-opus-4-6\nmax_tokens: 300_000\nsystem: Be brief.\noutput: markdown\n"
        "max_wait: 2h\ngroup_by: department\nmax_attempts: 10\ndescription: A test\n"
        "params:\n  thinking: {type: adaptive}\n  inference_geo: us"
    )
    assert (recipe.max_tokens, recipe.betas) == (300_000, ("output-300k-2026-03-24",))
    assert (recipe.system, recipe.output) == ("Be brief.", Output.MARKDOWN)
    assert (recipe.max_wait, recipe.group_by) == (timedelta(hours=2), "department")
    assert (recipe.max_attempts, recipe.description) == (10, "A test")
    assert recipe.params == {"thinking": {"type": "adaptive"}, "inference_geo": "us"}
    assert recipe.inference_geo == "us"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90", 90), ("0", 0), ("1.5", 1.5), ("90s", 90), ("15m", 900), ("2 h", 7200), ("1d", 86400)],
)
def test_max_wait_takes_seconds_or_a_unit(written: str, seconds: float) -> None:
    assert parsed(f"{MODEL}\nmax_wait: {written}").max_wait == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("modle: x", "r.md:2: unknown key 'modle'; did you mean 'model'"),
        (f"{MODEL}\nzzz: 1", "r.md:3: unknown key 'zzz'; known keys: model, max_tokens"),
        ("system: x", "r.md:1: no model; add a line such as 'model: .*or use --model"),
        ("model: 5", "r.md:2: model: 5 is not text"),
        ("model: a b", "r.md:2: 'a b' is not a model's id"),
        (f"{MODEL}\nsystem:", "r.md:3: system: has no value"),
        (f"{MODEL}\nsystem: ''", "r.md:3: system: is empty"),
        (f"{MODEL}\nmax_tokens: many", "r.md:3: max_tokens: 'many' is not a whole number"),
        (f"{MODEL}\nmax_tokens: yes", "r.md:3: max_tokens: True is not a whole number"),
        (f"{MODEL}\nmax_tokens: 0", "r.md:3: max_tokens: 0 is not within 1 to"),
        (f"{MODEL}\nmax_tokens: 300001", "r.md:3: max_tokens: 300,001 is above the 300,000"),
        (f"{MODEL}\nmax_attempts: 11", "r.md:3: max_attempts: 11 is not within 1 to 10"),
        (f"{MODEL}\noutput: json", "r.md:3: output: json needs fields"),
        (f"{MODEL}\noutput: [text]", "r.md:3: output: .'text'. is none of"),
        (f"{MODEL}\nmax_wait: 2 weeks", "r.md:3: max_wait: '2 weeks' is not a time"),
        (f"{MODEL}\nmax_wait: 31d", "r.md:3: max_wait: '31d' is not a time from 0 to 30 days"),
        (f"{MODEL}\nmax_wait: -1", "r.md:3: max_wait: -1 is not a time"),
        (f"{MODEL}\nmax_wait: true", "r.md:3: max_wait: True is not a time"),
        (f"{MODEL}\ngroup_by: 1", "r.md:3: group_by: 1 is not text"),
        (f'{MODEL}\ngroup_by: "a\\nb"', "r.md:3: group_by: takes one line"),
        (f"{MODEL}\nparams: [a]", "r.md:3: params: is not a mapping"),
        (f"{MODEL}\nthinking: {{}}", "r.md:3: thinking: .*put it under 'params:'"),
        (f"{MODEL}\ntemperature: 0", "r.md:3: temperature: API version 2026-10-21"),
        (f"{MODEL}\nstream: true", "r.md:3: stream: the Message Batches API refuses it"),
    ],
)
def test_a_mistake_in_the_head_is_one_line_with_its_place(head: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        parsed(head)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "key",
    [
        *("messages", "model", "max_tokens", "system", "betas"),
        *("stream", "speed", "store", "previous_thread_event_id", "cache_hint", "context_hint"),
        *("fallbacks", "research_preview_2026_02", "temperature", "top_p", "top_k"),
    ],
)
def test_parameters_that_a_batch_would_refuse_are_refused_first(key: str) -> None:
    with pytest.raises(RecipeError, match=rf"r\.md:4: params\.{key}: .*(remove it|write)"):
        parsed(f"{MODEL}\nparams:\n  {key}: 1")


def test_billing_to_a_user_profile_is_refused_and_other_billing_is_not() -> None:
    with pytest.raises(RecipeError, match="billing_policy: bill_to: user_profile"):
        parsed(f"{MODEL}\nparams:\n  billing_policy: {{bill_to: user_profile}}")
    assert parsed(f"{MODEL}\nparams:\n  billing_policy: {{bill_to: workspace}}").params


def test_another_model_on_the_command_line_replaces_the_recipes_and_its_limits() -> None:
    head = f"{MODEL}\nmax_tokens: 300000"
    other = parsed(head, model_override="claude-sonnet-5-5")
    assert (other.model, other.betas) == ("claude-sonnet-5-5", parsed(head).betas)
    with pytest.raises(RecipeError, match=r"r\.md:3: .* that claude-haiku-4-5 can give"):
        parsed(head, model_override="claude-haiku-4-5")
    with pytest.raises(RecipeError, match="--model: 'a b' is not a model's id"):
        parsed(model_override="a b")
    assert parsed("max_tokens: 5", model_override="x").model == "x"


def test_an_unlisted_model_is_left_to_its_endpoint() -> None:
    recipe = parsed("model: local/llama-5:70b\nmax_tokens: 200000")
    assert (recipe.max_tokens, recipe.betas) == (200_000, ())


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("", "r.md:5: no prompt; write one below"),
        ("a\n{{ a b }}", "r.md:5: the prompt's template: unexpected identifier"),
        ("\n\n{% if x %}", "r.md:6: the prompt's template: unexpected end"),
        ("{{ document.text|trunctae }}", "r.md:4: .*filter trunctae is unknown"),
        ("{{ document.text is sane }}", "r.md:4: .*test sane is unknown"),
        ("{% include 'other.md' %}", "r.md:4: .*non-existing template"),
        ("{% include 'prompt' %}", "r.md:4: the prompt's template"),
        ("a\n\n{{ document.body }}", "r.md:6: the prompt uses document.body; a document has only"),
        ("a\n{{ document['body'] }}", "r.md:5: .*is undefined"),
        (
            "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
            "r.md:4: .*out of fuel",
        ),
    ],
)
def test_a_mistake_in_the_prompt_is_found_before_any_document_is_read(
    prompt: str, message: str
) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        parsed(prompt=prompt)
    assert "\n" not in str(caught.value)


def test_the_columns_a_prompt_refers_to_are_known() -> None:
    recipe = parsed(
        prompt="{{ document.text }}{{ name }}{{ columns.readme }}{{ stars|default(0) }}"
        "{% if licence is defined %}{{ licence }}{% endif %}{% for i in range(3) %}{{ i }}"
        "{{ loop.index }}{% endfor %}{% set own = 1 %}{{ own }}{{ columns.tags is undefined }}"
    )
    assert recipe.needs_columns == {"name", "readme"}


@pytest.mark.parametrize("prompt", ["Write a poem.", "{% set x = 1 %}{{ x }}", "{{ range(3) }}"])
def test_a_prompt_that_takes_nothing_of_its_document_is_refused(prompt: str) -> None:
    with pytest.raises(RecipeError, match="takes nothing of the document"):
        parsed(prompt=prompt)


@pytest.mark.parametrize(
    ("head", "prompt"),
    [
        ("model: claude-opus-5", "{{ document.text }}"),
        (f"{MODEL}\nmax_tokens: 5", "{{ document.text }}"),
        (f"{MODEL}\nsystem: x", "{{ document.text }}"),
        (f"{MODEL}\nparams: {{a: 1}}", "{{ document.text }}"),
        (MODEL, "{{ document.text }}!"),
    ],
)
def test_the_fingerprint_changes_with_the_request(head: str, prompt: str) -> None:
    assert parsed(head, prompt).fingerprint != parsed().fingerprint


def test_the_fingerprint_stays_when_the_request_does() -> None:
    other = parsed(f"max_wait: 1d\ngroup_by: date\nmax_attempts: 1\ndescription: x\n{MODEL}")
    assert other.fingerprint == parsed().fingerprint
    one = parsed(f"{MODEL}\nparams: {{a: 1, b: 2}}")
    assert one.fingerprint == parsed(f"{MODEL}\nparams: {{b: 2, a: 1}}").fingerprint


@given(st.text(max_size=80))
def test_any_text_is_a_recipe_or_a_recipe_error(text: str) -> None:
    for whole in (text, f"---\n{text}\n---\nx", f"---\n{MODEL}\n---\n{text}"):
        with contextlib.suppress(RecipeError):
            assert parse_recipe(whole, name="r.md", catalog=catalog()).fingerprint


def test_a_recipe_of_megabytes_is_refused() -> None:
    with pytest.raises(RecipeError, match="too long for a recipe"):
        parse_recipe("---\nmodel: m\n---\n" + "x" * 500_001, name="r.md", catalog=catalog())


def test_ten_thousand_columns_are_told_apart() -> None:
    prompt = "".join(f"{{{{ c{n} }}}}{{{{ d{n} | default('') }}}}" for n in range(10_000))
    found = PromptTemplate(prompt)
    assert found.needed_columns == {f"c{n}" for n in range(10_000)}
